package protocol

import (
	"errors"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	for _, name := range Names() {
		if a, err := New(name, nil); a == nil || err != nil {
			t.Errorf("New(%q) = %v, %v", name, a, err)
		}
		refused := errors.New("unknown key")
		if _, err := New(name, func(any) error { return refused }); !errors.Is(err, refused) {
			t.Errorf("New(%q) does not tell what is wrong with its options: %v", name, err)
		}
	}
	_, err := New("grpc", nil)
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("New of an unknown protocol: %v", err)
	}
}
