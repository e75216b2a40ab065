package e2e

import (
	"fmt"
	"io"
	"time"
)

// standstills watches how long this process did not get to run, so that a failed deadline can be told from a machine that stood still.
// The function that it returns ends the watch and says what was seen.
func standstills() (report func(io.Writer)) {
	const every, worth = 50 * time.Millisecond, time.Second
	end, seen := make(chan struct{}), make(chan []string)
	go func() {
		var gaps []string
		tick := time.NewTicker(every)
		defer tick.Stop()
		for last := time.Now(); ; {
			select {
			case <-end:
				seen <- gaps
				return
			case <-tick.C:
			}
			if gap := time.Since(last) - every; gap > worth {
				gaps = append(gaps, fmt.Sprintf("%v until %s", gap.Round(time.Millisecond), time.Now().Format("15:04:05.000")))
			}
			last = time.Now()
		}
	}()
	return func(w io.Writer) {
		close(end)
		for _, gap := range <-seen {
			fmt.Fprintf(w, "this process, or the whole machine, stood still for %s\n", gap)
		}
	}
}
