package protocol

import (
	"encoding/base64"
	"encoding/binary"
	"math"
)

// addChoices notes the choices of a whole answer, and those that should be there: found is the member that holds them. Of an answer that
// was cut, nothing is said to be missing.
func (f *Facts) addChoices(t *talk, found value, cut bool) {
	for i := range t.choices {
		c := &t.choices[i]
		if c.answered || cut {
			f.addChoice(c, MissingNone)
		} else {
			f.addChoice(c, MissingNoContent)
		}
	}
	if cut {
		return
	}
	why := missingWhole(found)
	var nothing choice
	for i := len(t.choices); i < min(f.answers(), maxChoices); i++ {
		f.addChoice(&nothing, why)
	}
}

// missingWhole is why an answer has no output at all, or not as many as it should: found is the member that should hold them.
func missingWhole(found value) MissingReason {
	switch {
	case found.kind() == absent:
		return MissingAbsent
	case found.kind() == null:
		return MissingNull
	case found.len() == 0:
		return MissingEmpty
	}
	return MissingTooFewRows
}

// vectorsOf is the list of what an answer says without words: embeddings, classes or scores, one a row.
func vectorsOf(root value) value {
	if root.kind() == array && root.element(0).member("generated_text").kind() == absent {
		return root
	}
	for _, key := range [...]string{"data", "results", "embeddings"} {
		if v := root.member(key); v.kind() != absent {
			return v
		}
	}
	return value{}
}

// addVectors notes one output a row.
func (f *Facts) addVectors(list value) {
	n := 0
	for v := range list.elements {
		if v.partial() {
			return
		}
		o := f.output()
		o.vector(f, v)
		f.settle(o)
		n++
	}
	for ; n < max(f.Rows, 1) && !list.partial(); n++ {
		o := f.output()
		o.miss(missingWhole(list))
		f.settle(o)
	}
}

// vector reads one row: {"embedding": ...}, {"label", "probs"}, {"score"} or the vector itself.
func (o *Output) vector(f *Facts, v value) {
	if v.kind() != object {
		o.miss(missingVector(v))
		return
	}
	if embedding := v.member("embedding"); embedding.kind() != absent {
		o.miss(missingVector(embedding))
		return
	}
	score := v.member("score")
	if score.kind() == absent {
		score = v.member("relevance_score")
	}
	x, scored := score.number()
	o.Class = f.name(v.member("label"))
	switch {
	case scored && !finite(x):
		o.miss(MissingNaN)
		return
	case !scored && o.Class == "":
		o.miss(MissingAbsent)
		return
	}
	o.Value, o.HasValue = x, scored
	for p := range v.member("probs").elements {
		if x, ok := p.number(); ok && len(o.Probs) < maxProbs {
			o.Probs = append(o.Probs, x)
			o.Confidence, o.ConfidenceKind = max(o.Confidence, x), Probability
		}
	}
}

// missingVector is why an embedding, numbers or their base64, is none.
func missingVector(v value) MissingReason {
	switch {
	case v.kind() == null:
		return MissingNull
	case v.isString():
		return missingBase64(v.text())
	case v.kind() != array:
		return MissingUnparseable
	}
	sum := 0.0
	for e := range v.elements {
		x, ok := e.number()
		switch {
		case e.kind() == array: // of several vectors, one a token
			return missingVector(e)
		case !ok || !finite(x):
			return MissingNaN
		}
		sum += math.Abs(x)
	}
	return missingZero(sum)
}

// missingZero is why a vector whose elements have that sum of sizes is none: it is empty, or nothing but zeros.
func missingZero(sum float64) MissingReason {
	if sum == 0 {
		return MissingEmpty
	}
	return MissingNone
}

// missingBase64 reads float32, little-endian, in base64.
func missingBase64(encoded []byte) MissingReason {
	const step = 4096 // of which come 3,072 bytes, 768 numbers
	var room [step / 4 * 3]byte
	sum := 0.0
	for len(encoded) > 0 {
		piece := encoded[:min(step, len(encoded))]
		encoded = encoded[len(piece):]
		n, err := base64.StdEncoding.Decode(room[:], piece)
		if err != nil || n%4 != 0 {
			return MissingUnparseable
		}
		for raw := room[:n]; len(raw) > 0; raw = raw[4:] {
			x := float64(math.Float32frombits(binary.LittleEndian.Uint32(raw)))
			if !finite(x) {
				return MissingNaN
			}
			sum += math.Abs(x)
		}
	}
	return missingZero(sum)
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
