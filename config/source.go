package config

import "fmt"

// The origins of what is desired, from the lowest layer to the highest.
const (
	FromFile     = "file"
	FromConsul   = "consul"
	FromRollout  = "rollout"
	FromOperator = "operator"
)

// Source is where a value was said. It takes no part in what the value does.
type Source struct {
	Origin string // one of the origins
	Key    string // name of the key in Consul; "" = it is from none
	Index  uint64 // Consul's modify index of Key
}

// Words are what people call it: "file", or "consul mlproxy/routes/iris/split @1234".
func (s Source) Words() string {
	if s.Key == "" {
		return s.Origin
	}
	return fmt.Sprintf("%s %s @%d", s.Origin, s.Key, s.Index)
}
