package protocol

// answer reads what an answer, or one event of it, says to its choices, and returns the member that holds them.
func (t *talk) answer(root value) (choices value) {
	if id := root.member("id").text(); len(id) > 0 && t.id == "" {
		t.id = string(id[:min(len(id), maxName)])
	}
	t.model = t.word(root.member("model"), t.model)
	t.version = t.word(root.member("system_fingerprint"), t.version)
	t.count(root)
	if choices = root.member("choices"); choices.kind() != absent {
		for c := range choices.elements {
			t.oneChoice(c)
		}
		return choices
	}
	return t.native(root)
}

// oneChoice reads an element of choices, which holds a message, a delta of one, or a text.
func (t *talk) oneChoice(v value) {
	index, _ := v.member("index").integer()
	c := t.choice(index)
	if c == nil {
		return
	}
	said := v.member("delta")
	if said.kind() == absent {
		said = v.member("message")
	}
	t.say(c, v.member("text"))
	t.say(c, said.member("content"))
	if said.member("tool_calls").len() > 0 || said.member("function_call").len() > 0 {
		t.hear(c, true)
	}
	if runes(said.member("refusal")) > 0 {
		c.answered = true
		t.hear(c, false)
	}
	if runes(said.member("reasoning_content")) > 0 || runes(said.member("reasoning")) > 0 {
		t.hear(c, false)
	}
	c.finish = t.word(v.member("finish_reason"), c.finish)
	c.readLogprobs(v.member("logprobs"))
}

// say adds a text to what the choice said; a list of parts is one text.
func (t *talk) say(c *choice, v value) {
	for part := range v.elements {
		t.say(c, part.member("text"))
	}
	if runes(v) == 0 {
		return
	}
	c.text = appendText(c.text, v.written(), maxText)
	t.hear(c, true)
}

// hear notes a token of the choice; an event has one token of each choice, as far as one can tell.
func (t *talk) hear(c *choice, answer bool) {
	if !t.heard || c.index != t.last {
		t.spoken++
	}
	t.heard, t.last = true, c.index
	if answer {
		t.answered, c.answered = true, true
	}
}

// readLogprobs reads those of chat, {"content": [{"logprob": ...}]}, or of completions, {"token_logprobs": [...]}.
func (c *choice) readLogprobs(v value) {
	for token := range v.member("content").elements {
		if p, ok := token.member("logprob").number(); ok {
			c.logprobs.add(p)
		}
	}
	for token := range v.member("token_logprobs").elements {
		if p, ok := token.number(); ok {
			c.logprobs.add(p)
		}
	}
}

// native reads what llama.cpp says at /completion, and TGI at /generate; the value is absent if root is neither.
func (t *talk) native(root value) value {
	if content := root.member("content"); content.isString() {
		t.llama(root, content)
		return content
	}
	token, text, details := root.member("token"), root.member("generated_text"), root.member("details")
	if token.kind() == absent && text.kind() == absent {
		return value{}
	}
	c := t.choice(0)
	if token.kind() == object {
		if !token.member("special").isTrue() {
			t.say(c, token.member("text"))
		}
		if p, ok := token.member("logprob").number(); ok {
			c.logprobs.add(p)
		}
	} else {
		t.say(c, text)
	}
	for token := range details.member("tokens").elements {
		if p, ok := token.member("logprob").number(); ok {
			c.logprobs.add(p)
		}
	}
	c.finish = t.word(details.member("finish_reason"), c.finish)
	if n, ok := details.member("generated_tokens").integer(); ok && !t.tokens.Known {
		t.tokens = Tokens{Prompt: details.member("prefill").len(), Completion: n, Known: true}
	}
	if text.kind() != absent {
		return text
	}
	return token
}

// llama reads an answer or event of llama.cpp's own.
func (t *talk) llama(root, content value) {
	c := t.choice(0)
	t.say(c, content)
	if !root.member("stop").isTrue() {
		return
	}
	c.finish = t.word(root.member("stop_type"), "stop")
	evaluated, ok := root.member("tokens_evaluated").integer()
	predicted, known := root.member("tokens_predicted").integer()
	if ok && known {
		t.tokens = Tokens{Prompt: evaluated, Completion: predicted, Known: true}
	}
}

// count reads usage, or in its absence llama.cpp's timings. Of several in a stream the last holds.
func (t *talk) count(root value) {
	if usage := root.member("usage"); usage.kind() == object {
		t.tokens = Tokens{
			Prompt:     numberOf(usage, "prompt_tokens", "input_tokens"),
			Completion: numberOf(usage, "completion_tokens", "output_tokens"),
			Cached:     numberOf(usage.member("prompt_tokens_details"), "cached_tokens"),
			Reasoning:  numberOf(usage.member("completion_tokens_details"), "reasoning_tokens"),
			Known:      true,
		}
		return
	}
	if timings := root.member("timings"); timings.kind() == object && !t.tokens.Known {
		cached := numberOf(timings, "cache_n")
		t.tokens = Tokens{Prompt: numberOf(timings, "prompt_n") + cached, Completion: numberOf(timings, "predicted_n"), Cached: cached, Known: true}
	}
}
