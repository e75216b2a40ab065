package modeltest

import (
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"time"
)

// chatModel is the name clients ask for.
const chatModel = "markov"

type chatRequest struct {
	Model     string    `json:"model"`
	Messages  []message `json:"messages"`
	MaxTokens int       `json:"max_tokens"`
	Completed int       `json:"max_completion_tokens"` // the newer name of max_tokens
	Seed      *uint64   `json:"seed"`
	Stream    bool      `json:"stream"`
	Options   struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

type message struct {
	Role    string `json:"role"`
	Content text   `json:"content"`
}

// text is a string, or the text parts of a list.
type text string

func (t *text) UnmarshalJSON(src []byte) error {
	var plain string
	if json.Unmarshal(src, &plain) == nil {
		*t = text(plain)
		return nil
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(src, &parts); err != nil {
		return fmt.Errorf("content is neither a string nor a list of parts")
	}
	for _, p := range parts {
		*t += text(p.Text)
	}
	return nil
}

type completion struct {
	ID          string   `json:"id"`
	Object      string   `json:"object"`
	Created     int64    `json:"created"`
	Model       string   `json:"model"`
	Fingerprint string   `json:"system_fingerprint"`
	Choices     []choice `json:"choices"`
	Usage       *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index   int     `json:"index"`
	Message *said   `json:"message,omitempty"`
	Delta   *said   `json:"delta,omitempty"`
	Finish  *string `json:"finish_reason"`
}

type said struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

func (s *Server) chatModels(*http.Request, []byte) answer {
	return jsonAnswer(http.StatusOK, map[string]any{
		"object": "list",
		"data":   []any{map[string]any{"id": chatModel, "object": "model", "created": 0, "owned_by": "modeltest"}},
	})
}

func (s *Server) chat(_ *http.Request, body []byte) answer {
	var request chatRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return chatError(http.StatusBadRequest, "", err.Error())
	}
	switch {
	case request.Model != chatModel:
		return chatError(http.StatusNotFound, "model_not_found", fmt.Sprintf("there is no model %q; there is %q", request.Model, chatModel))
	case len(request.Messages) == 0:
		return chatError(http.StatusBadRequest, "", "messages is empty; at least one is needed")
	}
	t := request.talk()
	if request.Stream {
		return t.stream(s.options.TokenGap, request.Options.IncludeUsage)
	}
	return t.whole(s.options.TokenGap)
}

// talk is what the model says, before it is put into one answer or many events.
type talk struct {
	frame  completion // what answer and events have in common
	tokens []string
	finish string
	usage  usage
}

func (r *chatRequest) talk() *talk {
	var prompt strings.Builder
	for _, m := range r.Messages {
		prompt.WriteString(string(m.Content) + "\n")
	}
	seed := seedOf(prompt.String())
	if r.Seed != nil {
		seed = *r.Seed
	}
	limit := max(r.MaxTokens, r.Completed)
	if limit <= 0 {
		limit = 64
	}
	t := &talk{frame: completion{
		ID: fmt.Sprintf("chatcmpl-%016x", seed), Created: time.Now().Unix(), Model: chatModel, Fingerprint: "markov-1",
	}}
	t.tokens, t.finish = speaker().speak(prompt.String(), seed, min(limit, 1<<16))
	asked := len(token.FindAllString(prompt.String(), -1))
	t.usage = usage{asked, len(t.tokens), asked + len(t.tokens)}
	return t
}

// whole answers after the time that all tokens take.
func (t *talk) whole(gap time.Duration) answer {
	content := strings.Join(t.tokens, "")
	t.frame.Object, t.frame.Usage = "chat.completion", &t.usage
	t.frame.Choices = []choice{{Message: &said{"assistant", &content}, Finish: &t.finish}}
	a := jsonAnswer(http.StatusOK, t.frame)
	a.think = gap * time.Duration(len(t.tokens))
	return a
}

// stream answers with one event a token.
func (t *talk) stream(gap time.Duration, withUsage bool) answer {
	return answer{status: http.StatusOK, kind: "text/event-stream", length: -1, gap: gap, pieces: t.events(withUsage)}
}

func (t *talk) events(withUsage bool) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		empty := ""
		if !yield(t.event(choice{Delta: &said{Role: "assistant", Content: &empty}})) {
			return
		}
		for _, word := range t.tokens {
			if !yield(t.event(choice{Delta: &said{Content: &word}})) {
				return
			}
		}
		if !yield(t.event(choice{Delta: &said{}, Finish: &t.finish})) {
			return
		}
		if withUsage && !yield(t.usageEvent()) {
			return
		}
		yield([]byte("data: [DONE]\n\n"))
	}
}

func (t *talk) event(c choice) []byte {
	frame := t.frame
	frame.Object, frame.Choices = "chat.completion.chunk", []choice{c}
	return serverSent(frame)
}

func (t *talk) usageEvent() []byte {
	frame := t.frame
	frame.Object, frame.Choices, frame.Usage = "chat.completion.chunk", []choice{}, &t.usage
	return serverSent(frame)
}

func serverSent(v any) []byte { return append(append([]byte("data: "), encode(v)...), "\n\n"...) }

func chatError(status int, code, what string) answer {
	type fault struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    string  `json:"code,omitempty"`
	}
	return jsonAnswer(status, map[string]fault{"error": {Message: what, Type: "invalid_request_error", Code: code}})
}
