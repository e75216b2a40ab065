package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a process may take to do what it must.
const patience = 20 * time.Second

// process is one we started. It ends with us at the latest.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended and all it said is kept

	mu   sync.Mutex
	said []string
	more chan struct{} // closed and replaced with every line
}

// launch starts a process; what it says on both outputs is kept.
func launch(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{}), more: make(chan struct{})}
	out, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = cmd.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(out)
	return p, nil
}

func (p *process) follow(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.mu.Lock()
		p.said = append(p.said, lines.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, out) // after a line too long
	_ = p.cmd.Wait()
	close(p.ended)
}

// log is what the process said so far, and a channel that is closed when it says more.
func (p *process) log() ([]string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clip(p.said), p.more
}

// await waits until the process says what the pattern matches.
func (p *process) await(ctx context.Context, pattern *regexp.Regexp) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		said, more := p.log()
		for _, line := range said {
			if m := pattern.FindStringSubmatch(line); m != nil {
				return m, nil
			}
		}
		select {
		case <-more:
		case <-p.ended:
			return nil, fmt.Errorf("%s ended (%v) and had said:\n%s", p.cmd.Path, p.cmd.ProcessState, strings.Join(said, "\n"))
		case <-ctx.Done():
			return nil, fmt.Errorf("%s does not say %q but:\n%s", p.cmd.Path, pattern, strings.Join(said, "\n"))
		}
	}
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// stopped says that a signal has stopped all threads of the process.
func (p *process) stopped() bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	for _, thread := range threads {
		text, gone := os.ReadFile(thread)
		if _, state, _ := strings.Cut(string(text), ") "); gone == nil && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return err == nil && len(threads) > 0
}

// kill ends the process at once, frozen or not, and waits until it has ended.
func (p *process) kill() error {
	err := p.signal(syscall.SIGKILL)
	<-p.ended
	return err
}

// stop ends the process gently, and says so when it does not end well.
func (p *process) stop() error {
	if err := p.signal(syscall.SIGTERM); err != nil && !p.cmd.ProcessState.Success() {
		return fmt.Errorf("it had ended before (%v)", p.cmd.ProcessState)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		return fmt.Errorf("it does not end within %v of SIGTERM (%w)", patience, p.kill())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("it ended with %v", p.cmd.ProcessState)
	}
	return nil
}
