package modeltest

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestInfer(t *testing.T) {
	s := start(t, Options{Models: []string{"iris.1", "iris.2", "digits.1"}})
	f := func(path, body string, status int, want string) {
		t.Helper()
		got, answer, err := do(t, "POST", s.URL+path, "", []byte(body))
		if err != nil || got != status || !contains(answer, want) {
			t.Errorf("%s %s\ngot  %d %s %v\nwant %d %s", path, body, got, answer, err, status, want)
		}
	}
	input := func(shape, datatype, data string) string {
		return `{"id":"7","inputs":[{"name":"x","shape":` + shape + `,"datatype":"` + datatype + `","data":` + data + `}],"outputs":[{"name":"class"}]}`
	}
	f(inferPath, input("[1,4]", "FP64", "[5.1,3.5,1.4,0.2]"), 200,
		`{"model_name":"iris","model_version":"2","id":"7","outputs":[{"name":"class","shape":[1],"datatype":"BYTES","data":["setosa"]}]}`)
	f("/v2/models/iris/versions/1/infer", input("[1,4]", "FP32", "[5.1,3.5,1.4,0.2]"), 200, `"model_version":"1"`)
	f(inferPath, input("[2,4]", "FP64", "[[5.1,3.5,1.4,0.2],[6.7,3,5.2,2.3]]"), 200, `"shape":[2],"datatype":"BYTES","data":["setosa","virginica"]`)
	f(inferPath, input("[2,4]", "FP64", "[5.1,3.5,1.4,0.2,6.7,3,5.2,2.3]"), 200, `["setosa","virginica"]`)
	f(inferPath, input("[1,4]", "FP64", "[5.1,null,1.4,0.2]"), 200, `["setosa"]`)
	f(inferPath, string(setosa), 200, `"name":"label","shape":[1],"datatype":"INT64","data":[0]`)

	f(inferPath, input("[1,4]", "INT64", "[5,3,1,0]"), 400, `{"error":"input \"x\" has datatype \"INT64\"; iris takes FP32 or FP64"}`)
	f(inferPath, input("[4]", "FP64", "[5,3,1,0]"), 400, `{"error":"input \"x\" has shape [4]; iris takes [rows 4]"}`)
	f(inferPath, input("[2,4]", "FP64", "[5,3,1,0]"), 400, `{"error":"input \"x\" has 4 values; its shape [2 4] needs 4 a row"}`)
	f(inferPath, input("[4611686018427387904,4]", "FP64", "[]"), 400, `has 0 values`)
	f(inferPath, input("[1,4]", "FP64", `["a",3,1,0]`), 400, `it may hold numbers and null`)
	f(inferPath, `{"inputs":[]}`, 400, `{"error":"request has 0 inputs; iris takes exactly one"}`)
	f(inferPath, `{`, 400, `{"error":"unexpected end of JSON input"}`)
	f("/v2/models/wine/infer", "{}", 404, `{"error":"there is no model \"wine\" here"}`)
	f("/v2/models/iris/versions/3/infer", "{}", 404, `{"error":"model iris has no version \"3\" here"}`)
	f("/v3", "", 404, `{"error":"there is nothing at POST /v3"}`)
}

func TestInferUnknownOutput(t *testing.T) {
	s := start(t, Options{})
	status, answer, _ := do(t, "POST", s.URL+inferPath, "", InferBody([][]float64{{1, 2, 3, 4}}, "logits"))
	if status != 400 || !contains(answer, `there is no output \"logits\"; there are label, class and probabilities`) {
		t.Errorf("%d %s", status, answer)
	}
}

func TestHealthAndMetadata(t *testing.T) {
	s := start(t, Options{Models: []string{"iris.1", "iris.2"}})
	f := func(path string, status int, want string) {
		t.Helper()
		got, answer, err := do(t, "GET", s.URL+path, "", nil)
		if err != nil || got != status || !contains(answer, want) {
			t.Errorf("%s: got %d %s %v, want %d %s", path, got, answer, err, status, want)
		}
	}
	f("/v2/health/live", 200, "{}")
	f("/v2/health/ready", 200, "{}")
	f("/v2/models/iris/ready", 200, "{}")
	f("/v2/models/wine/ready", 404, "wine")
	f("/v2/models/iris", 200, `"versions":["1","2"]`)
	f("/v2/models/iris", 200, `{"datatype":"FP64","name":"features","shape":[-1,4]}`)
	f("/v2", 200, `"name":"modeltest"`)
	f("/v1/models", 200, `"id":"markov"`)
}

func TestOnRequestSeesHeaders(t *testing.T) {
	seen := make(chan string, 1)
	s := start(t, Options{OnRequest: func(r *http.Request) { seen <- r.Header.Get("X-Modeltest") }})
	if _, _, err := do(t, "POST", s.URL+inferPath, "delay=1us", setosa); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "delay=1us" {
		t.Errorf("saw %q", got)
	}
}

// FuzzInfer looks for requests that the model server cannot answer, well or with an error.
func FuzzInfer(f *testing.F) {
	s, err := New(Options{Models: []string{"iris.1", "iris.2"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(setosa)
	f.Add(InferBody([][]float64{{math.NaN(), math.Inf(1), 1e308, -1e308}}, "probabilities", "class"))
	f.Add([]byte(`{"inputs":[{"shape":[1,4],"datatype":"FP32","data":[[1e308,[2]],3,"4,]"]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, version := range []string{"1", "2"} {
			r := httptest.NewRequest("POST", "/v2/models/iris/versions/"+version+"/infer", bytes.NewReader(body))
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != 200 && w.Code != 400 || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		}
	})
}
