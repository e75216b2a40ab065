package main

import (
	"bytes"
	_ "embed"
	"text/template"
)

//go:embed demo.yaml
var demoYAML string

var demoTemplate = template.Must(template.New("demo.yaml").Parse(demoYAML))

// demoConfig is the demo's config file: commented, for people will edit it.
func demoConfig(place *demoPlace, servers demoModels) []byte {
	type pool struct{ Name, URL, About string }
	data := struct {
		*demoPlace
		Pools []pool
	}{demoPlace: place}
	for _, d := range demoServers {
		data.Pools = append(data.Pools, pool{d.pool, servers[d.pool].URL, d.about})
	}
	var out bytes.Buffer
	if err := demoTemplate.Execute(&out, data); err != nil {
		panic(err) // the template is ours, and so is what it is filled with
	}
	return out.Bytes()
}
