package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// How each kind of value is written: as a person would, and so that it is read as the same value again.

// secret is the tag of a value that is compared, but never written out.
const secret = "!secret"

func single(tag, text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

func showWhole(v int) *yaml.Node { return single("!!int", strconv.Itoa(v)) }

func showAmount(v float64) *yaml.Node { return single("!!float", strconv.FormatFloat(v, 'g', -1, 64)) }

func showBool(v bool) *yaml.Node { return single("!!bool", strconv.FormatBool(v)) }

func showText(v string) *yaml.Node { return single("!!str", plain(v)) }

func showDuration(v time.Duration) *yaml.Node { return single("!!str", durationText(v)) }

func showSize[N int | int64](v N) *yaml.Node { return single("!!str", sizeText(int64(v))) }

// showShare writes a percentage, or the number itself where a percentage would be read as another.
func showShare(v float64) *yaml.Node {
	for _, digits := range []int{15, -1} {
		percent := strconv.FormatFloat(v*100, 'g', digits, 64)
		if p, _ := strconv.ParseFloat(percent, 64); p/100 == v && !strings.Contains(percent, "e") {
			return single("!!str", percent+"%")
		}
	}
	return showAmount(v)
}

func durationText(d time.Duration) string {
	s := d.String()
	if short, ok := strings.CutSuffix(s, "m0s"); ok {
		s = short + "m"
	}
	if short, ok := strings.CutSuffix(s, "h0m"); ok {
		s = short + "h"
	}
	return s
}

func sizeText(n int64) string {
	for _, unit := range []string{"GiB", "MiB", "KiB"} {
		if in := int64(sizeUnits[unit]); n >= in && n%in == 0 {
			return strconv.FormatInt(n/in, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10) + "B"
}

// showList writes words in brackets, and what would need quotes there one a line.
func showList[T any](v []T, all bool, k kind[T]) *yaml.Node {
	l := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, item := range v {
		n := k.show(item, all)
		if n.Kind != yaml.ScalarNode || strings.Contains(n.Value, ":") {
			l.Style = 0
		}
		l.Content = append(l.Content, n)
	}
	return l
}

func showMap[T any](v map[string]T, all bool, k kind[T]) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		m.Content = append(m.Content, single("!!str", name), k.show(v[name], all))
	}
	return m
}
