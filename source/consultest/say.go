package consultest

import (
	"encoding/json"
	"net/http"
	"testing"
)

// Instance is one member of a service as an agent knows it.
type Instance struct {
	ID, Name string
	Tags     []string
	Address  string // empty = the node's
	Port     int
	Status   string // passing (the default), warning or critical
	Weight   int    // 0 = Consul's default
	Meta     map[string]string
}

// Put writes a key, whatever stood there.
func (a *Agent) Put(t testing.TB, key, value string) {
	t.Helper()
	a.must(t, http.MethodPut, "/v1/kv/"+key, value)
}

// Delete removes a key and, if it ends in "/", all below it.
func (a *Agent) Delete(t testing.TB, key string) {
	t.Helper()
	path := "/v1/kv/" + key
	if key[len(key)-1] == '/' {
		path += "?recurse"
	}
	a.must(t, http.MethodDelete, path, "")
}

// Get is what stands in a key; "" = nothing.
func (a *Agent) Get(t testing.TB, key string) string {
	t.Helper()
	value, _ := a.call(http.MethodGet, "/v1/kv/"+key+"?raw", "")
	return value
}

// Register makes an instance a member of its service. Its check is whatever [Agent.SetStatus] says.
func (a *Agent) Register(t testing.TB, i Instance) {
	t.Helper()
	if i.Status == "" {
		i.Status = "passing"
	}
	service := map[string]any{
		"ID": i.ID, "Name": i.Name, "Tags": i.Tags, "Address": i.Address, "Port": i.Port, "Meta": i.Meta,
		"Check": map[string]string{"CheckID": "check:" + i.ID, "TTL": "24h", "Status": i.Status},
	}
	if i.Weight != 0 {
		service["Weights"] = map[string]int{"Passing": i.Weight, "Warning": 1}
	}
	a.must(t, http.MethodPut, "/v1/agent/service/register", encode(t, service))
}

// SetStatus makes an instance's check passing, warning or critical.
func (a *Agent) SetStatus(t testing.TB, id, status string) {
	t.Helper()
	a.must(t, http.MethodPut, "/v1/agent/check/update/check:"+id, encode(t, map[string]string{"Status": status}))
}

// Deregister takes an instance out of the catalogue.
func (a *Agent) Deregister(t testing.TB, id string) {
	t.Helper()
	a.must(t, http.MethodPut, "/v1/agent/service/deregister/"+id, "")
}

// Token makes a token with rules such as `key_prefix "mlproxy/" { policy = "read" }`. revoke ends it.
func (a *Agent) Token(t testing.TB, name, rules string) (secret string, revoke func()) {
	t.Helper()
	a.must(t, http.MethodPut, "/v1/acl/policy", encode(t, map[string]string{"Name": name, "Rules": rules}))
	made := a.must(t, http.MethodPut, "/v1/acl/token", encode(t, map[string]any{"Policies": []map[string]string{{"Name": name}}}))
	var token struct{ AccessorID, SecretID string }
	if err := json.Unmarshal([]byte(made), &token); err != nil {
		t.Fatal(err)
	}
	return token.SecretID, func() {
		t.Helper()
		a.must(t, http.MethodDelete, "/v1/acl/token/"+token.AccessorID, "")
	}
}

func (a *Agent) must(t testing.TB, method, path, body string) string {
	t.Helper()
	said, err := a.call(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	return said
}

func encode(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
