package protocol

import "math"

// role is what a member of a prediction is, by its name.
type role uint8

const (
	otherRole      role = iota
	labelRole           // the class
	confidenceRole      // how sure, or one number a class
	valueRole           // the prediction itself
)

// roles are the names that common handlers give: transformers' pipelines, TorchServe's handlers, Vertex AI, MLServer, scikit-learn.
var roles = map[string]role{
	"label": labelRole, "labels": labelRole, "class": labelRole, "classes": labelRole, "class_name": labelRole, "class_id": labelRole,
	"predicted_class": labelRole, "predicted_label": labelRole, "displayNames": labelRole, "category": labelRole, "predict": labelRole,

	"score": confidenceRole, "scores": confidenceRole, "probability": confidenceRole, "probabilities": confidenceRole, "prob": confidenceRole,
	"probs": confidenceRole, "proba": confidenceRole, "confidence": confidenceRole, "confidences": confidenceRole,
	"predict_proba": confidenceRole, "class_probabilities": confidenceRole, "output_probability": confidenceRole, "logits": confidenceRole,

	"prediction": valueRole, "predictions": valueRole, "output": valueRole, "outputs": valueRole, "result": valueRole, "results": valueRole,
	"value": valueRole, "predicted": valueRole, "answer": valueRole, "text": valueRole, "generated_text": valueRole, "text_output": valueRole,
	"output_label": labelRole,
}

// roleOf is the role of a member. A number cannot be told from a label by its name alone.
func roleOf(name, member value) role {
	if r, known := roles[string(name.raw())]; known {
		return r
	}
	if member.kind() == array && member.len() > 1 && member.element(0).kind() == numeral && !member.element(0).whole() {
		return confidenceRole
	}
	return otherRole
}

// object reads {"label": .., "score": ..} and its like, {"tabby": 0.46, "lynx": 0.1}, or the one member there is.
func (p *predictions) object(f *Facts, o *Output, v value) {
	if p.output != "" {
		p.read(f, o, v.member(p.output))
		return
	}
	if v.len() == 0 {
		o.miss(MissingEmpty)
		return
	}
	if v.len() == 1 {
		for _, member := range v.members {
			p.read(f, o, member)
		}
		return
	}
	if p.vectorWithLabels(f, o, v) || p.labelMap(f, o, v) {
		return
	}
	known := false
	for name, member := range v.members {
		r := roleOf(name, member)
		known = known || r != otherRole
		p.part(f, o, r, member)
	}
	if !known && hasGap(v) {
		o.miss(MissingNaN)
	}
}

// vectorWithLabels reads {"displayNames": ["a", "b"], "confidences": [0.9, 0.1]}.
func (p *predictions) vectorWithLabels(f *Facts, o *Output, v value) bool {
	var labels, numbers value
	for name, member := range v.members {
		if member.kind() != array {
			continue
		}
		switch roleOf(name, member) {
		case labelRole:
			labels = member
		case confidenceRole:
			numbers = member
		}
	}
	if labels.len() == 0 || labels.len() != numbers.len() {
		return false
	}
	p.vector(f, o, numbers, labels)
	if o.ConfidenceKind == Score { // of the best classes only, so that the sum is below 1
		o.trust(o.Confidence)
	}
	return true
}

// labelMap reads an object all of whose members are numbers from 0 to 1, and whose names say nothing else.
func (p *predictions) labelMap(f *Facts, o *Output, v value) bool {
	var label value
	best := math.Inf(-1)
	all := f.room.floats[:0]
	for name, member := range v.members {
		x, ok := member.number()
		if !ok || !(x >= 0 && x <= 1) || roles[string(name.raw())] != otherRole {
			return false
		}
		if x > best {
			best, label = x, name
		}
		all = append(all, x)
	}
	f.room.floats = all
	o.Class, o.Confidence, o.ConfidenceKind = f.name(label), best, Probability
	o.Probs = append(o.Probs[:0], all[:min(len(all), maxProbs)]...)
	return true
}

// part reads one of several things that are said of a row.
func (p *predictions) part(f *Facts, o *Output, r role, v value) {
	if p.missing(o, r, v) {
		return
	}
	switch r {
	case labelRole:
		for v.kind() == array && v.len() > 0 {
			v = v.element(0)
		}
		if label := v.scalar(); label != nil {
			o.Class = f.room.names.intern(label)
		}
	case confidenceRole:
		if x, ok := v.number(); ok {
			o.trust(p.squash(x))
		} else {
			p.vectorOf(f, o, v)
		}
	case valueRole:
		p.read(f, o, v)
	case otherRole:
		if v.kind() == numeral && !o.HasValue && !v.whole() {
			o.Value, o.HasValue = parseNumber(v.raw()), true
		}
	}
}

// missing notes null and NaN where a prediction should be.
func (p *predictions) missing(o *Output, r role, v value) bool {
	if r == otherRole {
		return false
	}
	switch v.kind() {
	case null:
		o.miss(MissingNull)
	case notNumber, infinite:
		o.miss(MissingNaN)
	default:
		return false
	}
	return true
}

// vectorOf reads the numbers of an array, or of an object of labels.
func (p *predictions) vectorOf(f *Facts, o *Output, v value) {
	switch {
	case v.kind() == object:
		p.labelMap(f, o, v)
	case v.kind() == array && v.len() == 1:
		p.part(f, o, confidenceRole, v.element(0))
	case v.kind() == array:
		class := o.Class
		p.vector(f, o, v, value{})
		if class != "" {
			o.Class = class
		}
	}
}
