package journal

import "encoding/hex"

// parent is what a traceparent says (W3C Trace Context, section 3.2); without one all of it is zero.
type parent struct {
	trace   [16]byte
	span    [8]byte
	sampled bool
}

const traceparentLength = 55 // of version 00; later versions begin like it

// readParent reads a traceparent; ok is false when it is none, and then nothing of it counts.
func readParent(s []byte) (p parent, ok bool) {
	if len(s) < traceparentLength || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return parent{}, false
	}
	if later := len(s) > traceparentLength; later && (string(s[:2]) == "00" || s[traceparentLength] != '-') {
		return parent{}, false
	}
	var version, flags [1]byte
	if !unhex(version[:], s[:2]) || !unhex(p.trace[:], s[3:35]) || !unhex(p.span[:], s[36:52]) || !unhex(flags[:], s[53:55]) {
		return parent{}, false
	}
	p.sampled = flags[0]&1 != 0
	if version[0] == 0xff || p.trace == [16]byte{} || p.span == [8]byte{} {
		return parent{}, false
	}
	return p, true
}

// unhex decodes hex digits, of which letters are lower case.
func unhex(dst, src []byte) bool {
	for _, c := range src {
		if 'A' <= c && c <= 'F' {
			return false
		}
	}
	_, err := hex.Decode(dst, src)
	return err == nil
}
