package protocol

import (
	"strconv"
	"time"
)

func init() {
	register("openai", extractsNothing, func(*Extract) Adapter { return openai{} })
}

// openai reads what language models speak: chat, completions and embeddings as OpenAI, vLLM, SGLang, llama.cpp and TGI write them, and the
// native endpoints of llama.cpp (/completion) and TGI (/generate), told apart by the members that occur.
//
// A row is one conversation, prompt or input. It has one output, or as many as n says.
type openai struct{}

// Request reads what is asked.
func (openai) Request(m *Message, f *Facts) {
	if root := f.request(m); root.kind() != absent {
		f.addPrompt(root)
	}
}

// Response reads a whole answer. Of one without status 2xx only the kind of the error is taken.
func (openai) Response(m *Message, f *Facts) {
	t := &f.room.talk
	t.reset()
	if !m.answered() {
		t.refused(f.complaint(m), m.Status)
		t.report(f)
		return
	}
	root, ok := f.answer(m)
	if !ok {
		return
	}
	vectors := vectorsOf(root)
	if root.kind() == array { // as TGI answers at /
		root = root.element(0)
	}
	t.countTokens(m)
	found := t.answer(root)
	t.refused(root, 0)
	t.report(f)
	if vectors.kind() != absent {
		f.addVectors(vectors)
		return
	}
	f.addChoices(t, found, m.Cut)
}

// complaint is the JSON of an answer that is an error; absent when it is something else, which is no fault.
func (f *Facts) complaint(m *Message) value {
	body, ok := f.open(m)
	if !ok || f.room.doc.read(body) != nil {
		return value{}
	}
	return f.room.doc.root()
}

// Event reads one chunk of a stream.
func (openai) Event(data []byte, at time.Duration, s *Stream) {
	t := &s.talk
	t.heard, t.answered = false, false
	if t.doc.read(data) != nil {
		t.fault(BadEvent)
	}
	root := t.doc.root()
	t.answer(root)
	if t.refused(root, 0) {
		s.failed = true
	}
	if t.heard {
		s.token(at, t.answered)
	}
}

// countTokens reads what TGI says in headers; usage in the body wins.
func (t *talk) countTokens(m *Message) {
	if m.Header == nil {
		return
	}
	asked, generated := m.Header("X-Prompt-Tokens"), m.Header("X-Generated-Tokens")
	if asked == "" || generated == "" {
		return
	}
	prompt, err := strconv.ParseUint(asked, 10, 31)
	completion, failed := strconv.ParseUint(generated, 10, 31)
	if err == nil && failed == nil {
		t.tokens = Tokens{Prompt: int(prompt), Completion: int(completion), Known: true}
	}
}
