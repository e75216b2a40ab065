package control

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mlproxy/config"
)

// unknown is the error for a route that is not there, with the one that was probably meant.
func unknown(name string, routes map[string]*config.Route) error {
	names := slices.Sorted(maps.Keys(routes))
	best, least := "", len(name)/2+1
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	if best != "" {
		return fmt.Errorf("%w: %q; did you mean %q?", ErrUnknownRoute, name, best)
	}
	return fmt.Errorf("%w: %q; there are %s", ErrUnknownRoute, name, strings.Join(names, ", "))
}

// distance is Levenshtein's: how many letters to insert, drop or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
