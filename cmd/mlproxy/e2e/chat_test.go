package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// openai is the config of one route to a model server that speaks OpenAI's protocol.
func openai(url string) string {
	return fmt.Sprintf("pools: {a: {endpoints: [%q]}}\nroutes:\n  chat: {match: {path: /}, protocol: openai, split: {a: 1}}\n", url)
}

const talk = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n" +
	": ping\r\n\r\n" +
	"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Grüße\"},\"finish_reason\":null}]}\r\n\r\n" +
	"data:{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" all\"},\"finish_reason\":null}]}\n\n"

const talkEnds = "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n" +
	"data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n" +
	"data: [DONE]\n\n"

// chatting is a model server that sends what the path asks for in two pieces, cut where the query says.
func chatting(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := streams[r.URL.Path]
		at, _ := strconv.Atoi(r.URL.RawQuery)
		if r.URL.RawQuery == "gzip" {
			said = zipped(said)
			w.Header().Set("Content-Encoding", "gzip")
		}
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		_, _ = io.WriteString(w, said[:at])
		_ = http.NewResponseController(w).Flush()
		_, _ = io.WriteString(w, said[at:])
		if r.URL.Path == "/broken" {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// zipped is the stream as a server sends it that compresses every event by itself.
func zipped(said string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for event := range strings.SplitAfterSeq(said, "\n\n") {
		_, _ = io.WriteString(w, event)
		_ = w.Flush()
	}
	_ = w.Close()
	return b.String()
}

var streams = map[string]string{
	"/whole":     talk + talkEnds,
	"/truncated": talk,
	"/broken":    talk,
	"/error":     talk + "data: {\"error\":{\"message\":\"out of memory\",\"type\":\"server_error\",\"code\":504}}\n\ndata: [DONE]\n\n",
}

const question = `{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello there"}]}`

// However a stream is cut on its way, the client gets the bytes that were sent, and the figures are the same.
func TestChatStreamsPassUntouched(t *testing.T) {
	r := start(t, openai(chatting(t)))
	whole := streams["/whole"]
	for at := range len(whole) + 1 {
		status, said := call(t, http.MethodPost, fmt.Sprintf("http://%s/whole?%d", r.data, at), question)
		must(t, equal("the status", status, http.StatusOK))
		must(t, equal(fmt.Sprintf("the stream cut at %d", at), said, whole))
	}
	n := len(whole) + 1
	r.awaitSum(n, "mlproxy_stream_end_total", "outcome=complete")
	r.awaitSum(9*n, "mlproxy_tokens_total", "type=prompt")
	r.awaitSum(2*n, "mlproxy_tokens_total", "type=completion")
	r.awaitSum(n, "mlproxy_time_to_first_token_seconds")
	r.awaitSum(n, "mlproxy_time_to_first_answer_seconds")
	r.awaitSum(n, "mlproxy_finish_total", "reason=stop")
	r.awaitSum(n, "mlproxy_inter_token_seconds")
	r.awaitSum(n, "mlproxy_input_length", "kind=chars")
	r.awaitSum(n, "mlproxy_input_length", "kind=tokens")
	r.awaitSum(0, "mlproxy_outputs_missing_total")
	r.awaitSum(0, "mlproxy_extract_errors_total")
}

// A stream with an encoding is read as one without.
func TestEncodedChatStreams(t *testing.T) {
	r := start(t, openai(chatting(t)))
	f := func(path string, outcome string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.data+path+"?gzip", strings.NewReader(question))
		must(t, err)
		request.Header.Set("Accept-Encoding", "gzip") // so that the bytes are as they came
		got, err := outside.Do(request)
		must(t, err)
		defer got.Body.Close()
		said, err := io.ReadAll(got.Body)
		must(t, err)
		must(t, equal("the stream "+path, string(said), zipped(streams[path])))
		r.awaitSum(1, "mlproxy_stream_end_total", "outcome="+outcome)
	}
	f("/whole", "complete")
	r.awaitSum(9, "mlproxy_tokens_total", "type=prompt")
	r.awaitSum(2, "mlproxy_tokens_total", "type=completion")
	r.awaitSum(1, "mlproxy_time_to_first_token_seconds")
	r.awaitSum(1, "mlproxy_inter_token_seconds")
	f("/truncated", "truncated")
	f("/error", "error")
	r.awaitSum(0, "mlproxy_extract_errors_total")
	r.awaitSum(0, "mlproxy_inspect_dropped_total")
}

// The status says 200 of all of these: what became of them the stream alone tells.
func TestChatStreamsThatFail(t *testing.T) {
	r := start(t, openai(chatting(t)))
	f := func(path, outcome, missing string, times int) {
		t.Helper()
		got, err := outside.Post("http://"+r.data+path+"?0", "application/json", strings.NewReader(question))
		must(t, err)
		defer got.Body.Close()
		said, err := io.ReadAll(got.Body)
		must(t, equal(path, string(said), streams[path]))
		must(t, equal(path+" broke off", err != nil, path == "/broken"))
		r.awaitSum(times, "mlproxy_outputs_missing_total", "reason="+missing)
		r.awaitSum(times, "mlproxy_stream_end_total", "outcome="+outcome)
	}
	f("/truncated", "truncated", "truncated_stream", 1)
	f("/broken", "truncated", "truncated_stream", 2)
	f("/error", "error", "error_in_stream", 1)
	r.awaitSum(0, "mlproxy_stream_end_total", "outcome=complete")
}

// Tokens are counted, and clocked when the model server sent them: not at once, and not when a slow client took them.
func TestChatIsClocked(t *testing.T) {
	const gap = 20 * time.Millisecond
	model := serve(t, modeltest.Options{TokenGap: gap})
	r := start(t, openai(model.URL))
	body := `{"model":"markov","stream":true,"max_tokens":8,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"Hello"}]}`
	status, said := call(t, http.MethodPost, "http://"+r.data+"/v1/chat/completions", body)
	must(t, equal(said, status, http.StatusOK))
	r.awaitSum(8, "mlproxy_tokens_total", "type=completion")
	r.awaitSum(1, "mlproxy_stream_end_total", "outcome=complete")
	r.awaitSum(1, "mlproxy_time_to_first_token_seconds")
	r.awaitSum(7, "mlproxy_inter_token_seconds")
	if mean := r.mean("mlproxy_inter_token_seconds"); mean < gap.Seconds()/2 || mean > 10*gap.Seconds() {
		t.Errorf("%v s from token to token, %v were between them", mean, gap)
	}
}
