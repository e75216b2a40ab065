package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/consul/api"
)

// Whatever a catalogue says, its instances can be dialled and weighed, each address is there once, and one that cannot be used keeps no
// other from being found.
func FuzzInstances(f *testing.F) {
	for _, s := range []string{
		`[{"Node":{"Address":"10.0.0.1"},"Service":{"ID":"i","Port":9001,"Weights":{"Passing":3,"Warning":1}},"Checks":[{"CheckID":"c","Status":"warning"}]}]`,
		`[{"Node":{"Address":"::1"},"Service":{"Address":"h","Port":70000,"Meta":{"scheme":"https"}}},{"Node":{"Address":"::1"},"Service":{"Port":1}}]`,
		`[{"Node":{"Address":"h"},"Service":{"Port":1,"Meta":{"scheme":"grpc"}},"Checks":[{"CheckID":"_node_maintenance"}]},{}]`,
		`[null,{"Node":{"Address":"h"},"Service":{"Port":1},"Checks":[null]}]`, `[]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var entries []*api.ServiceEntry
		if json.Unmarshal(answer, &entries) != nil {
			return
		}
		list, left := instances(entries)
		if len(list) > len(entries) || left != "" && len(list) == len(entries) {
			t.Errorf("%d of %d, and left is %q", len(list), len(entries), left)
		}
		seen := map[string]bool{}
		for _, i := range list {
			colon := strings.LastIndexByte(i.Address, ':')
			n, err := strconv.ParseUint(i.Address[colon+1:], 10, 16)
			if err != nil || n == 0 || colon < 1 || i.Scheme != "http" && i.Scheme != "https" || i.Weight < 1 || seen[i.Address] {
				t.Errorf("%+v, %v", i, err)
			}
			seen[i.Address] = true
		}
		sound := &api.ServiceEntry{Node: &api.Node{}, Service: &api.AgentService{Address: "the-test's.own", Port: 1}}
		if more, _ := instances(append(entries, sound)); len(more) != len(list)+1 || !sameMembers(more[:len(list)], list) {
			t.Errorf("with one more they are %v, without %v", more, list)
		}
	})
}

// What stands below the prefix is told by names without it, the folders of Consul's user interface left out, and as it stands there.
func FuzzPairs(f *testing.F) {
	f.Add([]byte(`[{"Key":"mlproxy/config","Value":"YQ==","ModifyIndex":7},{"Key":"mlproxy/"},{"Key":"mlproxy/routes/"},null]`))
	f.Add([]byte(`[{"Key":"mlproxy/a"},{"Key":"mlproxy/a"},{"Key":"mlproxy-fleet/history/1"},{"Key":""},{"Key":"config"}]`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		var list api.KVPairs
		if json.Unmarshal(answer, &list) != nil {
			return
		}
		want := map[string]Pair{}
		for _, p := range list {
			if p != nil && len(p.Key) > len("mlproxy/") && p.Key[:len("mlproxy/")] == "mlproxy/" && p.Key[len(p.Key)-1] != '/' {
				want[p.Key[len("mlproxy/"):]] = Pair{p.Value, p.ModifyIndex}
			}
		}
		if got := pairs(list, "mlproxy/"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", answer, got, want)
		}
	})
}

// A transaction has written something, or there is one of the errors that callers know.
func FuzzTransaction(f *testing.F) {
	f.Add([]byte(`{"Results":[{"KV":{"Key":"mlproxy/a","ModifyIndex":9}}],"Errors":null}`))
	f.Add([]byte(`{"Results":[null],"Errors":[{"OpIndex":0,"What":"failed session check"}]}`))
	f.Add([]byte(`{"Results":[{}],"Errors":[{"OpIndex":-1,"What":"Permission denied"}]}`))
	f.Add([]byte(`{"Errors":[null]}`))
	ops := []*api.KVTxnOp{{Verb: api.KVCheckSession}, {Verb: api.KVCAS}}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var said api.TxnResponse
		if json.Unmarshal(answer, &said) != nil {
			return
		}
		index, err := written(said.Results)
		text, _ := json.Marshal(said.Results)
		if (err != nil) != errors.Is(err, ErrUnreachable) || !strings.Contains(string(text), fmt.Sprintf(`"ModifyIndex":%d,`, index)) && err == nil {
			t.Errorf("%s: %d, %v", answer, index, err)
		}
		err = why(ops, said.Errors)
		kinds := []error{ErrConflict, ErrForbidden, ErrNotLeader}
		if n := len(slices.DeleteFunc(kinds, func(kind error) bool { return !errors.Is(err, kind) })); n != 1 {
			t.Errorf("%s: %v", answer, err)
		}
	})
}
