package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// stopped has mlproxy end while users ask.
func stopped(_ context.Context, x *experiment) error {
	told := time.Now()
	if err := x.proxy.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-x.proxy.ended:
		x.seen.Exit = time.Since(told)
		return nil
	case <-time.After(patience):
		return fmt.Errorf("mlproxy does not end within %v of SIGTERM", patience)
	}
}
