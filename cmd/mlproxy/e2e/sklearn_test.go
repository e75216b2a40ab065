package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
)

// python is Debian's: its packages python3-sklearn, python3-fastapi and python3-uvicorn are not another interpreter's.
const python = "/usr/bin/python3"

// dataset is what the server of modeltest/sklearn was made of, and what follows from it.
type dataset struct {
	Rows  [][]*float64 // nil: missing
	Names []string
}

type figures struct {
	Classes       map[string]int
	Confidence    float64
	MissingRows   int `json:"missing_rows"`
	MissingValues int `json:"missing_values"`
	Brightness    []float64
}

func fetch[T any](t *testing.T, url string) (v T) {
	t.Helper()
	status, text := call(t, http.MethodGet, url, "")
	must(t, equal("the status of "+url, status, http.StatusOK))
	must(t, json.Unmarshal([]byte(text), &v))
	return v
}

// inBatches are the rows, size at a time.
func inBatches(rows [][]*float64, size int) (batches [][][]*float64) {
	for ; len(rows) > size; rows = rows[size:] {
		batches = append(batches, rows[:size])
	}
	return append(batches, rows)
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

// inference is a request of the Open Inference Protocol.
func inference(t *testing.T, datatype string, shape []int, data []*float64) string {
	type object = map[string]any
	return text(t, object{"inputs": []object{{"name": "x", "shape": shape, "datatype": datatype, "data": data}}})
}

func flat(rows [][]*float64) (all []*float64) {
	for _, row := range rows {
		all = append(all, row...)
	}
	return all
}

// scikit-learn serves its own data sets behind FastAPI, and mlproxy finds in the traffic what numpy finds in the arrays.
func TestScikitLearn(t *testing.T) {
	server := string(servedBy(t, python, "../../../modeltest/sklearn/server.py"))
	r := start(t, fmt.Sprintf(`
pools: {sklearn: {endpoints: [%q], connect_timeout: 10s}}
routes:
  iris: {match: {path: /v2/models/iris/}, protocol: open_inference, split: {sklearn: 1}}
  cancer: {match: {path: /invocations}, protocol: mlflow, split: {sklearn: 1}}
  digits: {match: {path: /v2/models/digits/}, protocol: open_inference, split: {sklearn: 1}}
`, server))
	data := func(name string) (dataset, figures) {
		return fetch[dataset](t, server+"/data/"+name), fetch[figures](t, server+"/expected/"+name)
	}
	ask := func(path, body string) {
		t.Helper()
		status, said := call(t, http.MethodPost, "http://"+r.data+path, body)
		must(t, equal(said, status, http.StatusOK))
	}

	iris, want := data("iris")
	for _, batch := range inBatches(iris.Rows, 16) {
		ask("/v2/models/iris/infer", inference(t, "FP64", []int{len(batch), 4}, flat(batch)))
	}
	r.finds("iris", len(iris.Rows), want)
	must(t, near("the mean confidence of iris", r.mean("mlproxy_confidence", "route=iris"), want.Confidence))

	cancer, want := data("breast_cancer")
	for _, batch := range inBatches(cancer.Rows, 50) {
		ask("/invocations", text(t, map[string]any{"dataframe_split": map[string]any{"columns": cancer.Names, "data": batch}}))
	}
	r.finds("cancer", len(cancer.Rows), want)

	digits, want := data("digits")
	for _, batch := range inBatches(digits.Rows, 100) {
		ask("/v2/models/digits/infer", inference(t, "UINT8", []int{len(batch), 8, 8, 1}, flat(batch)))
	}
	r.finds("digits", len(digits.Rows), want)
}

// The same images as PNG files in base64, which is how people send them: their brightness is that of the arrays.
func TestBrightnessOfFiles(t *testing.T) {
	server := string(servedBy(t, python, "../../../modeltest/sklearn/server.py"))
	digits, want := fetch[dataset](t, server+"/data/digits"), fetch[figures](t, server+"/expected/digits")
	model := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"predictions": []}`) }))
	t.Cleanup(model.Close)
	r := start(t, fmt.Sprintf(`
pools: {a: {endpoints: [%q]}}
routes: {digits: {match: {path: /v1/models/}, protocol: tf_serving, split: {a: 1}}}
`, model.URL))
	const images = 200
	type object = map[string]any
	for _, batch := range inBatches(digits.Rows[:images], 10) {
		var instances []object
		for _, row := range batch {
			instances = append(instances, object{"b64": base64.StdEncoding.EncodeToString(picture(t, row))})
		}
		call(t, http.MethodPost, "http://"+r.data+"/v1/models/digits:predict", text(t, object{"instances": instances}))
	}
	r.awaitSum(images, "mlproxy_input_image_brightness")
	must(t, near("the mean brightness", r.mean("mlproxy_input_image_brightness"), mean(want.Brightness[:images])))
}

// picture is a row of digits as a PNG file.
func picture(t *testing.T, row []*float64) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, 8, 8))
	for i, v := range row {
		img.SetGray(i%8, i/8, color.Gray{Y: uint8(*v)})
	}
	var b bytes.Buffer
	must(t, png.Encode(&b, img))
	return b.Bytes()
}

// finds waits until all rows were inspected, and holds the metrics to the figures.
func (r *running) finds(route string, rows int, want figures) {
	r.t.Helper()
	label := "route=" + route
	r.awaitSum(rows, "mlproxy_rows_total", label)
	r.awaitSum(rows, "mlproxy_predictions_total", label)
	m := r.metrics()
	for class, n := range want.Classes {
		must(r.t, equal(route+", class "+class, m.sum("mlproxy_predictions_total", label, "class="+class), n))
	}
	must(r.t, equal(route+": rows with missing values", m.sum("mlproxy_input_rows_missing_total", label), want.MissingRows))
	must(r.t, equal(route+": missing values", m.sum("mlproxy_input_values_missing_total", label), want.MissingValues))
	must(r.t, equal(route+": missing outputs", m.sum("mlproxy_outputs_missing_total", label), 0))
	must(r.t, equal(route+": faults", m.sum("mlproxy_extract_errors_total", label), 0))
}

// mean is that of a histogram.
func (r *running) mean(name string, labels ...string) float64 {
	r.t.Helper()
	sum, n := 0.0, 0.0
	for _, series := range r.metrics()[name].GetMetric() {
		if has(series, labels) {
			sum += series.GetHistogram().GetSampleSum()
			n += float64(series.GetHistogram().GetSampleCount())
		}
	}
	return sum / n
}

func mean(all []float64) (m float64) {
	for _, v := range all {
		m += v / float64(len(all))
	}
	return m
}

func near(what string, got, want float64) error {
	if math.Abs(got-want) > 1e-6*math.Abs(want) {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}
