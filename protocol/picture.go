package protocol

import (
	"bytes"
	"encoding/base64"
)

// pictures are how encoded images begin, as they are and in base64.
var pictures = [...]struct{ magic, base64 string }{
	{"\xff\xd8\xff", "/9j/"}, {"\x89PNG\r\n\x1a\n", "iVBORw0KGgo"}, {"GIF8", "R0lGOD"}, {"RIFF", "UklGR"},
}

// isPicture says that an encoded image begins here: JPEG, PNG, GIF or WebP.
func isPicture(b []byte) bool {
	for _, p := range pictures[:3] {
		if bytes.HasPrefix(b, []byte(p.magic)) {
			return true
		}
	}
	return len(b) >= 12 && string(b[:4]) == "RIFF" && string(b[8:12]) == "WEBP"
}

// imageWithin looks at an image in base64, as a string that begins like one, or is a blob, may be. Size is that of what the base64 holds.
func (f *Facts) imageWithin(s []byte, blob bool) (size int, image bool) {
	_, data, found := bytes.Cut(s[:min(len(s), 64)], []byte(";base64,"))
	if found && bytes.HasPrefix(s, []byte("data:")) {
		s = s[len(s[:min(len(s), 64)])-len(data):]
	} else if !blob && !likePicture(s) {
		return 0, false
	}
	encoded, ok := f.unbase64(s)
	if !ok || !isPicture(encoded) {
		return len(encoded), false
	}
	f.image(encoded)
	return len(encoded), true
}

func likePicture(s []byte) bool {
	for _, p := range pictures {
		if len(s) > 64 && bytes.HasPrefix(s, []byte(p.base64)) {
			return true
		}
	}
	return false
}

// unbase64 undoes either alphabet of RFC 4648, with or without padding.
func (f *Facts) unbase64(s []byte) ([]byte, bool) {
	s = bytes.TrimRight(s, "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	n := encoding.DecodedLen(len(s))
	if cap(f.room.blob) < n {
		f.room.blob = make([]byte, n)
	}
	n, err := encoding.Decode(f.room.blob[:n], s)
	return f.room.blob[:n], err == nil
}
