package protocol

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkWhatDoesAnInspectionCost reads one request and its answer, by protocol and by the size of the request's body.
func BenchmarkWhatDoesAnInspectionCost(b *testing.B) {
	const row = "[5.1,3.5,1.4,0.2]"
	rows := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(row+",", n), ",") + "]" }
	numbers := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("0.25,", n), ",") + "]" }
	for _, p := range []struct {
		name        string
		ask, answer func(n int) string // about n rows of 18 bytes
	}{
		{
			"tf_serving", func(n int) string { return `{"instances":` + rows(n) + `}` },
			func(n int) string { return `{"predictions":` + numbers(n) + `}` },
		},
		{
			"mlflow", func(n int) string { return `{"dataframe_split":{"columns":["a","b","c","d"],"data":` + rows(n) + `}}` },
			func(n int) string { return `{"predictions":` + numbers(n) + `}` },
		},
		{
			"open_inference", func(n int) string {
				return fmt.Sprintf(`{"inputs":[{"name":"x","shape":[%d,4],"datatype":"FP32","data":%s}]}`, n, numbers(4*n))
			},
			func(n int) string {
				return fmt.Sprintf(`{"model_name":"iris","outputs":[{"name":"y","shape":[%d],"datatype":"FP32","data":%s}]}`, n, numbers(n))
			},
		},
		{"torchserve", rows, numbers},
		{"json", rows, numbers},
		{
			"openai", func(n int) string {
				return `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("What is a canary? ", n) + `"}]}`
			},
			func(int) string {
				return `{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"A bird."},"finish_reason":"stop"}],` +
					`"usage":{"prompt_tokens":5,"completion_tokens":3}}`
			},
		},
	} {
		a, err := New(p.name, nil)
		if err != nil {
			b.Fatal(err)
		}
		for _, rows := range []int{10, 1000, 50000} {
			ask := Message{Path: "/v1/models/iris", ContentType: "application/json", Body: []byte(p.ask(rows)), Header: func(string) string { return "" }}
			answer := Message{Status: 200, ContentType: "application/json", Body: []byte(p.answer(rows)), Header: ask.Header}
			b.Run(fmt.Sprintf("%s/%d-B", p.name, len(ask.Body)), func(b *testing.B) {
				var f Facts
				b.SetBytes(int64(len(ask.Body) + len(answer.Body)))
				b.ReportAllocs()
				for b.Loop() {
					f.Reset()
					a.Request(&ask, &f)
					a.Response(&answer, &f)
				}
				if f.Faults != [ExtractReasons]int{} || f.Rows == 0 {
					b.Errorf("%d rows, faults %v", f.Rows, f.Faults)
				}
			})
		}
	}
}
