package protocol

import "bytes"

// maxEvent bounds one event of a stream: what is longer is passed over and counted.
const maxEvent = 1 << 20

// framing says how a stream is divided into events.
type framing byte

const (
	unframed    framing = iota // not known yet: the first byte that is not white space decides
	eventStream                // server-sent events (WHATWG HTML, section 9.2)
	jsonLines                  // newline-delimited JSON: every line that is not blank
)

// splitter cuts a stream, read in pieces of any size, into the data of its events:
//
//	for len(p) > 0 {
//		event, p, found = s.next(p)
//	}
//
// Lines end with CR, LF or CRLF. Of server-sent events it keeps data, its lines joined by LF, and whether the event's type is "error";
// comments and other fields are dropped. After the stream, end returns an event that no blank line completed. It allocates
// only while its buffers grow to the longest event, which maxEvent bounds.
type splitter struct {
	framing framing
	line    []byte // begun in an earlier piece
	data    []byte // of the event begun
	begun   bool   // the event has data, if only an empty line of it
	failing bool   // the event begun says that it is an error
	afterCR bool   // a line feed that follows belongs to the line end
	started bool   // the first line is past, so that no byte order mark may follow
	over    bool   // the line or the event begun is longer than maxEvent

	failed  bool // the event returned last had the type "error"
	skipped int  // events passed over because they were longer than maxEvent
}

// reset begins a new stream. Buffers of ordinary size are kept.
func (s *splitter) reset(f framing) {
	const ordinary = 64 << 10
	line, data := s.line[:0], s.data[:0]
	if cap(line)+cap(data) > ordinary {
		line, data = nil, nil
	}
	*s = splitter{framing: f, line: line, data: data}
}

// next reads p up to the end of the next event. The event is valid until the next call, and may be empty although found.
func (s *splitter) next(p []byte) (event, rest []byte, found bool) {
	for len(p) > 0 {
		if s.afterCR && p[0] == '\n' {
			p = p[1:]
		}
		s.afterCR = false
		end := lineEnd(p)
		if end < 0 {
			s.keep(p)
			break
		}
		line := p[:end]
		s.afterCR = p[end] == '\r'
		p = p[end+1:]
		if len(s.line) > 0 {
			s.keep(line)
			line = s.line
		}
		event, found = s.read(line)
		s.line = s.line[:0]
		if found {
			return event, p, true
		}
	}
	return nil, nil, false
}

// lineEnd is the place of the first CR or LF, -1 when there is none.
func lineEnd(p []byte) int {
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		return bytes.IndexByte(p, '\r')
	}
	if cr := bytes.IndexByte(p[:end], '\r'); cr >= 0 {
		return cr
	}
	return end
}

// keep stores a part of a line until its end arrives.
func (s *splitter) keep(part []byte) {
	if len(s.line)+len(part) > maxEvent {
		s.over = true
		part = part[:min(len(part), max(0, maxEvent-len(s.line)))]
	}
	s.line = append(s.line, part...)
}

// read takes one line in.
func (s *splitter) read(line []byte) (event []byte, found bool) {
	if !s.started {
		s.started = true
		line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
	}
	if s.framing == unframed {
		s.framing = framingOf(line)
	}
	s.over = s.over || len(line) > maxEvent
	if s.framing != jsonLines {
		return s.field(line)
	}
	if s.over {
		s.skipped++
		s.over = false
		return nil, false
	}
	line = bytes.TrimSpace(line)
	return line, len(line) > 0
}

// framingOf guesses by the first line; a blank one decides nothing.
func framingOf(line []byte) framing {
	line = bytes.TrimSpace(line)
	switch {
	case len(line) == 0:
		return unframed
	case line[0] == '{', line[0] == '[':
		return jsonLines
	}
	return eventStream
}

// field reads a line of server-sent events; a blank one completes the event.
func (s *splitter) field(line []byte) (event []byte, found bool) {
	if len(line) == 0 {
		return s.complete()
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		s.extend(value)
	case "event":
		s.failing = string(value) == "error"
	}
	return nil, false
}

// extend adds one line of data to the event begun.
func (s *splitter) extend(value []byte) {
	if len(s.data)+1+len(value) > maxEvent {
		s.over = true
	}
	if s.over {
		s.begun = true
		return
	}
	if s.begun {
		s.data = append(s.data, '\n')
	}
	s.begun = true
	s.data = append(s.data, value...)
}

// complete ends the event begun, and begins anew.
func (s *splitter) complete() (event []byte, found bool) {
	event, found = s.data, s.begun
	if s.over {
		s.skipped++
		event, found = nil, false
	}
	s.failed = s.failing
	s.data, s.begun, s.failing, s.over = s.data[:0], false, false, false
	return event, found
}

// end completes what the stream ended in the midst of: a line without its end, an event without the blank line after it.
func (s *splitter) end() (event []byte, found bool) {
	if len(s.line) > 0 {
		event, found = s.read(s.line)
		s.line = s.line[:0]
	}
	if s.framing == eventStream {
		return s.complete()
	}
	return event, found
}
