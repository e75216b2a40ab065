package main

import (
	"fmt"
	"time"
)

// promise is one of those that docs/health.md makes of faults.
type promise struct {
	words string
	holds func(*figures) bool
}

func failures(most int) promise {
	if most == 0 {
		return promise{"none fails", func(f *figures) bool { return f.Failed == 0 }}
	}
	return promise{fmt.Sprintf("at most %d fail", most), func(f *figures) bool { return f.Failed <= most }}
}

func failedShare(most float64) promise {
	return promise{"at most " + percent(most) + " fail", func(f *figures) bool { return share(f.Failed, f.Requests) <= most }}
}

// inGrace is of the requests of the first seconds after the break.
func inGrace(most float64) promise {
	return promise{"at most " + percent(most) + " fail at first", func(f *figures) bool { return share(f.FailedGrace, f.Grace) <= most }}
}

func noneAfter() promise {
	return promise{"none later", func(f *figures) bool { return f.After == 0 }}
}

// oneLaterIn allows one request in so long a time that something is broken.
func oneLaterIn(period time.Duration) promise {
	return promise{"later one in " + period.String(), func(f *figures) bool { return time.Duration(f.After)*period <= f.Outage }}
}

func slowShare(most float64) promise {
	return promise{"at most " + percent(most) + " over 1s", func(f *figures) bool { return share(f.Slow, f.While) <= most }}
}

func answered() promise {
	return promise{"all answered", func(f *figures) bool { return f.Unanswered == 0 }}
}

func fastWhileDown(most time.Duration) promise {
	return promise{"p99 " + most.String(), func(f *figures) bool { return f.P99 <= most }}
}

func backWithin(most time.Duration) promise {
	return promise{"back in " + most.String(), func(f *figures) bool { return f.IsBack && f.Back <= most }}
}

func servingWithin(most time.Duration) promise {
	return promise{"serving in " + most.String(), func(f *figures) bool { return f.IsBack && f.Unwell <= most }}
}

func inForceWithin(most time.Duration) promise {
	return promise{"in force in " + most.String(), func(f *figures) bool { return f.InForce <= most }}
}

func malformedRefused() promise {
	return promise{"malformed refused", func(f *figures) bool { return f.Wrong == 0 }}
}

func share(part, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}

func percent(share float64) string { return fmt.Sprintf("%.4g%%", 100*share) }
