package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mlproxy/modeltest"
)

// supervisor is what systemd is to a service: it hears what the service says of itself.
type supervisor struct {
	t      *testing.T
	name   string
	socket *net.UnixConn
	words  *words // of all messages, a line each
}

func newSupervisor(t *testing.T) *supervisor {
	t.Helper()
	s := &supervisor{t: t, name: filepath.Join(t.TempDir(), "notify"), words: &words{}}
	var err error
	s.socket, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.name, Net: "unixgram"})
	must(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		message := make([]byte, 4096)
		for {
			n, err := s.socket.Read(message)
			if err != nil {
				return
			}
			_, _ = fmt.Fprintf(s.words, "%s\n", message[:n])
		}
	}()
	t.Cleanup(func() { _ = s.socket.Close(); <-ended })
	return s
}

// hears waits until words were said so many times.
func (s *supervisor) hears(words string, times int) {
	s.t.Helper()
	await(s.t, words, func() error {
		if n := strings.Count(s.words.String(), words); n < times {
			return fmt.Errorf("heard %d times, want %d, in:\n%s", n, times, s.words)
		}
		return nil
	})
}

// systemd is told when mlproxy is ready, reloads, stops, and that all is well; over an upgrade it follows to the new process.
func TestSupervisorIsTold(t *testing.T) {
	s := newSupervisor(t)
	command := exec.Command(mlproxy)
	command.Env = []string{"NOTIFY_SOCKET=" + s.name, "WATCHDOG_USEC=400000"}
	r := launch(t, simply(serve(t, modeltest.Options{}).URL), command)
	s.hears("READY=1", 1)
	s.hears(fmt.Sprintf("MAINPID=%d\nSTATUS=serving %s, revision 1\n", r.pid, r.data), 1)
	s.hears("WATCHDOG=1", 3)

	r.signal(syscall.SIGHUP)
	s.hears("RELOADING=1\nMONOTONIC_USEC=", 1)
	s.hears("READY=1", 2)
	r.rewrite("nonsense: 1\n")
	r.awaitSaid("config refused")
	r.signal(syscall.SIGHUP)
	s.hears("the config file was refused", 1)
	r.rewrite(simply(serve(t, modeltest.Options{}).URL))
	s.hears("READY=1", 3)

	r.upgrade()
	s.hears(fmt.Sprintf("MAINPID=%d\n", r.pid), 2) // the old one says so, then the new
	r.awaitSaid("msg=stopped")
	if strings.Contains(s.words.String(), "STOPPING=1") {
		t.Errorf("the old process says that the service stops:\n%s", s.words)
	}
	heard := strings.Count(s.words.String(), "WATCHDOG=1")
	s.hears("WATCHDOG=1", heard+2)
	r.signal(syscall.SIGTERM)
	s.hears("STOPPING=1\n", 1)
	s.hears("EXTEND_TIMEOUT_USEC=32000000\n", 1)
	r.exit(0)
}

// activated is a command that begins with these sockets, as systemd passes them.
func activated(t *testing.T, names string, addresses ...string) (*exec.Cmd, []net.Addr) {
	t.Helper()
	command := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", mlproxy)
	command.Env = []string{fmt.Sprint("LISTEN_FDS=", len(addresses)), "LISTEN_FDNAMES=" + names}
	bound := make([]net.Addr, len(addresses))
	for i, address := range addresses {
		ln, err := net.Listen("tcp", address)
		must(t, err)
		f, err := ln.(*net.TCPListener).File()
		must(t, err)
		bound[i] = ln.Addr()
		must(t, ln.Close())
		t.Cleanup(func() { _ = f.Close() })
		command.ExtraFiles = append(command.ExtraFiles, f)
	}
	return command, bound
}

// The sockets of systemd are served, also by the next process, and requests that came before mlproxy did wait for it.
func TestSocketActivation(t *testing.T) {
	command, bound := activated(t, "admin:data", "127.0.0.1:0", "127.0.0.1:0")
	early := make(chan string, 1)
	go func() {
		answer, err := http.Get("http://" + bound[1].String() + "/v2/health/live")
		if err != nil {
			early <- err.Error()
			return
		}
		_ = answer.Body.Close()
		early <- answer.Status
	}()
	r := launch(t, simply(serve(t, modeltest.Options{}).URL), command)
	must(t, equal("the admin listener", r.admin, bound[0].String()))
	must(t, equal("the data listener", r.data, bound[1].String()))
	must(t, equal("the answer to the one who came before", <-early, "200 OK"))
	r.upgrade()
	must(t, equal("the data listener after an upgrade", r.data, bound[1].String()))
	must(t, equal("an answer after it", r.read("/v2/health/live")[:3], "200"))
}

// A socket that the config does not ask for is a fault of one of the two.
func TestSocketsThatDoNotFit(t *testing.T) {
	f := func(names string, addresses []string, wants ...string) {
		t.Helper()
		command, bound := activated(t, names, addresses...)
		file := filepath.Join(t.TempDir(), "config.yaml")
		must(t, os.WriteFile(file, []byte(preamble+simply("http://127.0.0.1:1")), 0o600))
		command.Args = append(command.Args, "serve", "-c", file)
		command.Env = append(os.Environ(), command.Env...)
		out, _ := command.CombinedOutput()
		must(t, equal("the exit code", command.ProcessState.ExitCode(), 1))
		for _, want := range append(wants, "make the addresses of the .socket unit and of the config the same") {
			if !strings.Contains(string(out), want) {
				t.Errorf("sockets %s at %v: got %s, want %q", names, bound, out, want)
			}
		}
	}
	local := "127.0.0.1:0"
	f("data:admin:data", slices.Repeat([]string{local}, 3), `the socket "data" from systemd is bound to 127.0.0.1:`, "listen is 127.0.0.1:0 and admin.listen is 127.0.0.1:0")
	f("data", []string{"127.0.0.2:0"}, `the socket "data"`, "is bound to 127.0.0.2:")
	f("mlproxy.socket", []string{"0.0.0.0:0"}, `the socket "mlproxy.socket"`)
}
