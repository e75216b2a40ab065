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

// demoAttempts are the five things to try first.
func demoAttempts(p *demoPlace) []attempt {
	iris := modelRequest{
		route: "iris", path: "/v2/models/iris/infer", user: "ada",
		body: string(modeltest.InferBody([][]float64{{6.7, 3, 5.2, 2.3}}, "class", "probabilities")),
	}
	return []attempt{
		{shows: "Ask the model. X-MLProxy-Pool says which version answered: for one user always the same.", shell: iris.curl(p.Listen)},
		p.command("Give the canary half of the users. The shares printed here follow.", "split", "iris", "iris-stable=50", "iris-canary=50"),
		p.command("Make the green pool the active one, in one step; `rollback digits` is the way back.", "switch", "digits", "green"),
		p.command("See what is in force, who set it, and where the models are.", "status"),
		{
			shows: "Edit the config: here, to copy every iris request to the shadow. `status` shows it; the log says what was applied.",
			shell: fmt.Sprintf("sed -i.bak 's/sample: 20%%/sample: 100%%/' %s", p.Config),
		},
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

// demoGuide is what the demo says at its start.
func demoGuide(p *demoPlace) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
mlproxy demo: real small models, real requests, all on this machine.

  traffic   http://%[1]s   the routes iris (95/5 canary, 20%% shadow), digits (blue/green), chat (streams)
  admin     http://%[2]s   status at /api/v1/status, metrics at /metrics
  config    %[3]s   edit it while this runs

Try in another terminal, in the same folder:
`, p.Listen, p.Admin, p.Config)
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
