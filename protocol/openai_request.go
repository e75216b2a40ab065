package protocol

import "bytes"

// addPrompt reads a request to a language model.
func (f *Facts) addPrompt(root value) {
	f.Model = f.name(root.member("model"))
	if n, ok := root.member("n").integer(); ok {
		f.choices = max(0, min(n, maxChoices))
	}
	if messages := root.member("messages"); messages.kind() == array {
		f.addConversation(messages)
		return
	}
	for _, key := range [...]string{"prompt", "input", "inputs"} {
		if prompt := root.member(key); prompt.kind() != absent {
			f.addPrompts(prompt)
			return
		}
	}
	f.Fault(UnknownShape)
}

// addConversation reads messages: one row, of which every message is a value. One without content that calls no tool is missing.
func (f *Facts) addConversation(messages value) {
	chars, missing := 0, 0
	var last value // of the user
	for m := range messages.elements {
		content := m.member("content")
		n := f.content(content)
		chars += n
		if n == 0 && content.len() == 0 && m.member("tool_calls").len() == 0 && m.member("function_call").len() == 0 {
			missing++
		}
		if m.member("role").says("user") {
			last = content
		}
	}
	if messages.len() == 0 {
		return
	}
	f.addTextRow(Length{Chars, chars}, messages.len(), missing)
	f.query(last)
}

// content counts the characters of a string, or of the texts in a list of parts, and looks at the images and the sounds in it.
func (f *Facts) content(v value) (chars int) {
	if v.isString() {
		return runes(v)
	}
	for part := range v.elements {
		chars += runes(part) + runes(part.member("text"))
		if image := part.member("image_url"); image.kind() == object {
			f.imageAt(image.member("url").text())
		} else if image.isString() {
			f.imageAt(image.text())
		}
		if audio := part.member("input_audio"); audio.member("format").says("wav") {
			f.soundWithin(audio.member("data").text())
		}
	}
	return chars
}

// imageAt looks at the image of a data URI. One that stands elsewhere is counted, and never fetched.
func (f *Facts) imageAt(url []byte) {
	if !bytes.HasPrefix(url, []byte("data:")) {
		f.addImage(Image{})
		return
	}
	if _, found := f.imageWithin(url, true); !found {
		f.Fault(ImageUnreadable)
	}
}

// soundWithin looks at a WAV file in base64.
func (f *Facts) soundWithin(encoded []byte) {
	file, ok := f.unbase64(encoded)
	if !ok {
		f.Fault(AudioUnreadable)
		return
	}
	f.sound(file)
}

// addPrompts reads a string, a list of strings, a list of tokens, or a list of such lists: one row each, but one for a list of tokens.
func (f *Facts) addPrompts(v value) {
	if v.kind() != array {
		f.addOnePrompt(v)
		return
	}
	if _, tokens := v.element(0).number(); tokens {
		f.addTextRow(Length{TokenCount, v.len()}, v.len(), 0)
		return
	}
	for row := range v.elements {
		f.addOnePrompt(row)
	}
}

// addOnePrompt adds one row. One that is "", null or [] is missing.
func (f *Facts) addOnePrompt(v value) {
	switch v.kind() {
	case array:
		f.addTextRow(Length{TokenCount, v.len()}, max(v.len(), 1), missingIf(v.len() == 0))
	case object: // of several modalities, or of a kind that only this model server knows
		f.addTextRow(Length{Chars, runes(v.member("text"))}, 1, missingIf(v.len() == 0))
		f.query(v.member("text"))
	default:
		f.addTextRow(Length{Chars, runes(v)}, 1, missingIf(runes(v) == 0))
		f.query(v)
	}
}

// addTextRow counts one row.
func (f *Facts) addTextRow(length Length, values, missing int) {
	f.Rows++
	f.RowsMissing += min(missing, 1)
	f.Values += values
	f.ValuesMissing += missing
	if len(f.Lengths) < MaxRows {
		f.Lengths = append(f.Lengths, length)
	}
}

// query keeps the text of the first row: a string, or the texts in a list of parts.
func (f *Facts) query(v value) {
	if f.Rows > 1 {
		return
	}
	q := f.room.query[:0]
	if v.isString() {
		q = appendText(q, v.written(), maxQuery)
	}
	for part := range v.elements {
		if text := part.member("text"); text.isString() {
			q = appendText(q, text.written(), maxQuery)
		}
	}
	f.room.query = q
	if len(q) > 0 {
		f.Query = q
	}
}

func missingIf(missing bool) int {
	if missing {
		return 1
	}
	return 0
}
