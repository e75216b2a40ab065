package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mlproxy/modeltest"
	"mlproxy/source/consultest"
)

// Keys are heard from an agent that speaks TLS, believed by its authority in ca_file, with the token in token_file.
func TestConsulSecure(t *testing.T) {
	t.Parallel()
	agent := consultest.Start(t, consultest.Options{TLS: true, ACL: true})
	ca, token := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(ca, agent.Authority.PEM, 0o600))
	must(t, os.WriteFile(token, []byte(consultest.Root), 0o600))
	r := start(t, fmt.Sprintf("consul: {address: %q, ca_file: %q, token_file: %q}\n", agent.Secure(), ca, token)+
		fleetRoutes(serve(t, modeltest.Options{}), serve(t, modeltest.Options{})))
	agent.Put(t, "mlproxy/routes/iris/split", "{stable: 90, canary: 10}")
	await(t, "the key to be heard", func() error { return saysOf(r, "iris", "10", "consul") })
	r.cli(0, "switch", "search", "green", "--wait", "20s")
	must(t, saysOf(r, "search", "green", "operator"))
}
