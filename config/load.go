package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Load reads the file at path, with variables from the environment of the process. What the file says wrongly comes as
// [Faults]; any other error means that it could not be read. Files the config names are tried as well.
func Load(path string) (*Config, error) {
	src, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("config file: %w; name a file that can be read", err)
	}
	c, err := Parse(path, src, os.LookupEnv)
	var faults Faults
	if err != nil && !errors.As(err, &faults) || c == nil && faults == nil {
		return nil, err
	}
	if c != nil {
		faults = c.checkFiles()
	}
	if err := faults.orNil(); err != nil {
		return nil, err
	}
	return c, nil
}

// readFile reads a little more than a document may have, so that Parse can say that it is too long.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxDocument+1))
}

// Parse reads src, the text of a file of that name, with variables from env. Its error is always [Faults]: all of them.
// It touches no other file.
func Parse(file string, src []byte, env func(string) (string, bool)) (*Config, error) {
	t := &tree{file: file, env: env, done: map[*yaml.Node]*node{}}
	root := t.parse(src)
	if root == nil {
		return nil, t.faults.orNil()
	}
	r := &reader{faults: t.faults, where: map[string]Position{"": root.at}}
	c, ok := document.read(r, root, "")
	c.where = r.where
	if root.kind == mapping {
		c.settle(filepath.Dir(file))
		r.faults = append(r.faults, c.check()...)
	}
	if err := r.faults.orNil(); err != nil || !ok {
		return nil, err
	}
	return &c, nil
}

// settle lets relative paths start at the file's folder, and fills in what depends on more than one key.
func (c *Config) settle(folder string) {
	c.TLS.settle(folder)
	c.Admin.TLS.settle(folder)
	c.settleParts(folder, Source{Origin: FromFile})
	c.folder = folder
	if c.Consul != nil {
		c.Consul.TokenFile, c.Consul.CAFile = from(folder, c.Consul.TokenFile), from(folder, c.Consul.CAFile)
	}
	c.StateDir = from(folder, c.StateDir)
	c.Admin.TokenFile = from(folder, c.Admin.TokenFile)
	c.Log.Access.File = from(folder, c.Log.Access.File)
	if c.Journal != nil {
		c.Journal.File = from(folder, c.Journal.File)
	}
	c.Feedback.KeyFile = from(folder, c.Feedback.KeyFile)
}

// settleParts is settle for the pools and routes, which are all from one source: they get their names, too.
func (c *Config) settleParts(folder string, said Source) {
	for name, p := range c.Pools {
		p.Name, p.Source = name, said
		p.TLS.CAFile, p.TLS.CertFile, p.TLS.KeyFile = from(folder, p.TLS.CAFile), from(folder, p.TLS.CertFile), from(folder, p.TLS.KeyFile)
		if h := p.HealthCheck; h != nil && h.Body != "" && !c.says("pools."+name+".health_check.method") {
			h.Method = "POST"
		}
		for i := range p.Endpoints {
			p.Endpoints[i].Foreign = said.Origin != FromFile
		}
	}
	for name, r := range c.Routes {
		r.Name = name
		r.from(said)
		r.settleAdmission(folder)
	}
}

// from says of every value of a route who said it.
func (r *Route) from(s Source) { r.Base, r.Source, r.ShadowFrom = s, s, s }

func from(folder, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}

// checkFiles tries the files that the config names, and reads those that are a part of it.
func (c *Config) checkFiles() (faults Faults) {
	if err := c.checkConsulToken(); err != nil {
		faults = append(faults, c.Fault("consul.token_file", "consul.token_file: "+err.Error(), "name a readable file that holds a token"))
	}
	if err := checkToken(c.Admin.TokenFile); err != nil {
		faults = append(faults, c.Fault("admin.token_file", "admin.token_file: "+err.Error(), "name a readable file that holds a token"))
	}
	if err := checkPlace(c.Log.Access.File); err != nil {
		faults = append(faults, c.Fault("log.access.file", "log.access.file: "+err.Error(), "name a file in a folder that exists"))
	}
	if c.Journal != nil {
		if err := checkPlace(c.Journal.File); err != nil {
			faults = append(faults, c.Fault("journal.file", "journal.file: "+err.Error(), "name a file in a folder that exists"))
		}
	}
	faults = append(faults, c.loadFeedback()...)
	faults = append(faults, c.tryTLS()...)
	return append(faults, c.loadParts(c)...)
}

// loadParts tries and reads the files that the pools and routes of part name, which are c's.
func (c *Config) loadParts(part *Config) Faults {
	faults := c.tryPoolTLS(slices.Sorted(maps.Keys(part.Pools)))
	return append(faults, c.loadKeys(slices.Sorted(maps.Keys(part.Routes)))...)
}

func (c *Config) checkConsulToken() error {
	if c.Consul == nil {
		return nil
	}
	return checkToken(c.Consul.TokenFile)
}

// checkPlace sees to it that a file can be at path.
func checkPlace(path string) error {
	if path == "" {
		return nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	_, err := os.Stat(filepath.Dir(path))
	return err
}

func checkToken(path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	token, err := os.ReadFile(path)
	if err == nil && strings.TrimSpace(string(token)) == "" {
		return fmt.Errorf("%s is empty", path)
	}
	return err
}
