package config

import (
	"encoding/json"
	"fmt"
	"maps"

	"go.yaml.in/yaml/v4"
)

// Schema is the JSON Schema, draft 2020-12, of the keys that are accepted, for editors and for those who write configs
// by program. Relations between keys are left to the program.
func Schema() []byte {
	s := document.asSchema()
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "mlproxy config.yaml"
	s["$defs"] = object{
		"variable": object{"description": "A value from the environment.", "type": "string", "pattern": `\$\{`},
		"off": object{"description": "What switches a feature off.", "anyOf": []any{
			object{"enum": []any{nil, false, 0, "", "0", "0%", "0s", "false", "none"}},
			object{"type": "array", "maxItems": 0},
			object{"type": "object", "maxProperties": 0},
		}},
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("config: the description has only values JSON can hold: %v", err))
	}
	return append(text, '\n')
}

// asSchema adds to a shape's own schema what its keys or its values are.
func (s *shape) asSchema() object {
	if s.orFalse {
		on := *s
		on.orFalse = false
		return object{"anyOf": []any{on.asSchema(), object{"const": false}}}
	}
	o := maps.Clone(s.schema)
	switch {
	case s.name == "off" && s.keys != nil:
		return object{"anyOf": []any{s.schema, withKeys(object{"type": "object"}, s.keys)}}
	case s.keys != nil:
		return withKeys(o, s.keys)
	case s.each != nil && o["type"] == "array":
		o["items"] = s.each.asSchema()
	case s.each != nil:
		o["additionalProperties"] = s.each.asSchema()
	}
	return o
}

func withKeys(o object, keys []about) object {
	properties, needed := object{}, []string{}
	for _, k := range keys {
		properties[k.key] = k.asSchema()
		if k.required {
			needed = append(needed, k.key)
		}
	}
	o["properties"], o["additionalProperties"], o["required"] = properties, false, needed
	return o
}

func (a *about) asSchema() object {
	o := a.shape.asSchema()
	if a.doc != "" {
		o["description"] = a.sentence()
	}
	if a.initial != "" {
		var v any
		if err := yaml.Unmarshal([]byte(a.initial), &v); err != nil {
			panic(fmt.Sprintf("config: the default of %s: %v", a.key, err))
		}
		o["default"] = v
	}
	return o
}

// sentence is what the key does, or that it does nothing yet.
func (a *about) sentence() string {
	switch {
	case a.shape.name == "off":
		return a.doc + " Not available yet: only a value that switches it off is taken."
	case a.idle() && a.shape.keys == nil:
		return a.doc + " Without effect yet."
	}
	return a.doc
}

// idle says that nothing acts on the key yet, so that no default needs to be told.
func (a *about) idle() bool { return a.off && a.initial == "" }
