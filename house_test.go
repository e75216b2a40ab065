// Package mlproxy_test holds the policy of the house: which rooms there are, on which floor each stands, which may import which,
// and which room is the one door to each thing outside. The tables are the policy; house_rules_test.go reads the tree and holds it
// against them; house_proof_test.go shows every rule failing. docs/architecture.md shows the same tables and is held to them too.
//
// A failing rule is not mended by changing a table, unless the plan of the house itself is to change: then say so in the commit.
package mlproxy_test

import (
	"os"
	"testing"
)

// floors: a room may import rooms of lower floors only, and of these only what arrows says. Floor 0 serves tests and the demo.
const floors = `
6  cmd/mlproxy bench/load bench/chaos bench/fleet bench/compare
5  proxy admin
4  shadow control
3  router rollout journal
2  upstream monitor source trust
1  health protocol drift config source/consultest
0  modeltest
`

// arrows: room : the rooms it may import, where * is all of them. Tests of a room, also in folders
// of their own below it, may import all rooms of its own floor and below.
const arrows = `
cmd/mlproxy : *
bench/load  : admin
bench/chaos : modeltest
bench/fleet : modeltest source/consultest
bench/compare :
admin       : control rollout router monitor journal shadow config
proxy       : router shadow monitor protocol upstream trust
control     : config router source
shadow      : router monitor protocol upstream
journal     : monitor
rollout     : config monitor
router      : config protocol upstream monitor trust
source      : config
trust       : config
monitor     : protocol drift
upstream    : health
config      :
drift       :
protocol    :
health      :
modeltest   :
source/consultest : modeltest
`

// doors: thing outside (with all below its path) : the rooms that may import it. What is outside the standard library and not in
// this list may not be imported at all. Tests may use every door, and those marked "tests" are for tests only.
const doors = `
github.com/valyala/fasthttp             : proxy shadow upstream
github.com/sony/gobreaker/v2            : health
github.com/hashicorp/consul/api         : source
github.com/fsnotify/fsnotify            : source
github.com/goccy/go-yaml                : config
go.yaml.in/yaml/v4                      : config
github.com/invopop/jsonschema           : config
github.com/prometheus/client_golang     : monitor admin cmd/mlproxy
github.com/prometheus/client_model      : monitor
google.golang.org/protobuf              : monitor
github.com/prometheus/common            : tests
github.com/DataDog/sketches-go          : monitor rollout
gonum.org/v1/gonum                      : drift rollout
github.com/cespare/xxhash/v2            : router shadow
golang.org/x/image                      : protocol
github.com/klauspost/compress           : protocol
github.com/molecule-man/go-brrr         : protocol
golang.org/x/sys                        : proxy upstream cmd/mlproxy
github.com/alecthomas/kong              : cmd/mlproxy
github.com/tsenart/vegeta/v12           : bench/load bench/chaos bench/fleet
github.com/Shopify/toxiproxy/v2         : bench/chaos
github.com/rs/zerolog                   : bench/chaos
net/http                                : admin health source source/consultest modeltest cmd/mlproxy bench/load bench/chaos bench/fleet bench/compare
github.com/google/go-cmp                : tests
github.com/santhosh-tekuri/jsonschema/v6 : tests
go.uber.org/goleak                      : tests
pgregory.net/rapid                      : tests
`

// Sizes beyond which a file or a function of the program is no longer read in one go. Tests are exempt.
const (
	maxFileLines     = 500
	maxFunctionLines = 70
)

// badNames say nothing about what is inside; "models" and "types" would say it of everything.
var badNames = []string{
	"util", "utils", "common", "helper", "helpers", "types", "models", "middleware", "pkg", "internal", "misc", "base", "lib",
}

func TestHouse(t *testing.T) {
	h, err := readHouse(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	p := readPolicy(t, floors, arrows, doors)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, fault := range r.faults(p, h) {
				t.Error(fault)
			}
		})
	}
}

// TestThermometers fails never: it prints figures to compare one month with another (go test -v -run Thermometers .).
func TestThermometers(t *testing.T) {
	h, err := readHouse(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range thermometers(readPolicy(t, floors, arrows, doors), h) {
		t.Log(line)
	}
}
