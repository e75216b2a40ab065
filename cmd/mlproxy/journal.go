package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"mlproxy/journal"
)

type journalCmd struct {
	Tail  journalTailCmd  `cmd:"" help:"Show the last predictions of a journal."`
	Stats journalStatsCmd `cmd:"" help:"Sum a journal up: exchanges, latencies and predictions per version."`
}

type journalTailCmd struct {
	File   string `arg:"" help:"The journal: what journal.file of the config names, or one that was renamed since."`
	Lines  int    `short:"n" default:"10" placeholder:"N" help:"How many."`
	Follow bool   `short:"f" help:"Go on with what is written, until interrupted."`
	output
}

// Run shows the last lines: as they are with -o json, else for people.
func (c *journalTailCmd) Run(t *terminal) error {
	if c.Lines < 0 {
		return usage(errors.New("-n is below 0; say how many lines to show"))
	}
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	if err := seekLast(file, c.Lines); err != nil {
		return firstOf(err, file.Close())
	}
	from := bufio.NewReaderSize(file, 64<<10)
	last, torn, err := lastLines(from, c.Lines)
	for _, line := range last {
		c.show(t, line)
	}
	if err != nil || !c.Follow {
		return firstOf(err, file.Close())
	}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	return (&followed{c.File, file, from, torn}).follow(stop, func(line string) { c.show(t, line) })
}

// show writes one line. What is none of a journal is passed over.
func (c *journalTailCmd) show(t *terminal, line string) {
	out := printable{t.Out}
	var p journal.Prediction
	if json.Unmarshal([]byte(line), &p) != nil || p.Pool == "" {
		return
	}
	if c.Output == "json" {
		fmt.Fprint(out, line)
		return
	}
	said := fmt.Sprintf("%s  %s  %s/%s  %d  %.1fms  %s", p.Time, p.RequestID, p.Route, p.Pool, p.Status, p.Latency, saidBy(&p))
	fmt.Fprintln(out, inLine(said))
}

// inLine has no control characters: whoever wrote the journal, a line is shown as one, and tells the terminal nothing.
func inLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// saidBy is what was predicted, in short.
func saidBy(p *journal.Prediction) string {
	if p.Facts == nil {
		return "-"
	}
	words := []string{fmt.Sprintf("rows=%d", p.Facts.Rows)}
	const most = 4
	for i, o := range p.Facts.Outputs {
		switch {
		case i == most:
			return strings.Join(append(words, "..."), " ")
		case o.Missing != "":
			words = append(words, "missing("+o.Missing+")")
		case o.Class != "":
			words = append(words, fmt.Sprintf("%q", o.Class))
		case o.Value != nil:
			words = append(words, fmt.Sprintf("%.4g", *o.Value))
		}
	}
	return strings.Join(words, " ")
}

type journalStatsCmd struct {
	Files []string `arg:"" name:"file" help:"Journals: what journal.file of the config names, and those that were renamed since."`
	output
}

// Run sums up all files together.
func (c *journalStatsCmd) Run(t *terminal) error {
	s := journal.NewStats()
	for _, name := range c.Files {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		err = s.Read(file)
		if err = firstOf(err, file.Close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	sum := s.Sum()
	return c.print(t, sum, func() { c.show(t, &sum) })
}

// show writes a table of versions.
func (c *journalStatsCmd) show(t *terminal, sum *journal.Summary) {
	out := printable{t.Out}
	p := page{out, ink(t.coloured()), time.Now()}
	fmt.Fprintf(out, "%d lines, %s to %s", sum.Lines, inLine(sum.From), inLine(sum.To))
	if sum.Unreadable > 0 {
		fmt.Fprintf(out, "; %d more cannot be read", sum.Unreadable)
	}
	fmt.Fprintln(out)
	p.table("ROUTE\tPOOL\tEXCHANGES\tERRORS\tP50\tP95\tP99\tROWS\tMISSING\tCLASSES", func(row func(cells ...string)) {
		for _, v := range sum.Versions {
			classes := make([]string, 0, len(v.Classes))
			for _, class := range v.Classes {
				classes = append(classes, fmt.Sprintf("%q: %d", class.Class, class.Count))
			}
			row(inLine(v.Route), inLine(v.Pool), fmt.Sprintf("%.0f", v.Exchanges), fmt.Sprint(v.Errors), millis(v.P50), millis(v.P95), millis(v.P99),
				fmt.Sprint(v.Rows), fmt.Sprint(v.Missing), strings.Join(classes, ", "))
		}
	})
}

func millis(v float64) string { return fmt.Sprintf("%.1fms", v) }
