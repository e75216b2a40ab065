package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestField(t *testing.T) {
	f := func(body, key, want string) {
		t.Helper()
		value, found, err := Field([]byte(body), key)
		if err != nil || !found || string(value) != want {
			t.Errorf("Field(%s, %q) = %q, %t, %v; want %q", body, key, value, found, err, want)
		}
	}
	f(`{"model":"llama"}`, "model", "llama")
	f(" {\r\n\t\"model\" : \"llama\" , \"n\":1 } \n", "model", "llama")
	f(`{"messages":[{"model":"inner"}],"model":"outer"}`, "model", "outer")
	f(`{"model":"outer","x":{"model":"inner"}}`, "model", "outer")
	f(`{"model":""}`, "model", "")
	f(`{"":"nameless"}`, "", "nameless")
	f("\xef\xbb\xbf"+`{"model":"marked"}`, "model", "marked")
	// Numbers and booleans are as written.
	f(`{"id":42}`, "id", "42")
	f(`{"id":-0.50e+7}`, "id", "-0.50e+7")
	f(`{"id":12345678901234567890}`, "id", "12345678901234567890")
	f(`{"id":true}`, "id", "true")
	f(`{"id":NaN}`, "id", "NaN")
	// What JSON has no tokens for.
	f(`{"a":[NaN,nan,Infinity,inf,-Infinity,+Infinity,-inf,+inf,-NaN],"model":"m"}`, "model", "m")
	f("{\"a\":\"raw\ttab\nline\x00\xff\",\"model\":\"m\"}", "model", "m")
	// Paths.
	f(`{"user":{"name":"x","id":"u1"}}`, "user.id", "u1")
	f(`{"a":{"b":{"c":7}},"b":{"c":8}}`, "a.b.c", "7")
	f(`{"user":{"x":{"id":1},"id":2},"id":3}`, "user.id", "2")
	// Escapes, in values and names.
	f(`{"model":"a\"b\\c\/d\b\f\n\r\t"}`, "model", "a\"b\\c/d\b\f\n\r\t")
	f(`{"model":"\u00e9\u20AC\uD83D\ude00"}`, "model", "é€😀")
	f(`{"model":"\ud83d \ud83dx\ud83d\u0041\ude00"}`, "model", "\ufffd \ufffdx\ufffdA\ufffd")
	f(`{"m\u006fdel":"m"}`, "model", "m")
	f(`{"\u006d\u006f\u0064\u0065\u006C":"m"}`, "model", "m")
	f(`{"\ud83d\ude00":"m"}`, "😀", "m")
	f(`{"a":"ends in a backslash\\","model":"m"}`, "model", "m")
	f(`{"a":"\\\"","model":"m"}`, "model", "m")
}

func TestFieldIsAbsent(t *testing.T) {
	f := func(body, key string) {
		t.Helper()
		if value, found, err := Field([]byte(body), key); found || value != nil || err != nil {
			t.Errorf("Field(%s, %q) = %q, %t, %v; want absence", body, key, value, found, err)
		}
	}
	f(``, "model")
	f(" \n ", "model")
	f(`{}`, "model")
	f(`[]`, "model")
	f(`[{"model":"m"}]`, "model")
	f(`"model"`, "model")
	f(`3.5`, "model")
	f(`NaN`, "model")
	f(`{"Model":"m"}`, "model")
	f(`{"mode":"m","models":"m"}`, "model")
	f(`{"model":null}`, "model")
	f(`{"model":{"name":"m"}}`, "model")
	f(`{"model":["m"]}`, "model")
	f(`{"user":"u","id":"i"}`, "user.id")
	f(`{"user":[{"id":"i"}]}`, "user.id")
	f(`{"user.id":"i"}`, "user.id")
	f(`{"x":{"model":"m"}}`, "model")
	f(`{"\u0000odel":"m"}`, "model")
	f(`{"`+strings.Repeat(`\u0061`, 99)+`":"m"}`, "aa")
}

func TestFieldRefuses(t *testing.T) {
	f := func(want error, body, key string) {
		t.Helper()
		if value, found, err := Field([]byte(body), key); !errors.Is(err, want) || found || value != nil {
			t.Errorf("Field(%.80s, %q) = %q, %t, %v; want %v", body, key, value, found, err, want)
		}
	}
	f(ErrDuplicate, `{"model":"a","model":"b"}`, "model")
	f(ErrDuplicate, `{"model":"a","model":"a"}`, "model")
	f(ErrDuplicate, `{"model":"a","mod\u0065l":"b"}`, "model")
	f(ErrDuplicate, `{"model":null,"x":[1,2],"model":"b"}`, "model")
	f(ErrDuplicate, `{"user":{"id":1},"user":{"id":2}}`, "user.id")
	f(ErrDuplicate, `{"user":1,"user":{"id":2}}`, "user.id")
	f(ErrDuplicate, `{"user":{"id":1,"id":2}}`, "user.id")

	whole := `{"a":[1,-2.5e3,"x\n",{"b":null}],"model":"m\u0041","z":true}`
	for n := 1; n < len(whole); n++ {
		f(ErrSyntax, whole[:n], "model")
	}
	for _, tail := range []string{`}`, `]`, `,`, `x`, `{}`, `"`, "\x00"} {
		f(ErrSyntax, whole+tail, "model")
	}
	for _, value := range []string{
		``, `]`, `}`, `,`, `[1,]`, `[,1]`, `[1 2]`, `[1,,2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{'a':1}`, `{"a" 1}`, `{"a":1 "b":2}`, `{1:2}`, `[}`, `{]`,
		`tru`, `truex`, `True`, `None`, `undefined`, `+`, `-`, `+1`, `.5`, `5.`, `1.e3`, `1e`, `1e+`, `01`, `-01`, `0x10`, `1_000`, `NAN`, `Inf`, `--inf`, `+true`,
		`"\x"`, `"\u12"`, `"\u12g4"`, `"\`, `"\"`, `'m'`, "\x00", "\x00\"a\"",
	} {
		f(ErrSyntax, `{"model":"m","v":`+value+`}`, "model")
		f(ErrSyntax, `{"model":`+value+`}`, "model")
	}

	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	f(ErrDepth, `{"a":`+deep(maxDepth)+`}`, "model")
	f(ErrDepth, strings.Repeat(`{"a":`, 1<<20), "a.a.a")
	if _, _, err := Field([]byte(`{"a":`+deep(maxDepth-1)+`}`), "model"); err != nil {
		t.Errorf("nested as deep as is allowed: %v", err)
	}
}

// Escapes must not make the search for a string's end start over.
func TestFieldReadsOnce(t *testing.T) {
	body := []byte(`{"a":"` + strings.Repeat(`\n`, 8<<20) + `","model":"m"}`)
	if value, found, err := Field(body, "model"); string(value) != "m" || !found || err != nil {
		t.Errorf("Field = %q, %t, %v", value, found, err)
	}
}

func TestFieldAllocatesNothing(t *testing.T) {
	f := func(body, key string, want float64) {
		t.Helper()
		b := []byte(body)
		if got := testing.AllocsPerRun(100, func() { _, _, _ = Field(b, key) }); got != want {
			t.Errorf("Field(%.60s, %q) allocates %v times; want %v", body, key, got, want)
		}
	}
	f(chat(4<<10), "model", 0)
	f(`{"m\u006fdel":"m","x":[1,2,{"y":NaN}]}`, "model", 0)
	f(`{"user":{"id":17}}`, "user.id", 0)
	f(`{"model":"a","model":"b"}`, "model", 0)
	f(`{"model":"a`, "model", 0)
	f(`{"model":"a\u0041"}`, "model", 1)
}

func FuzzField(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m"}`, `{"m\u006fdel":"m","a":[1,2.5e-3,NaN,-Infinity]}`, `{"user":{"id":"u\n1","id":2}}`, `{"model":"a","model":"b"}`,
		`{"inputs":[{"name":"x","shape":[2,3],"datatype":"FP32","data":[1,2,3,4,null,6]}],"model":null}`,
		`{"instances":[[1.0,Infinity]],"model":"\ud83d\ude00\ud83d"}`, ` [1,"a\\",{}] `, "\xef\xbb\xbf{}", `{"a":"\"`, `[[[[`, chat(300),
	} {
		for _, key := range []string{"model", "user.id"} {
			f.Add([]byte(seed), key)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, key string) {
		before := bytes.Clone(body)
		value, found, err := Field(body, key)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		if err != nil && found {
			t.Fatal("a value beside an error")
		}
		if json.Valid(body) && errors.Is(err, ErrSyntax) {
			t.Fatal("valid JSON was refused")
		}
		if json.Valid(body) && err == nil && !strings.Contains(key, ".") {
			same(t, body, key, value, found)
		}
	})
}

// same compares with the standard library, which keeps the last of equal members, as Field, which refuses them, cannot.
func same(t *testing.T, body []byte, key string, value []byte, found bool) {
	t.Helper()
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		members = nil
	}
	raw, present := members[strings.ToValidUTF8(key, "\ufffd")]
	if !bytes.Equal([]byte(key), []byte(strings.ToValidUTF8(key, "\ufffd"))) {
		return // the library mends names that are no UTF-8; we compare bytes
	}
	if scalar := present && raw[0] != '{' && raw[0] != '[' && string(raw) != "null"; scalar != found {
		t.Fatalf("found = %t, value %q; the library has %q", found, value, raw)
	}
	if !found {
		return
	}
	want := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
		value = []byte(string([]rune(string(value)))) // as the library, which mends each byte that is none of UTF-8
	}
	if string(value) != want {
		t.Fatalf("value = %q; the library has %q", value, want)
	}
}

// chat is a request to a language model, of about size bytes, with the model's name last.
func chat(size int) string {
	line := `{"role":"user","content":"Say \"yes\" or \"no\".\nThen explain why, in at most three sentences of plain English."},`
	lines := strings.Repeat(line, size/len(line)+1)
	return fmt.Sprintf(`{"messages":[%s],"temperature":0.7,"stream":true,"model":"llama"}`, strings.TrimSuffix(lines, ","))
}

func BenchmarkHowLongDoesTheModelOfAChatTake(b *testing.B) {
	for _, size := range []int{1 << 10, 220 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) { benchmark(b, chat(size)) })
	}
}

func BenchmarkHowLongDoesTheModelBesideATensorTake(b *testing.B) {
	tensor := strings.Repeat("0.12345678,", 20<<10)
	benchmark(b, `{"inputs":[{"name":"x","data":[`+tensor+`0]}],"model":"llama"}`)
}

func benchmark(b *testing.B, body string) {
	b.Helper()
	doc := []byte(body)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, found, err := Field(doc, "model"); !found || err != nil {
			b.Fatal(found, err)
		}
	}
}
