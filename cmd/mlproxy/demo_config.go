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
	type pool struct {
		Name, URL, About string
		Tag              string // in Consul's catalogue; empty = the file says where it is
	}
	data := struct {
		*demoPlace
		Service string
		Pools   []pool
	}{demoPlace: place, Service: demoService}
	for _, d := range demoServers {
		p := pool{Name: d.pool, URL: servers[d.pool].URL, About: d.about}
		if place.Consul != nil {
			p.Tag, _ = demoTag(d.pool)
		}
		data.Pools = append(data.Pools, p)
	}
	var out bytes.Buffer
	if err := demoTemplate.Execute(&out, data); err != nil {
		panic(err) // the template is ours, and so is what it is filled with
	}
	return out.Bytes()
}
