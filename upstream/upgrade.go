package upstream

import "bytes"

// AsksUpgrade says that the request offers to go on in another protocol (RFC 9110, section 7.8), one of those that are
// carried: a GET of HTTP/1.1 without a body, whose Connection says upgrade.
func (h *Head) AsksUpgrade() bool {
	return h.OffersUpgrade() && h.Minor == 1 && string(h.Method) == "GET" && h.Length == 0 && h.Framing != Chunked
}

// OffersUpgrade says that the message names protocols that are carried.
func (h *Head) OffersUpgrade() bool {
	return h.Has(Upgrade) && h.upgrade && len(h.appendProtocols(nil)) > 0
}

// Agrees says that the answer, a 101, goes on in a protocol that the request offered, and in no other.
func (h *Head) Agrees(offer *Head) bool {
	named := 0
	for p := range h.protocols() {
		if named++; !carried(p) || !offer.names(p) {
			return false
		}
	}
	return named > 0 && h.upgrade
}

// AppendUpgrade appends the field lines that offer or agree to the message's protocols, as far as they are carried.
func (h *Head) AppendUpgrade(dst []byte) []byte {
	dst = append(dst, "Connection: Upgrade\r\nUpgrade: "...)
	return append(h.appendProtocols(dst), "\r\n"...)
}

func (h *Head) appendProtocols(dst []byte) []byte {
	more := false
	for p := range h.protocols() {
		if !carried(p) {
			continue
		}
		if more {
			dst = append(dst, ", "...)
		}
		dst, more = append(dst, p...), true
	}
	return dst
}

// protocols goes through the message's Upgrade fields.
func (h *Head) protocols() func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := range h.Fields {
			if h.Fields[i].Kind != Upgrade {
				continue
			}
			for list := h.Fields[i].Value; len(list) > 0; {
				var item []byte
				if item, list = listItem(list); len(item) > 0 && !yield(item) {
					return
				}
			}
		}
	}
}

// names says that the message's Upgrade names p, whatever its case.
func (h *Head) names(p []byte) bool {
	for mine := range h.protocols() {
		if bytes.EqualFold(mine, p) {
			return true
		}
	}
	return false
}

// carried says that a tunnel may carry the protocol. HTTP itself is not: its requests would pass by unrouted. TLS is not:
// it is for the next hop only.
func carried(protocol []byte) bool {
	name, version, versioned := bytes.Cut(protocol, []byte("/"))
	if !isToken(name) || versioned && !isToken(version) {
		return false
	}
	lower := bytes.ToLower(name)
	return !bytes.HasPrefix(lower, []byte("h2")) && string(lower) != "http" && string(lower) != "tls"
}
