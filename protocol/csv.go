package protocol

import "bytes"

// cells walks text/csv (RFC 4180) cell by cell, once, from front to back, and allocates nothing:
//
//	for c := newCells(body); c.next(); {
//
// Beyond the RFC it takes LF or CR alone as the end of a line, a byte order mark, and quotes in the midst of a cell as they
// stand. Blank lines are no rows, as with pandas. A quote that is never closed holds all that follows.
type cells struct {
	data []byte
	at   int

	// Of the cell read last. The header, if there is one, is row 0.
	row, column int
	value       []byte // what stands between the quotes, with doubled quotes as they are; aliases the document
	quoted      bool
	last        bool // the cell ends its row
}

func newCells(document []byte) cells {
	return cells{data: bytes.TrimPrefix(document, []byte("\xef\xbb\xbf")), row: -1, last: true}
}

// next reads the next cell, and reports whether there was one.
func (c *cells) next() bool {
	if c.last {
		for c.at < len(c.data) && lineEnds[c.data[c.at]] {
			c.at++
		}
		if c.at == len(c.data) {
			return false
		}
		c.row, c.column = c.row+1, -1
	}
	c.column++
	c.quoted = c.at < len(c.data) && c.data[c.at] == '"'
	if c.quoted {
		c.within()
	} else {
		c.value = c.upTo()
	}
	c.last = c.at == len(c.data) || c.data[c.at] != ','
	if !c.last {
		c.at++
	}
	return true
}

// within reads a cell in quotes. What stands between its closing quote and the next comma is dropped.
func (c *cells) within() {
	c.at++
	start := c.at
	for {
		quote := bytes.IndexByte(c.data[c.at:], '"')
		if quote < 0 {
			c.value, c.at = c.data[start:], len(c.data)
			return
		}
		c.at += quote + 1
		if c.at == len(c.data) || c.data[c.at] != '"' {
			break
		}
		c.at++
	}
	c.value = c.data[start : c.at-1]
	c.upTo()
}

// upTo reads up to the next comma or the end of the line.
func (c *cells) upTo() []byte {
	start := c.at
	for c.at < len(c.data) && c.data[c.at] != ',' && !lineEnds[c.data[c.at]] {
		c.at++
	}
	return c.data[start:c.at]
}

var lineEnds = [256]bool{'\n': true, '\r': true}

// countRows counts the rows of text/csv, the header included.
func countRows(document []byte) int {
	n := 0
	for c := newCells(document); c.next(); {
		if c.last {
			n++
		}
	}
	return n
}

// nextLine cuts the first line that is not blank off newline-delimited JSON. There is none left when line is empty.
func nextLine(document []byte) (line, rest []byte) {
	rest = bytes.TrimPrefix(document, []byte("\xef\xbb\xbf"))
	for len(line) == 0 && len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimSpace(line)
	}
	return line, rest
}
