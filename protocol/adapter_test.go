package protocol

import (
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	for _, name := range Names() {
		if a, err := New(name, nil); a == nil || err != nil {
			t.Errorf("New(%q) = %v, %v", name, a, err)
		}
	}
	_, err := New("grpc", nil)
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("New of an unknown protocol: %v", err)
	}
}
