package protocol

import (
	"fmt"
	"strconv"
)

// extract is what a route says beyond its protocol's name, and what its adapter learned.
type extract struct {
	features    []string // that every row should have; nil: what most rows have
	missing     []string // sentinels, as written
	predictions predictions
	columns     columns
}

// extractOptions are the keys of every protocol that has rows.
type extractOptions struct {
	Request struct {
		Features []string `yaml:"features"`
		Missing  []any    `yaml:"missing"`
	} `yaml:"request"`
	Response struct {
		Output string `yaml:"output"`
		Scores string `yaml:"scores"`
	} `yaml:"response"`
}

func newExtract(options func(any) error) (*extract, error) {
	var o extractOptions
	if err := options(&o); err != nil {
		return nil, err
	}
	x := &extract{features: o.Request.Features, predictions: predictions{output: o.Response.Output, scores: o.Response.Scores}}
	switch o.Response.Scores {
	case "", "softmax", "sigmoid":
	default:
		return nil, fmt.Errorf("response.scores is %q; write softmax or sigmoid, or leave it out", o.Response.Scores)
	}
	var err error
	x.missing, err = sentinels(o.Request.Missing)
	return x, err
}

// sentinels are values that stand for a missing one, as they are written in JSON. Null, NaN and "" are known anyhow.
func sentinels(values []any) (written []string, err error) {
	for _, v := range values {
		switch v := v.(type) {
		case nil:
		case string:
			written = append(written, v)
		case int:
			written = append(written, strconv.Itoa(v), strconv.Itoa(v)+".0")
		case float64:
			s := strconv.FormatFloat(v, 'f', -1, 64)
			if v == float64(int64(v)) {
				written = append(written, s+".0")
			}
			written = append(written, s)
		default:
			return nil, fmt.Errorf("request.missing has %v; write strings and numbers", v)
		}
	}
	return written, nil
}
