package router

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"mlproxy/config"
)

func hashOf(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func TestFind(t *testing.T) {
	keys := newKeys("iris", &config.APIKeys{Header: "authorization", Keys: map[string]config.Key{
		"team-a": {SHA256: []string{hashOf("old"), hashOf("new")}},
		"team-b": {SHA256: []string{hashOf("b")}, Routes: []string{"search"}},
		"team-c": {SHA256: []string{hashOf("c")}, Routes: []string{"search", "iris"}},
		"broken": {SHA256: []string{"0f"}},
	}}, func(string) *bucket { return nil })
	f := func(sent, name string, allowed bool) {
		t.Helper()
		switch key := keys.Find([]byte(sent)); {
		case key == nil && name != "":
			t.Errorf("%q is not known", sent)
		case key != nil && (key.Name != name || key.Allowed != allowed):
			t.Errorf("%q is %+v, want %s, allowed %v", sent, key, name, allowed)
		}
	}
	f("old", "team-a", true)
	f("new", "team-a", true)
	f("b", "team-b", false)
	f("c", "team-c", true)
	f("", "", false)
	f("ol", "", false)
	f("old ", "", false)
	f(hashOf("old"), "", false)
	f("\x0f", "", false)
	if newKeys("iris", nil, nil) != nil {
		t.Error("a route without api_keys has keys")
	}
	sent := []byte("mlp_0123456789012345678901234567890123456789012")
	if n := testing.AllocsPerRun(100, func() { keys.Find(sent) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
