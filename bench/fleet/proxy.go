package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// proxy is one mlproxy process. It ends with us at the latest.
type proxy struct {
	url   string // of its data listener
	cmd   *exec.Cmd
	ended chan struct{}   // closed when it has ended and all it said is kept
	said  strings.Builder // its log; to be read after its end
}

var serving = regexp.MustCompile(`msg=serving data=(\S+)`)

// startProxy returns when the proxy serves.
func startProxy(ctx context.Context, binary, file string) (*proxy, error) {
	p := &proxy{cmd: exec.Command(binary, "serve", "-c", file), ended: make(chan struct{})}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	// Ctrl-C is for us alone: proxies end after the load.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	serves := make(chan string, 1)
	go p.follow(out, serves)
	select {
	case address := <-serves:
		p.url = "http://" + address
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("%s ended (%v) and had said:\n%s", binary, p.cmd.ProcessState, p.said.String())
	case <-time.After(patience):
		err = fmt.Errorf("%s does not serve within %v", binary, patience)
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	return nil, err
}

// follow keeps the log, and tells where the proxy serves.
func (p *proxy) follow(out io.Reader, serves chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(&p.said, lines.Text())
		if m := serving.FindStringSubmatch(lines.Text()); m != nil {
			serves <- m[1]
		}
	}
	_, _ = io.Copy(io.Discard, out) // after a line too long
	_ = p.cmd.Wait()
	close(p.ended)
}

// stop ends the proxy gently. It is an error when it does not end well.
func (p *proxy) stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has ended is noticed below
	select {
	case <-p.ended:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("it ended with %v and had said:\n%s", p.cmd.ProcessState, p.said.String())
	}
	return nil
}
