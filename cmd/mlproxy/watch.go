package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"mlproxy/admin"
)

// everySoOften is how often a watched status is shown.
const everySoOften = 2 * time.Second

// watch shows the status again and again until Ctrl-C. On a terminal it is drawn in place, and an mlproxy that goes away is waited for;
// elsewhere snapshots follow each other, an empty line between them, and end when nobody answers.
func (c *statusCmd) watch(t *terminal, client *admin.Client) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	again := time.NewTicker(everySoOften)
	defer again.Stop()
	for first := true; ; first = false {
		s, err := client.Status(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (first || !t.interactive()):
			return err
		case t.interactive() && c.Output == "text":
			_, _ = t.Out.Write(frame(c.picture(t, s, err)))
		default:
			if !first {
				fmt.Fprintln(t.Out)
			}
			if err := c.show(t, s); err != nil {
				return err
			}
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// picture is what is to be seen now.
func (c *statusCmd) picture(t *terminal, s *admin.Status, err error) string {
	var out bytes.Buffer
	p := page{&out, ink(t.coloured()), time.Now()}
	if err != nil {
		p.alarm(err.Error())
	} else {
		p.write(s)
	}
	fmt.Fprintf(&out, "\n%s, every %v, Ctrl-C ends\n", p.now.Format(time.TimeOnly), everySoOften)
	return out.String()
}

// frame draws text over what is there, line by line, and clears what is left: nothing flickers.
func frame(text string) []byte {
	const home, restOfLine, restOfScreen = "\x1b[H", "\x1b[K", "\x1b[J"
	return []byte(home + strings.ReplaceAll(text, "\n", restOfLine+"\n") + restOfScreen)
}
