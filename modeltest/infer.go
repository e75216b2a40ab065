package modeltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
)

// InferBody is an Open Inference Protocol request for these rows. It asks for the named outputs ("label", "class",
// "probabilities"); without names the server sends label and probabilities.
func InferBody(rows [][]float64, outputs ...string) []byte {
	columns := 0
	if len(rows) > 0 {
		columns = len(rows[0])
	}
	body := inferRequest{Inputs: []tensor{{Name: "features", Shape: []int{len(rows), columns}, Datatype: "FP64"}}}
	for _, row := range rows {
		body.Inputs[0].Data = append(body.Inputs[0].Data, row...)
	}
	for _, name := range outputs {
		body.Outputs = append(body.Outputs, wanted{name})
	}
	return encode(body)
}

type inferRequest struct {
	ID      string   `json:"id,omitempty"`
	Inputs  []tensor `json:"inputs"`
	Outputs []wanted `json:"outputs,omitempty"`
}

type wanted struct {
	Name string `json:"name"`
}

type tensor struct {
	Name     string  `json:"name"`
	Shape    []int   `json:"shape"`
	Datatype string  `json:"datatype"`
	Data     numbers `json:"data"`
}

// numbers are a tensor's values in row-major order, however deep the JSON nests them; null is NaN, and back.
type numbers []float64

func (n *numbers) UnmarshalJSON(src []byte) error {
	for _, word := range bytes.FieldsFunc(src, func(r rune) bool { return bytes.ContainsRune([]byte("[], \t\r\n"), r) }) {
		if string(word) == "null" {
			*n = append(*n, math.NaN())
			continue
		}
		v, err := strconv.ParseFloat(string(word), 64)
		if err != nil {
			return fmt.Errorf("data has %.40s; it may hold numbers and null", word)
		}
		*n = append(*n, v)
	}
	return nil
}

func (n numbers) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, v := range n {
		if i > 0 {
			out = append(out, ',')
		}
		if math.IsNaN(v) || math.IsInf(v, 0) { // JSON has no word for either
			out = append(out, "null"...)
			continue
		}
		out = strconv.AppendFloat(out, v, 'g', -1, 64)
	}
	return append(out, ']'), nil
}

type inferResponse struct {
	ModelName    string   `json:"model_name"`
	ModelVersion string   `json:"model_version"`
	ID           string   `json:"id,omitempty"`
	Outputs      []output `json:"outputs"`
}

type output struct {
	Name     string `json:"name"`
	Shape    []int  `json:"shape"`
	Datatype string `json:"datatype"`
	Data     any    `json:"data"`
}

func (s *Server) infer(r *http.Request, body []byte) answer {
	m, err := s.model(r)
	if err != nil {
		return inferError(http.StatusNotFound, err)
	}
	if r.Header.Get("Inference-Header-Content-Length") != "" {
		return inferError(http.StatusBadRequest, fmt.Errorf("binary tensors are not understood; send data as JSON"))
	}
	var request inferRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return inferError(http.StatusBadRequest, err)
	}
	response, err := m.respond(&request)
	if err != nil {
		return inferError(http.StatusBadRequest, err)
	}
	return jsonAnswer(http.StatusOK, response)
}

func (s *Server) model(r *http.Request) (*Model, error) {
	name, version := r.PathValue("model"), r.PathValue("version")
	versions := s.models[name]
	for _, m := range slices.Backward(versions) {
		if version == "" || version == m.Version {
			return m, nil
		}
	}
	if version != "" && len(versions) > 0 {
		return nil, fmt.Errorf("model %s has no version %q here", name, version)
	}
	return nil, fmt.Errorf("there is no model %q here", name)
}

func (m *Model) respond(request *inferRequest) (*inferResponse, error) {
	rows, err := m.rows(request.Inputs)
	if err != nil {
		return nil, err
	}
	outputs, err := m.outputs(rows, request.Outputs)
	if err != nil {
		return nil, err
	}
	return &inferResponse{ModelName: m.Name, ModelVersion: m.Version, ID: request.ID, Outputs: outputs}, nil
}

// rows checks the one input tensor and cuts it into rows.
func (m *Model) rows(inputs []tensor) ([][]float64, error) {
	if len(inputs) != 1 {
		return nil, fmt.Errorf("request has %d inputs; %s takes exactly one", len(inputs), m.Name)
	}
	in, columns := inputs[0], len(m.Features)
	switch {
	case in.Datatype != "FP32" && in.Datatype != "FP64":
		return nil, fmt.Errorf("input %q has datatype %q; %s takes FP32 or FP64", in.Name, in.Datatype, m.Name)
	case len(in.Shape) != 2 || in.Shape[0] < 1 || in.Shape[1] != columns:
		return nil, fmt.Errorf("input %q has shape %v; %s takes [rows %d]", in.Name, in.Shape, m.Name, columns)
	case len(in.Data)/columns != in.Shape[0] || len(in.Data)%columns != 0:
		return nil, fmt.Errorf("input %q has %d values; its shape %v needs %d a row", in.Name, len(in.Data), in.Shape, columns)
	}
	rows := make([][]float64, in.Shape[0])
	for i := range rows {
		rows[i] = in.Data[i*columns : (i+1)*columns]
	}
	return rows, nil
}

func (m *Model) outputs(rows [][]float64, wants []wanted) ([]output, error) {
	if len(wants) == 0 {
		wants = []wanted{{"label"}, {"probabilities"}}
	}
	labels, classes, probabilities := make([]int, len(rows)), make([]string, len(rows)), numbers{}
	for i, row := range rows {
		class, p := m.Predict(row)
		labels[i], classes[i] = class, m.Classes[class]
		probabilities = append(probabilities, p...)
	}
	var outputs []output
	for _, want := range wants {
		switch want.Name {
		case "label":
			outputs = append(outputs, output{"label", []int{len(rows)}, "INT64", labels})
		case "class":
			outputs = append(outputs, output{"class", []int{len(rows)}, "BYTES", classes})
		case "probabilities":
			outputs = append(outputs, output{"probabilities", []int{len(rows), len(m.Classes)}, "FP64", probabilities})
		default:
			return nil, fmt.Errorf("there is no output %q; there are label, class and probabilities", want.Name)
		}
	}
	return outputs, nil
}

func (s *Server) serverMetadata(*http.Request, []byte) answer {
	return jsonAnswer(http.StatusOK, map[string]any{"name": "modeltest", "version": "1", "extensions": []string{}})
}

func (s *Server) metadata(r *http.Request, _ []byte) answer {
	m, err := s.model(r)
	if err != nil {
		return inferError(http.StatusNotFound, err)
	}
	var versions []string
	for _, v := range s.models[m.Name] {
		versions = append(versions, v.Version)
	}
	describe := func(name, datatype string, shape ...int) map[string]any {
		return map[string]any{"name": name, "datatype": datatype, "shape": shape}
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"name": m.Name, "versions": versions, "platform": "modeltest_" + m.Kind,
		"inputs": []any{describe("features", "FP64", -1, len(m.Features))},
		"outputs": []any{
			describe("label", "INT64", -1), describe("class", "BYTES", -1), describe("probabilities", "FP64", -1, len(m.Classes)),
		},
	})
}

func (s *Server) modelReady(r *http.Request, _ []byte) answer {
	if _, err := s.model(r); err != nil {
		return inferError(http.StatusNotFound, err)
	}
	return jsonAnswer(http.StatusOK, struct{}{})
}

func healthy(*http.Request, []byte) answer { return jsonAnswer(http.StatusOK, struct{}{}) }

func unknown(r *http.Request, _ []byte) answer {
	return inferError(http.StatusNotFound, fmt.Errorf("there is nothing at %s %s", r.Method, r.URL.Path))
}

func inferError(status int, err error) answer {
	return jsonAnswer(status, map[string]string{"error": err.Error()})
}

// encode never fails: everything we write can be written.
func encode(v any) []byte {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return out
}
