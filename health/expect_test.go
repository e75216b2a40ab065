package health

import (
	"strings"
	"testing"
)

func TestExpect(t *testing.T) {
	const answer = `{"id": "a", "ready": true, "none": null, "outputs": [{"name": "p", "data": [2, 0.50, 1e3], "a.b": "x"}], "": {"": 7}}`
	f := func(body, path, want, fault string) {
		t.Helper()
		got := ""
		if err := expect([]byte(body), map[string]string{path: want}); err != nil {
			got = err.Error()
		}
		if got != fault {
			t.Errorf("%s = %s: %q; want %q", path, want, got, fault)
		}
	}
	f(answer, "id", "a", "")
	f(answer, "ready", "true", "")
	f(answer, "none", "null", "")
	f(answer, "outputs.0.name", "p", "")
	f(answer, "outputs.0.data.0", "2", "")
	f(answer, "outputs.0.data.1", "0.50", "") // as it is written
	f(answer, "outputs.0.data.2", "1e3", "")
	f(answer, `outputs.0.a\.b`, "x", "")
	f(answer, ".", "7", "")
	f(answer, "id", "b", `id is "a", not "b"`)
	f(answer, "outputs.0.data.1", "0.5", `outputs.0.data.1 is "0.50", not "0.5"`)
	const absent = ": the answer has no such value"
	f(answer, "outputs.1.name", "p", "outputs.1.name"+absent)
	f(answer, "outputs.-1.name", "p", "outputs.-1.name"+absent)
	f(answer, "outputs.first", "p", "outputs.first"+absent)
	f(answer, "id.x", "p", "id.x"+absent)
	f(answer, "nothing", "", "nothing"+absent)
	f(answer, "outputs.0.data", "[2]", "outputs.0.data: the answer has a list or an object there; name one value in it")
	f(answer, "outputs", "", "outputs: the answer has a list or an object there; name one value in it")
	f("<html>", "id", "a", "the answer is not JSON: invalid character '<' looking for beginning of value")
	f("", "id", "a", "the answer is not JSON: EOF")
	f(`{"id": "`+strings.Repeat("\n", 3)+`"}`, "id", "a", `the answer is not JSON: invalid character '\n' in string literal`)
	f(`{"id": "\u001b[31m`+strings.Repeat("x", 100)+`"}`, "id", "a", `id is "\x1b[31m`+strings.Repeat("x", 75)+`"..., not "a"`)
}

// The first of several faults is the same one every time.
func TestExpectInOrder(t *testing.T) {
	for range 20 {
		err := expect([]byte("{}"), map[string]string{"c": "", "a": "", "b": ""})
		if err == nil || !strings.HasPrefix(err.Error(), "a: ") {
			t.Fatal(err)
		}
	}
}

func FuzzExpect(f *testing.F) {
	f.Add(`{"outputs": [{"data": [0.5]}]}`, "outputs.0.data.0", "0.5")
	f.Add(`[1, [2, {"a.b": null}]]`, `1.1.a\.b`, "null")
	f.Add(`"a`, "", "")
	f.Add(`{"a": 1e999}`, "a", "1e999")
	f.Fuzz(func(t *testing.T, body, path, want string) {
		err := expect([]byte(body), map[string]string{path: want})
		if err != nil && len(err.Error()) > len(path)+4*len(want)+600 {
			t.Errorf("a fault of %d bytes", len(err.Error()))
		}
	})
}
