package main

import (
	"fmt"
	"strings"

	"mlproxy/modeltest"
)

// attempt is one thing to try in another terminal, and what it will show.
type attempt struct {
	shows string
	shell string // to paste
}

// modelRequest is one request to a model, as the trickle sends it and as curl would.
type modelRequest struct {
	route, path, user, body string
	stream                  bool
}

func (m modelRequest) curl(listen string) string {
	flags := "-i"
	if m.stream {
		flags = "-N"
	}
	return fmt.Sprintf("curl -s %s http://%s%s \\\n        -H 'X-User-ID: %s' -H 'Content-Type: application/json' \\\n        -d '%s'",
		flags, listen, m.path, m.user, m.body)
}

// demoAttempts are the things to try first.
func demoAttempts(p *demoPlace) []attempt {
	if p.Consul != nil {
		return consulAttempts(p)
	}
	return []attempt{
		demoQuestion(p),
		p.command("Give the canary half of the users. The shares printed here follow.", "split", "iris", "iris-stable=50", "iris-canary=50"),
		p.command("Make the green pool the active one, in one step; `rollback digits` is the way back.", "switch", "digits", "green"),
		p.command("See what is in force, who set it, and where the models are.", "status"),
		{
			shows: "Edit the config: here, to copy every iris request to the shadow. `status` shows it; the log says what was applied.",
			shell: fmt.Sprintf("sed -i.bak 's/sample: 20%%/sample: 100%%/' %s", p.Config),
		},
	}
}

// demoQuestion asks a model.
func demoQuestion(p *demoPlace) attempt {
	iris := modelRequest{
		route: "iris", path: "/v2/models/iris/infer", user: "ada",
		body: string(modeltest.InferBody([][]float64{{6.7, 3, 5.2, 2.3}}, "class", "probabilities")),
	}
	return attempt{
		shows: "Ask the model. X-MLProxy-Pool says which version answered: for one user always the same.", shell: iris.curl(p.Listen),
	}
}

// consulAttempts are the things to try first when there is a Consul: keys, what stands above them, and the way back.
func consulAttempts(p *demoPlace) []attempt {
	return []attempt{
		demoQuestion(p),
		p.keys("Switch by a key: every proxy that asks this Consul makes the green pool the active one.", "put", "mlproxy/routes/digits/active green"),
		p.keys("A canary by a key: half of the users. A comment may say why; a value that is wrong changes nothing.",
			"put", "mlproxy/routes/iris/split '{iris-stable: 50, iris-canary: 50} # fine so far'"),
		p.command("See whose word is in force, with key and index, and where the catalogue says that the digits are.", "status"),
		p.command("Split as an operator: above the key, for all proxies. It returns when each of them acts by it.",
			"split", "iris", "iris-stable=90", "iris-canary=10", "--reason", "calm", "--wait", "10s"),
		p.command("See what was changed here, and what operators changed in the fleet.", "history"),
		p.keys("And back to what the config file says.", "delete", "-recurse mlproxy/"),
	}
}

// demoStream is what to look at besides.
func demoStream(p *demoPlace) attempt {
	chat := chatRequest("ada", "What does the router do?")
	return attempt{shows: "And a stream: each token passes when the model says it.", shell: chat.curl(p.Listen)}
}

// command is an attempt with mlproxy itself.
func (p *demoPlace) command(shows string, args ...string) attempt {
	if p.Admin != "127.0.0.1:9090" {
		args = append(args, "--admin", "http://"+p.Admin)
	}
	return attempt{shows: shows, shell: p.Binary + " " + strings.Join(args, " ")}
}

// keys is an attempt with Consul's own command line.
func (p *demoPlace) keys(shows, verb, rest string) attempt {
	return attempt{shows: shows, shell: fmt.Sprintf("%s kv %s -http-addr=%s %s", p.Consul.Binary, verb, p.Consul.Address, rest)}
}

// demoGuide is what the demo says at its start.
func demoGuide(p *demoPlace) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
mlproxy demo: real small models, real requests, all on this machine.

  traffic   http://%[1]s   the routes iris (95/5 canary, 20%% shadow), digits (blue/green), chat (streams)
  admin     http://%[2]s   status at /api/v1/status, metrics at /metrics
  config    %[3]s   edit it while this runs
`, p.Listen, p.Admin, p.Config)
	if p.Consul != nil {
		fmt.Fprintf(&b, "  consul    http://%s   keys below mlproxy/ steer, also at /ui; its catalogue has the service %s\n", p.Consul.Address, demoService)
	}
	b.WriteString("\nTry in another terminal, in the same folder:\n")
	for i, a := range demoAttempts(p) {
		fmt.Fprintf(&b, "\n  %d. %s\n     %s\n", i+1, a.shows, a.shell)
	}
	stream := demoStream(p)
	fmt.Fprintf(&b, "\n  %s\n     %s\n", stream.shows, stream.shell)
	b.WriteString("\nCtrl-C ends everything. What the models answer meanwhile:\n\n")
	return b.String()
}

// chatRequest asks the chat model for a stream.
func chatRequest(user, question string) modelRequest {
	body := fmt.Sprintf(`{"model":"markov","stream":true,"messages":[{"role":"user","content":%q}]}`, question)
	return modelRequest{route: "chat", path: "/v1/chat/completions", user: user, body: body, stream: true}
}
