// Package consultest runs genuine Consul agents for the tests of several rooms, and for bench/fleet: one process each, on free ports of loopback, to be
// stopped, killed, frozen and started again. It speaks plain HTTP to them, so that no test proves our client with itself.
package consultest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mlproxy/modeltest"
)

// Root is the token that may do everything at an agent with [Options.ACL].
const Root = "5b6a9c0e-0000-4000-8000-000000000001"

// Options say how an agent runs. The zero value is the quick one: everything in memory, everybody may do everything.
type Options struct {
	// Durable agents have their data on disk and find it again after a restart. They take seconds to elect themselves, not a moment.
	Durable bool
	// ACL denies everything to those who have no token; see [Root] and [Agent.Token].
	ACL bool
	// TLS agents also speak it, at [Agent.Secure], and show a certificate of [Agent.Authority].
	TLS bool
}

// Agent is one Consul process. Its address stays the same over restarts.
type Agent struct {
	options Options
	folder  string   // data and log; removed by Close
	ports   []string // HTTP, server, gossip, HTTPS; ours until give, also while the agent is down
	give    func()
	process *exec.Cmd
	token   string // used by the helpers

	// Authority is that of the certificate of [Options.TLS]; nil without.
	Authority *modeltest.Authority
}

// patience is how long an agent may take to be of use, on a busy machine.
const patience = 60 * time.Second

// Start runs an agent for the length of a test.
func Start(t testing.TB, o Options) *Agent {
	t.Helper()
	a, err := Launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// Launch runs an agent until Close, for those who share one among tests. It returns once keys can be written.
func Launch(o Options) (*Agent, error) {
	folder, err := os.MkdirTemp("", "consultest-")
	if err != nil {
		return nil, err
	}
	a := &Agent{options: o, folder: folder}
	if o.ACL {
		a.token = Root
	}
	if a.ports, a.give, err = modeltest.Hold(4); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	if o.TLS {
		err = a.certify()
	}
	if err == nil {
		err = a.launch()
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

// certify gives the agent a certificate.
func (a *Agent) certify() (err error) {
	if a.Authority, err = modeltest.NewAuthority(); err != nil {
		return err
	}
	certificate, err := a.Authority.Issue(time.Now().Add(time.Hour), "127.0.0.1")
	if err == nil {
		_, _, err = certificate.Write(a.folder, "agent")
	}
	return err
}

// Close ends the agent and removes what it wrote.
func (a *Agent) Close() {
	if a.process != nil {
		a.end(syscall.SIGKILL)
	}
	a.give()
	_ = os.RemoveAll(a.folder)
}

// Address is the URL of the agent's HTTP interface.
func (a *Agent) Address() string { return "http://127.0.0.1:" + a.ports[0] }

// Secure is the URL of the same by TLS; see [Options.TLS].
func (a *Agent) Secure() string { return "https://127.0.0.1:" + a.ports[3] }

// Stop ends the agent as an operator does, by SIGTERM, and waits for it.
func (a *Agent) Stop() { a.end(syscall.SIGTERM) }

// Kill ends the agent without a chance to say goodbye.
func (a *Agent) Kill() { a.end(syscall.SIGKILL) }

// Freeze makes the agent a black hole: connections are accepted by the kernel, and nobody answers. It returns once every thread has stopped,
// which takes a busy process its time.
func (a *Agent) Freeze() {
	_ = a.process.Process.Signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	for { // the kernel tells the parent when the last thread has stopped
		_, err := syscall.Wait4(a.process.Process.Pid, &status, syscall.WUNTRACED, nil)
		if err != syscall.EINTR {
			break
		}
	}
	if !status.Stopped() {
		panic("consultest: the agent did not stop at SIGSTOP")
	}
}

// Thaw ends Freeze.
func (a *Agent) Thaw() { _ = a.process.Process.Signal(syscall.SIGCONT) }

// Restart runs an ended agent again at the same address, and returns once keys can be written. keepData needs [Options.Durable].
func (a *Agent) Restart(t testing.TB, keepData bool) {
	t.Helper()
	if keepData && !a.options.Durable {
		t.Fatal("only an agent started with Options.Durable finds its data again")
	}
	if !keepData {
		_ = os.RemoveAll(filepath.Join(a.folder, "data"))
	}
	if err := a.launch(); err != nil {
		t.Fatal(err)
	}
}

func (a *Agent) end(by os.Signal) {
	_ = a.process.Process.Signal(by)
	_ = a.process.Wait()
	a.process = nil
}

func (a *Agent) launch() error {
	binary, err := find()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(a.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	a.process = exec.Command(binary, a.arguments()...)
	a.process.Stdout, a.process.Stderr = log, log
	a.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that panics leaves no agent behind
	if err := a.process.Start(); err != nil {
		a.process = nil
		return err
	}
	if err := a.await(); err != nil {
		a.Kill()
		said, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%w; it said:\n%s", err, said)
	}
	return nil
}

// arguments: nothing but loopback, no DNS, no gRPC, no service mesh, and sessions short enough for tests.
func (a *Agent) arguments() []string {
	list := []string{
		"agent", "-bind", "127.0.0.1", "-client", "127.0.0.1", "-http-port", a.ports[0],
		"-server-port", a.ports[1], "-serf-lan-port", a.ports[2], "-serf-wan-port", "-1",
		"-grpc-port", "-1", "-grpc-tls-port", "-1", "-dns-port", "-1", "-log-level", "error",
		"-hcl", "connect { enabled = false }", "-hcl", `session_ttl_min = "500ms"`, "-hcl", "disable_update_check = true",
	}
	if a.options.Durable {
		list = append(list, "-server", "-bootstrap-expect", "1", "-data-dir", filepath.Join(a.folder, "data"),
			"-hcl", "performance { raft_multiplier = 1 }")
	} else {
		list = append(list, "-dev")
	}
	if a.options.ACL {
		list = append(list, "-hcl", `acl { enabled = true, default_policy = "deny", tokens { initial_management = "`+Root+`" } }`)
	}
	if a.options.TLS {
		list = append(list, "-https-port", a.ports[3], "-hcl", fmt.Sprintf("tls { https { cert_file = %q, key_file = %q } }",
			filepath.Join(a.folder, "agent.pem"), filepath.Join(a.folder, "agent.key")))
	}
	return list
}

// await returns once the agent answers a write: it leads, and its key-value store is there.
func (a *Agent) await() error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if _, err := a.call(http.MethodPut, "/v1/kv/consultest", "ready"); err == nil {
			_, err = a.call(http.MethodDelete, "/v1/kv/consultest", "")
			return err
		}
		if a.ended() {
			return errors.New("consul ended at once")
		}
	}
	return fmt.Errorf("consul was not ready within %v", patience)
}

// ended says whether the process is over though nobody has waited for it yet.
func (a *Agent) ended() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", a.process.Process.Pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// call asks the agent, and returns what it said. Any status but 200 is an error.
func (a *Agent) call(method, path, body string) (string, error) {
	request, err := http.NewRequest(method, a.Address()+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("X-Consul-Token", a.token)
	request.Close = true // no idle connection outlives the call: tests look for leaked goroutines
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %s", method, path, response.Status, said)
	}
	return string(said), err
}

// find looks for the pinned agent in .bin of the folder that has go.mod.
func find() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; folder = filepath.Dir(folder) {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			break
		}
		if folder == filepath.Dir(folder) {
			return "", errors.New("no go.mod above the working directory; run the tests inside the repository")
		}
	}
	binary := filepath.Join(folder, ".bin", "consul")
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("%w; `make setup` builds it, once", err)
	}
	return binary, nil
}
