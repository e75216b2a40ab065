package main

import (
	"fmt"
	"strings"
	"time"
)

// promise is one of those that docs/health.md makes of faults.
type promise struct {
	words string
	holds func(*result) bool
}

func failures(most int) promise {
	if most == 0 {
		return promise{"none fails", func(f *result) bool { return f.Failed == 0 }}
	}
	return promise{fmt.Sprintf("at most %d fail", most), func(f *result) bool { return f.Failed <= most }}
}

func failedShare(most float64) promise {
	return promise{"at most " + percent(most) + " fail", func(f *result) bool { return share(f.Failed, f.Requests) <= most }}
}

// inGrace is of the requests of the first seconds after the break.
func inGrace(most float64) promise {
	return promise{"at most " + percent(most) + " fail at first", func(f *result) bool { return share(f.FailedGrace, f.Grace) <= most }}
}

func noneAfter() promise {
	return promise{"none later", func(f *result) bool { return f.After == 0 }}
}

// oneLaterIn allows one request in so long a time that something is broken.
func oneLaterIn(period time.Duration) promise {
	return promise{"later one in " + period.String(), func(f *result) bool { return time.Duration(f.After)*period <= f.Outage }}
}

func slowShare(most float64) promise {
	return promise{"at most " + percent(most) + " over 1s", func(f *result) bool { return share(f.Slow, f.While) <= most }}
}

func answered() promise {
	return promise{"all answered", func(f *result) bool { return f.Unanswered == 0 }}
}

func fastWhileDown(most time.Duration) promise {
	return promise{"p99 " + most.String(), func(f *result) bool { return f.P99 <= most }}
}

// fastLater is of the requests after the first seconds.
func fastLater(most time.Duration) promise {
	return promise{"later p99 " + most.String(), func(f *result) bool { return f.Late <= most }}
}

func backWithin(most time.Duration) promise {
	return promise{"back in " + most.String(), func(f *result) bool { return f.IsBack && f.Back <= most }}
}

func servingWithin(most time.Duration) promise {
	return promise{"serving in " + most.String(), func(f *result) bool { return f.IsBack && f.Unwell <= most }}
}

func inForceWithin(most time.Duration) promise {
	return promise{"in force in " + most.String(), func(f *result) bool { return f.InForce <= most }}
}

// asFastAsBefore compares the p99 while something is broken with that from before: it is higher by this share or time at the most.
func asFastAsBefore(share float64, most time.Duration) promise {
	return promise{"p99 +" + percent(share) + " or " + most.String(), func(f *result) bool {
		return f.P99 <= f.Calm+max(most, time.Duration(share*float64(f.Calm)))
	}}
}

func othersFast(most time.Duration) promise {
	return promise{"others p99 " + most.String(), func(f *result) bool { return f.Others <= most }}
}

func malformedRefused() promise {
	return promise{"malformed refused", func(f *result) bool { return f.Wrong == 0 }}
}

func share(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}

func percent(share float64) string { return fmt.Sprintf("%.4g%%", 100*share) }

// grows is of mlproxy's memory, in megabytes.
func grows(most int64) promise {
	return promise{fmt.Sprintf("+%d MB", most), func(f *result) bool { return f.Growth <= most<<20 }}
}

func allCutIn(most time.Duration) promise {
	return promise{"cut in " + most.String(), func(f *result) bool { return f.Cut == f.Hostile && f.CutIn <= most }}
}

// allTold says how the answers to an attack begin.
func allTold(status string) promise {
	return promise{"all " + status, func(f *result) bool {
		told := 0
		for line, n := range f.Told {
			if strings.HasPrefix(line, status) {
				told += n
			}
		}
		return told == f.Hostile
	}}
}

func goneIn(most time.Duration) promise {
	return promise{"gone in " + most.String(), func(f *result) bool { return f.Gone > 0 && f.Gone <= most }}
}

// takes is of one message that its receiver does not take, in megabytes.
func takes(most int64) promise {
	return promise{fmt.Sprintf("%d MB taken", most), func(f *result) bool { return f.Taken > 0 && f.Taken <= most<<20 }}
}

func eventsWithin(most time.Duration) promise {
	return promise{"events in " + most.String(), func(f *result) bool { return f.Sent > 0 && f.Delay <= most }}
}

// onlyRefused allows what becomes of requests when nobody listens any more: no connection is made.
func onlyRefused() promise {
	return promise{"none fails but by refusal", func(f *result) bool { return f.Failed == f.Failures["connection refused"] }}
}

func exits(most time.Duration) promise {
	return promise{"exit in " + most.String(), func(f *result) bool { return f.Exit > 0 && f.Exit <= most }}
}
