package modeltest

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"
)

const chatPath = "/v1/chat/completions"

func TestChatWhole(t *testing.T) {
	s := start(t, Options{})
	ask := []byte(`{"model":"markov","max_tokens":40,"messages":[{"role":"user","content":"Tell me about the canary"}]}`)
	status, answer, err := do(t, "POST", s.URL+chatPath, "", ask)
	if status != 200 || err != nil {
		t.Fatal(status, err, string(answer))
	}
	c := decode[completion](t, answer)
	tokens := token.FindAllString(*c.Choices[0].Message.Content, -1)
	if c.Usage.Completion != len(tokens) || c.Usage.Prompt != 5 || c.Usage.Total != 5+len(tokens) || len(tokens) < 24 {
		t.Errorf("usage %+v for %d tokens: %s", *c.Usage, len(tokens), answer)
	}
	_, again, _ := do(t, "POST", s.URL+chatPath, "", ask)
	if got := decode[completion](t, again); *got.Choices[0].Message.Content != *c.Choices[0].Message.Content {
		t.Error("the same question got another answer")
	}
}

func TestChatFaults(t *testing.T) {
	s := start(t, Options{})
	f := func(body string, status int, want string) {
		t.Helper()
		got, answer, _ := do(t, "POST", s.URL+chatPath, "", []byte(body))
		if got != status || !contains(answer, want) {
			t.Errorf("%s: got %d %s, want %d %s", body, got, answer, status, want)
		}
	}
	f(`{"model":"gpt","messages":[{"role":"user","content":"a"}]}`, 404, `"code":"model_not_found"`)
	f(`{"model":"markov"}`, 400, "messages is empty")
	f(`{"model":"markov","messages":[{"content":7}]}`, 400, "neither a string nor a list of parts")
	f(`{"model":"markov","max_tokens":3,"messages":[{"content":[{"type":"text","text":"a shadow"}]}]}`, 200, `"completion_tokens":3`)
	f(`{"model":"markov","max_tokens":3,"messages":[{"content":"x"}]}`, 200, `"finish_reason":"length"`)
}

func TestChatStream(t *testing.T) {
	s := start(t, Options{})
	ask := `{"model":"markov","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"the router"}]}`
	resp, err := http.Post(s.URL+chatPath, "application/json", strings.NewReader(ask))
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	defer resp.Body.Close()
	var text string
	var events []completion
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != "data: [DONE]" {
		if line, is := strings.CutPrefix(lines.Text(), "data: "); is {
			events = append(events, decode[completion](t, []byte(line)))
		}
	}
	for _, e := range events[1 : len(events)-2] {
		text += *e.Choices[0].Delta.Content
	}
	first, stop, last := events[0], events[len(events)-2], events[len(events)-1]
	if first.Choices[0].Delta.Role != "assistant" || *stop.Choices[0].Finish != "stop" || len(last.Choices) != 0 {
		t.Errorf("first %+v, stop %+v, last %+v", first, stop, last)
	}
	if last.Usage.Completion != len(events)-3 || !strings.HasSuffix(text, ".") {
		t.Errorf("usage %+v for %d events: %s", last.Usage, len(events), text)
	}
}

// TestChatStreamFlows reads each event before the next one is sent: the gap never ends within the test.
func TestChatStreamFlows(t *testing.T) {
	s := start(t, Options{TokenGap: time.Hour})
	c := dial(t, s)
	c.send(t, chatPath, "", []byte(`{"model":"markov","stream":true,"messages":[{"role":"user","content":"x"}]}`))
	for line := ""; !strings.HasPrefix(line, "data: "); {
		var err error
		if line, err = c.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if running := s.Stats().Running(); running != 1 {
		t.Fatalf("%d exchanges run, want the stream", running)
	}
	c.Close()
	await(t, s, func(now Stats) bool { return now.Aborted == 1 && now.Open == 0 })
}
