package upstream

import "bytes"

// RequestSoFar says what is wrong already with a request head of which only b has come, so that nobody waits for the rest of what can no longer
// be one. nil when it still can. seen bytes of b were looked at before.
func (h *Head) RequestSoFar(b []byte, seen int, limit Limits) *HeadError {
	return h.soFar(b, seen, limit, h.requestLine, beginsRequest)
}

// AnswerSoFar is RequestSoFar for an answer.
func (h *Head) AnswerSoFar(b []byte, seen int, limit Limits) *HeadError {
	return h.soFar(b, seen, limit, h.statusLine, beginsAnswer)
}

// soFar reads the lines that have come whole, once more with each new one, and looks at how the first one begins until it has.
func (h *Head) soFar(b []byte, seen int, limit Limits, first func(line []byte) *HeadError, begins func(part []byte) *HeadError) *HeadError {
	whole := b[:bytes.LastIndexByte(b, '\n')+1]
	if part := b[len(whole):]; bareCR(part) {
		return bad("a CR stands within a line; lines end in CRLF")
	}
	switch {
	case len(whole) == 0:
		return begins(b)
	case len(whole) <= seen:
		return nil
	}
	h.Clear()
	line, rest, err := firstLine(whole)
	if err == nil {
		err = first(line)
	}
	for err == nil && len(rest) > 0 {
		if line, rest, err = fieldLine(rest); err == nil {
			err = h.field(line, limit)
		}
	}
	if err == nil {
		h.Clear() // what it was read from may be moved before the rest comes
	}
	return err
}

// bareCR says that a CR in part, the beginning of a line, is not its last byte.
func bareCR(part []byte) bool {
	i := bytes.IndexByte(part, '\r')
	return i >= 0 && i < len(part)-1
}

// mostMethod is how much of a method is looked at before its line has ended: a longer one is as bad then.
const mostMethod = 64

// beginsRequest lets a single CR pass: it may be half of an empty line.
func beginsRequest(part []byte) *HeadError {
	method, _, _ := bytes.Cut(part[:min(len(part), mostMethod)], []byte(" "))
	if len(part) > 0 && string(part) != "\r" && !isToken(bytes.TrimSuffix(method, blank[:1])) {
		return bad("the method is not a token")
	}
	return nil
}

const version1 = "HTTP/1."

func beginsAnswer(part []byte) *HeadError {
	n := min(len(part), len(version1))
	if string(part[:n]) != version1[:n] {
		return bad("the status line is not \"HTTP/1.1 200 OK\"")
	}
	return nil
}
