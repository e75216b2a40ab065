package config

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The kinds of text that config.yaml knows: names, addresses, hosts, tokens, paths.

const (
	namePattern     = `^[a-z0-9][a-z0-9._-]{0,62}$`
	policyPattern   = `^[a-z0-9_]+$`
	tokenPattern    = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
	methodPattern   = "^[!#$%&'*+.^_`|~0-9A-Z-]+$"
	hostNamePattern = `^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`
	endpointPattern = `^https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]+$|\$\{`
	keyPattern      = `^(client_ip|(header|cookie|json):.+)$`

	collectorPattern = `^http://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]+(/[^?#\s]*)?$|\$\{`
	mediaTypePattern = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+( *;[ -~]*)?$"
	jsonPathPattern  = `^[^.]+(\.[^.]+)*$`

	answerPathPattern = `^([^.\\]|\\.)+(\.([^.\\]|\\.)+)*$`

	agentPattern      = `^https?://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]+/?$|\$\{`
	keyPrefixPattern  = `^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`
	servicePattern    = `^[A-Za-z0-9._-]{1,128}$`
	consulWordPattern = `^[A-Za-z0-9._-]{0,128}$`
)

var (
	isName     = regexp.MustCompile(namePattern)
	isPolicy   = regexp.MustCompile(policyPattern)
	isToken    = regexp.MustCompile(tokenPattern)
	isMethod   = regexp.MustCompile(methodPattern)
	isHostName = regexp.MustCompile(hostNamePattern)
	isSecret   = regexp.MustCompile(`auth|cookie|token|secret|password|api-?key`)
	isMedia    = regexp.MustCompile(mediaTypePattern)
	isJSONPath = regexp.MustCompile(jsonPathPattern)

	isAnswerPath = regexp.MustCompile(answerPathPattern)

	isKeyPrefix = regexp.MustCompile(keyPrefixPattern)
	isService   = regexp.MustCompile(servicePattern)
)

// What Consul knows by name.
var (
	agent       = text("address", "http://127.0.0.1:8500", agentPattern, agentURL)
	keyPrefix   = text("prefix", "mlproxy", keyPrefixPattern, prefixOfKeys)
	serviceName = text("service", "iris", servicePattern, service)
	proxyName   = text("service", "mlproxy", servicePattern, service)
	serviceTag  = text("tag", "v2", "^.+$", tag)
	consulWord  = text("name", "eu-west", consulWordPattern, serviceOrNone)
)

func asItIs(s string) (string, problem) {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return "", problem{"holds a control character", "remove it"}
		}
	}
	return s, problem{}
}

// nonEmpty judges a path that has to be there.
func nonEmpty(example string) func(string) (string, problem) {
	return func(s string) (string, problem) {
		if s == "" {
			return "", problem{"is empty", "write a path, such as " + example}
		}
		return asItIs(s)
	}
}

var (
	anyText         = text("text", `"text"`, "", asItIs)
	filePath        = nearby(text("path", "./file", "", asItIs))
	folder          = text("path", "./state", ".", nonEmpty("./state"))
	keysFile        = nearby(text("path", "keys.yaml", ".", nonEmpty("keys.yaml")))
	headerValue     = text("header value", `"value"`, "", asItIs)
	headers         = secretly(mapOf(headerValue, tokenPattern, headerName))
	poolName        = text("pool name", "iris-stable", namePattern, name)
	balance         = text("policy", "least_request", policyPattern, policy)
	hostName        = text("host name", "models.example.org", hostNamePattern, host)
	hostPattern     = text("host", `"*.example.org"`, `^(\*\.)?`+hostNamePattern[1:], wildHost)
	hostHeader      = text("host", "models.example.org", `^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])?(:[0-9]+)?$`, hostAndPort)
	method          = text("method", "POST", methodPattern, methodName)
	headerField     = text("header name", "X-MLProxy-Pool", tokenPattern, headerName)
	urlPath         = text("path", "/v2/models/iris/", `^/[^?#\s]*$`, pathOfURL)
	listenAddress   = text("address", "127.0.0.1:8080", `^(.*):[0-9]+$`, address)
	network         = convert(text("network", "10.0.0.0/8", "", asItIs), prefix, prefixText)
	allowedEndpoint = convert(text("network or host", "10.0.0.0/8", "", asItIs), endpointRule, endpointRuleText)
	keySource       = convert(text("sticky key", "header:X-User-ID", keyPattern, asItIs), sticky, stickyText)
	tlsName         = text("name", "models.example.org", `^([A-Za-z0-9._-]+|[0-9A-Fa-f:.]+)?$`, nameOfServer)
	endpointURL     = text("endpoint", "http://127.0.0.1:9001", endpointPattern, hostPort)
	collector       = text("receiver", "http://127.0.0.1:4318", collectorPattern, receiver)
	probePath       = text("path", "/v2/health/ready", `^/[^#\s]*$`, pathAndQuery)
	mediaType       = text("media type", "application/json", mediaTypePattern, contentType)
	documentPath    = text("path", "result.#.label", "", asItIs)
	anything        = text("text", `"text"`, "", func(s string) (string, problem) { return s, problem{} })
)

// sentinel is a number or text that stands for a missing value; null is taken, though it always does.
var sentinel = orNothing(kind[string]{
	shape{name: "value", example: "-999", schema: jsonValue.schema}, jsonValue.read, jsonValue.show,
})

// nearby lets a key of Consul name only files within the folder of the config file: whoever may write keys may not try what else a
// machine has.
func nearby(k kind[string]) kind[string] {
	read := k.read
	k.nearby = true
	k.read = func(r *reader, n *node, path string) (string, bool) {
		file, ok := read(r, n, path)
		if ok && r.foreign && file != "" && !filepath.IsLocal(file) {
			r.fault(n.at, path+" is "+shorten(file)+", outside of the folder of config.yaml", "write a path inside of it, such as "+k.example)
			return "", false
		}
		return file, ok
	}
	return k
}

// prefixOfKeys is what the names of Consul's keys begin with.
func prefixOfKeys(s string) (string, problem) {
	switch {
	case len(s) <= 200 && isKeyPrefix.MatchString(s):
		return s, problem{}
	case s != "" && isKeyPrefix.MatchString(strings.Trim(s, "/")):
		return "", problem{"is " + shorten(s), "write it without a slash at its ends: " + strings.Trim(s, "/")}
	}
	return "", problem{"is " + shorten(s) + ", not a prefix of keys", "use letters, digits, '.', '_' and '-', with / between parts, such as mlproxy"}
}

// service is the name of a service in Consul, or of anything else there.
func service(s string) (string, problem) {
	if !isService.MatchString(s) {
		return "", problem{"is " + shorten(s) + ", not a name in Consul", "use at most 128 letters, digits, '.', '_' and '-'"}
	}
	return s, problem{}
}

func serviceOrNone(s string) (string, problem) {
	if s == "" {
		return "", problem{}
	}
	return service(s)
}

func tag(s string) (string, problem) {
	if s == "" {
		return "", problem{"is empty", "write a tag, such as v2"}
	}
	return asItIs(s)
}

func name(s string) (string, problem) {
	if !isName.MatchString(s) {
		return "", problem{"is not a name", "use at most 63 of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit"}
	}
	return s, problem{}
}

func policy(s string) (string, problem) {
	if !isPolicy.MatchString(s) {
		return "", problem{"is " + shorten(s) + ", not a policy", "write one such as least_request"}
	}
	return s, problem{}
}

// headerName gives a field name in lower case.
func headerName(s string) (string, problem) {
	if !isToken.MatchString(s) {
		return "", problem{"is " + shorten(s) + ", not a header name", "write letters, digits and '-', such as X-User-ID"}
	}
	return strings.ToLower(s), problem{}
}

// secretly marks the values of fields that are likely to be secrets, so that they are never written out.
func secretly(k kind[map[string]string]) kind[map[string]string] {
	show := k.show
	k.show = func(v map[string]string, all bool) *yaml.Node {
		m := show(v, all)
		for i := 0; i < len(m.Content); i += 2 {
			if value := m.Content[i+1]; isSecretField(m.Content[i].Value, value.Value) {
				value.Tag = secret
			}
		}
		return m
	}
	return k
}

func isSecretField(name, value string) bool { return isSecret.MatchString(name) && value != "*" }

// Redacted is the match as it may be shown: without the values of header fields that are likely to be secrets.
func (m Match) Redacted() Match {
	m.Headers = maps.Clone(m.Headers)
	for name, value := range m.Headers {
		if isSecretField(name, value) {
			m.Headers[name] = "redacted"
		}
	}
	return m
}

func methodName(s string) (string, problem) {
	switch {
	case isMethod.MatchString(s):
		return s, problem{}
	case isToken.MatchString(s):
		return "", problem{"is " + shorten(s), "methods are upper case: write " + strings.ToUpper(s)}
	}
	return "", problem{"is " + shorten(s) + ", not a method", "write one such as GET or POST"}
}

func host(s string) (string, problem) {
	lower := strings.ToLower(s)
	switch {
	case len(s) <= 253 && isHostName.MatchString(s):
		return s, problem{}
	case lower != s && isHostName.MatchString(lower):
		return "", problem{"is " + shorten(s), "hosts are lower case: write " + lower}
	case strings.Contains(s, ":"):
		return "", problem{"is " + shorten(s), "write the host name without scheme and port"}
	}
	return "", problem{"is " + shorten(s) + ", not a host name", "write one such as models.example.org"}
}

func wildHost(s string) (string, problem) {
	rest, wild := strings.CutPrefix(s, "*.")
	_, p := host(rest)
	if wild && !p.none() {
		p = problem{"is " + shorten(s) + ", not a host pattern", "write one such as *.example.org, in lower case and without port"}
	}
	return s, p
}

func hostAndPort(s string) (string, problem) {
	bare := s
	if h, port, err := net.SplitHostPort(s); err == nil && isPort(port) {
		bare = h
	}
	if _, err := netip.ParseAddr(strings.Trim(bare, "[]")); s == "" || err == nil || isHostName.MatchString(strings.ToLower(bare)) {
		return s, problem{}
	}
	return "", problem{"is " + shorten(s) + ", not a host", "write host or host:port"}
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func pathOfURL(s string) (string, problem) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "", problem{"is " + shorten(s), "a path begins with /: write " + "/" + s}
	case strings.ContainsAny(s, "?#"):
		return "", problem{"is " + shorten(s), "write the path only, without ? or # and what follows"}
	case strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return "", problem{"is " + shorten(s) + ", which holds a space", "write %20 where a space is meant"}
	}
	return s, problem{}
}

// pathAndQuery is what a probe asks for.
func pathAndQuery(s string) (string, problem) {
	path, query, _ := strings.Cut(s, "?")
	if _, p := pathOfURL(path); !p.none() {
		return "", p
	}
	if strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '#' }) {
		return "", problem{"is " + shorten(s) + ", which holds a space or #", "write %20 or %23"}
	}
	return s, problem{}
}

func contentType(s string) (string, problem) {
	if !isMedia.MatchString(s) {
		return "", problem{"is " + shorten(s) + ", not a media type", "write one such as application/json"}
	}
	return s, problem{}
}

// answerPath leads to places in a JSON answer.
var answerPath = text("path", "outputs.#.parameters", answerPathPattern, placeInAnswer)

func placeInAnswer(s string) (string, problem) {
	if !isAnswerPath.MatchString(s) {
		return "", problem{"is " + shorten(s) + ", not a path into an answer", "write names and #, with dots between them, such as outputs.#.parameters"}
	}
	return s, problem{}
}

// jsonPath leads into a JSON document: names and, in lists, numbers, with dots between them.
func jsonPath(s string) (string, problem) {
	if !isJSONPath.MatchString(s) {
		return "", problem{"is not a path into JSON", "write names and, in lists, numbers, with dots between them, such as outputs.0.data.0"}
	}
	return s, problem{}
}

// address is where to listen: an IP address, a host name or nothing, and a port.
func address(s string) (string, problem) {
	h, port, err := net.SplitHostPort(s)
	if err != nil {
		return "", problem{"is " + shorten(s) + ", not an address", "write host:port, such as 127.0.0.1:8080"}
	}
	if !isPort(port) {
		return "", problem{fmt.Sprintf("has the port %q", port), "write a port from 0 to 65535"}
	}
	if _, err := netip.ParseAddr(h); err != nil && h != "" && !isHostName.MatchString(strings.ToLower(h)) {
		return "", problem{fmt.Sprintf("has the host %q, not an address or a host name", h), "write host:port, such as 127.0.0.1:8080"}
	}
	return s, problem{}
}

// prefix is a CIDR, or the one address of a bare IP.
func prefix(s string) (netip.Prefix, problem) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), problem{}
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return netip.Prefix{}, problem{"is " + shorten(s) + ", not an address or a network", "write one such as 10.1.2.3 or 10.0.0.0/8"}
	case p.Masked() != p:
		return netip.Prefix{}, problem{
			fmt.Sprintf("is %s, an address inside of a network", s),
			fmt.Sprintf("write %s for the network, or %s for the address", p.Masked(), p.Addr()),
		}
	}
	return p, problem{}
}

func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() && !p.Addr().Is4In6() {
		return p.Addr().String()
	}
	return p.String()
}

// sticky reads header:NAME, cookie:NAME, json:PATH or client_ip.
func sticky(s string) (KeySource, problem) {
	from, what, _ := strings.Cut(s, ":")
	switch {
	case s == "client_ip":
		return KeySource{Kind: s}, problem{}
	case from == "header" && isToken.MatchString(what):
		return KeySource{from, strings.ToLower(what)}, problem{}
	case from == "cookie" && isToken.MatchString(what):
		return KeySource{from, what}, problem{}
	case from == "json" && isJSONPath.MatchString(what):
		return KeySource{from, what}, problem{}
	}
	return KeySource{}, problem{
		"is " + shorten(s) + ", not a place a key comes from",
		"write header:NAME, cookie:NAME, json:PATH (such as json:user.id) or client_ip",
	}
}

func stickyText(k KeySource) string {
	if k.Kind == "client_ip" {
		return k.Kind
	}
	return k.Kind + ":" + k.Name
}

// nameOfServer is what a certificate may be made out to.
func nameOfServer(s string) (string, problem) {
	if _, err := netip.ParseAddr(s); s == "" || err == nil || isHostName.MatchString(strings.ToLower(s)) {
		return s, problem{}
	}
	return "", problem{"is " + shorten(s) + ", not a name that a certificate can have", "write a host name or an address, without scheme and port"}
}

// hostPort takes http://host:port or https://host:port and nothing else, and gives it in lower case.
func hostPort(s string) (string, problem) {
	const right = "write http://host:port, such as http://127.0.0.1:9001"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "":
		return "", problem{"is " + shorten(s) + ", not an endpoint", right}
	case u.Scheme != "http" && u.Scheme != "https":
		return "", problem{fmt.Sprintf("has the scheme %q", u.Scheme), right}
	case u.Port() == "" || !isPort(u.Port()) || u.Port() == "0":
		usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]
		return "", problem{"is " + shorten(s) + ", without a port from 1 to 65535", "write it out, such as " + u.Scheme + "://" + u.Hostname() + ":" + usual}
	case u.Scheme+"://"+u.Host != s:
		return "", problem{fmt.Sprintf("is %q, with more than a host and a port", u.Redacted()), "write " + u.Scheme + "://" + u.Host}
	}
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && !isHostName.MatchString(strings.ToLower(u.Hostname())) {
		return "", problem{fmt.Sprintf("has the host %q", u.Hostname()), right}
	}
	return strings.ToLower(s), problem{}
}

// agentURL is where Consul's agent answers: http://host:port or https://host:port, and nothing else.
func agentURL(s string) (string, problem) {
	const right = "write http://host:port or https://host:port, such as http://127.0.0.1:8500"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		return "", problem{"is " + shorten(s) + ", not the address of an agent", right}
	case u.Scheme != "http" && u.Scheme != "https":
		return "", problem{fmt.Sprintf("has the scheme %q", u.Scheme), right}
	case u.Port() == "" || !isPort(u.Port()) || u.Port() == "0":
		usual := u.Scheme + "://" + u.Hostname() + map[string]string{"http": ":8500", "https": ":8501"}[u.Scheme]
		return "", problem{"is " + shorten(u.Redacted()) + ", without a port from 1 to 65535", "write it out, such as " + usual}
	case u.User != nil || strings.TrimSuffix(s, "/") != u.Scheme+"://"+u.Host:
		return "", problem{fmt.Sprintf("is %q, with more than a host and a port", u.Redacted()), "write " + u.Scheme + "://" + u.Host}
	}
	return strings.ToLower(u.Scheme + "://" + u.Host), problem{}
}

// receiver is a URL spans are posted to. One without a path gets the standard's.
func receiver(s string) (string, problem) {
	const right = "write http://host:port, such as http://127.0.0.1:4318"
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		return "", problem{"is " + shorten(s) + ", not a receiver of OTLP over HTTP", right}
	case u.Scheme == "https":
		return "", problem{fmt.Sprintf("is %q, and https is not available yet", u.Redacted()), "use http://"}
	case u.Scheme != "http":
		return "", problem{fmt.Sprintf("has the scheme %q", u.Scheme), right}
	case u.Port() == "" || !isPort(u.Port()) || u.Port() == "0":
		return "", problem{"is " + shorten(s) + ", without a port from 1 to 65535", fmt.Sprintf("write it out, such as http://%s:4318", u.Hostname())}
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", problem{fmt.Sprintf("is %q, with more than a host, a port and a path", u.Redacted()), "write http://" + u.Host + u.EscapedPath()}
	case u.Path == "" || u.Path == "/":
		u.Path = "/v1/traces"
	}
	return u.String(), problem{}
}
