package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// The file of API keys: names, each with the SHA-256 of its key. A fast hash is enough there, since keys are made of 256 random
// bits: whoever has the hash would have to guess those.

var apiKey = section("API key", nil,
	required(key("sha256", oneOrMore(sum), func(k *Key) *[]string { return &k.SHA256 }, "",
		"SHA-256 of the key, in hexadecimal; two while an old key gives way to a new one.")),
	key("routes", listOf(routeName, 0), func(k *Key) *[]string { return &k.Routes }, "[]",
		"Routes that the key is good for; empty: all that use this file."),
)

var apiKeysFile = mapOf(apiKey, namePattern, name)

var (
	isSum = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
	sum   = scalarOf(shape{name: "SHA-256", example: strings.Repeat("0f", 32), schema: object{"type": "string"}},
		func(n *node) (string, problem) { return hexSum(n.text) }, showText)
	routeName = text("route name", "iris", namePattern, name)
	keyHeader = text("header name", "X-API-Key", tokenPattern, secretHeader)
)

// hexSum gives a sum in lower case. What is none may be the key itself, so it is not quoted.
func hexSum(s string) (string, problem) {
	if !isSum.MatchString(s) {
		return "", problem{"is not the SHA-256 of a key", "write 64 hexadecimal digits, as `mlproxy key new NAME` prints them"}
	}
	return strings.ToLower(s), problem{}
}

// secretHeader is a header whose value may be taken away from the request.
func secretHeader(s string) (string, problem) {
	lower, p := headerName(s)
	if slices.Contains([]string{
		"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "expect", "content-type", "cookie", "via", "max-forwards",
		"x-request-id", "traceparent", "user-agent",
	}, lower) || strings.HasPrefix(lower, "x-forwarded-") || strings.HasPrefix(lower, "x-mlproxy-") {
		return "", problem{"is " + shorten(s) + ", which says something else", "write Authorization, or a header of its own such as X-API-Key"}
	}
	return lower, p
}

// loadKeys reads the files of API keys that these routes name, each once.
func (c *Config) loadKeys(routes []string) (faults Faults) {
	read := map[string]map[string]Key{}
	for _, name := range routes {
		keys := c.Routes[name].APIKeys
		if keys == nil {
			continue
		}
		if _, known := read[keys.File]; !known {
			var wrong Faults
			read[keys.File], wrong = c.readKeys(name, keys.File)
			faults = append(faults, wrong...)
		}
		keys.Keys = read[keys.File]
	}
	return faults
}

// readKeys reads one file; route names it.
func (c *Config) readKeys(route, file string) (map[string]Key, Faults) {
	src, err := readFile(file)
	if err != nil {
		return nil, Faults{c.Fault("routes."+route+".api_keys.file", fmt.Sprintf("routes.%s.api_keys.file: %v", route, err),
			"name a file that can be read; `mlproxy key new NAME` prints what stands in it")}
	}
	return c.parseKeys(file, src)
}

func (c *Config) parseKeys(file string, src []byte) (map[string]Key, Faults) {
	t := &tree{file: file, env: func(string) (string, bool) { return "", false }, done: map[*yaml.Node]*node{}}
	root := t.parse(src)
	if root == nil {
		return nil, t.faults
	}
	r := &reader{faults: t.faults, where: map[string]Position{"": root.at}}
	keys, _ := apiKeysFile.read(r, root, "")
	return keys, append(r.faults, c.checkKeys(r.where, keys)...)
}

// checkKeys finds keys for routes that are not there, and one key under two names.
func (c *Config) checkKeys(where map[string]Position, keys map[string]Key) (faults Faults) {
	owner := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		for _, sum := range keys[name].SHA256 {
			if other, twice := owner[sum]; twice && sum != "" {
				faults = append(faults, Fault{where[name+".sha256"], name + " has the key of " + other, "make one for each: mlproxy key new " + name})
			}
			owner[sum] = name
		}
		for i, route := range keys[name].Routes {
			if _, known := c.Routes[route]; !known && route != "" {
				faults = append(faults, Fault{
					where[fmt.Sprintf("%s.routes[%d]", name, i)], fmt.Sprintf("%s: there is no route %q", name, route),
					didYouMean(route, slices.Sorted(maps.Keys(c.Routes))),
				})
			}
		}
	}
	return faults
}

// Files are the files beside its own that the config was read from: a change in them is a change of it.
func (c *Config) Files() (files []string) {
	for _, r := range c.Routes {
		if r.APIKeys != nil {
			files = append(files, r.APIKeys.File)
		}
	}
	if c.Feedback.KeyFile != "" {
		files = append(files, c.Feedback.KeyFile)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// ofFile is the tag of what stands in another file: it is compared, but no part of this one.
const ofFile = "!of-file"

// showAPIKeys adds to what the config says who has a key, so that a key that comes or goes is told as a change.
func showAPIKeys(k APIKeys, all bool) *yaml.Node {
	m := apiKeys.show(k, all)
	if !all || k.Keys == nil {
		return m
	}
	names := &yaml.Node{Kind: yaml.MappingNode, Tag: ofFile}
	for _, name := range slices.Sorted(maps.Keys(k.Keys)) {
		names.Content = append(names.Content, single("!!str", name), single(secret, fmt.Sprint(k.Keys[name])))
	}
	m.Content = append(m.Content, single("!!str", "keys"), names)
	return m
}

// orOneSecond is the burst where none is said: what a second allows.
func (l *RateLimit) orOneSecond() int {
	if l.Burst == 0 {
		return max(1, int(l.RequestsPerSecond+0.5))
	}
	return l.Burst
}

// settleAdmission fills in what depends on other keys, and lets relative paths start at the file's folder.
func (r *Route) settleAdmission(folder string) {
	if r.APIKeys != nil {
		r.APIKeys.File = from(folder, r.APIKeys.File)
	}
	if l := r.RateLimit; l != nil {
		l.Burst = l.orOneSecond()
		if l.By == "" {
			l.By = "client_ip"
			if r.APIKeys != nil {
				l.By = "key"
			}
		}
	}
}

// checkAdmission finds limits by keys that nobody has to have.
func (c *Config) checkAdmission(path string, r *Route) Faults {
	if l := r.RateLimit; l != nil && l.By == "key" && r.APIKeys == nil {
		return Faults{c.Fault(path+".rate_limit.by", path+".rate_limit is by key, and the route has no api_keys",
			"write by: client_ip or by: route, or add api_keys")}
	}
	return nil
}
