package protocol

import "bytes"

// refused reads an error as the many servers write it, and reports whether it is one:
//
//	{"error": {"message", "type", "param", "code"}}   OpenAI; of vLLM the code is a number; llama.cpp adds n_prompt_tokens and n_ctx
//	{"object": "error", "message", "type", "code"}    old vLLM
//	{"error": "...", "error_type": "..."}             TGI
//	{"detail": ...}                                   FastAPI, of a status that is no 2xx
//
// status is 0 in the midst of an answer that began with 200.
func (t *talk) refused(root value, status int) bool {
	said, kind := root.member("error"), root.member("error_type")
	switch {
	case said.kind() == object:
		root, kind = said, said.member("type")
		said = said.member("message")
	case said.isString():
	case root.member("object").says("error"):
		said, kind = root.member("message"), root.member("type")
	case status == 0:
		return false
	}
	code := root.member("code")
	if n, ok := code.integer(); ok {
		status = n
	}
	t.failure = errorKindOf(status, kind, code, said)
	return true
}

// overflows are what messages say when a context is exceeded, of vLLM before and since 0.16, and of TGI.
var overflows = [...]string{"maximum context length", "model's context length is only", "`inputs` tokens + `max_new_tokens` must be <="}

func errorKindOf(status int, kind, code, message value) ErrorKind {
	if code.says("context_length_exceeded") || kind.says("exceed_context_size_error") {
		return ContextOverflow
	}
	text := message.text()
	for _, words := range overflows {
		if bytes.Contains(text, []byte(words)) {
			return ContextOverflow
		}
	}
	switch {
	case status == 429, status == 503, kind.says("overloaded"), kind.says("overloaded_error"), code.says("rate_limit_exceeded"):
		return Overloaded
	case status >= 400 && status < 500, kind.says("invalid_request_error"), kind.says("BadRequestError"), kind.says("validation"):
		return InvalidRequest
	}
	return OtherError
}
