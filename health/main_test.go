package health

import (
	"errors"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errBroken = errors.New("connection reset by peer")

// outcome is work that ends so.
func outcome(err error) func(*Trial) error { return func(*Trial) error { return err } }
