package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"

	"mlproxy/modeltest"
)

// text is a config whose only pool is at the given port.
func text(port int) string {
	return fmt.Sprintf(`version: 1
pools:
  a: {endpoints: ["http://127.0.0.1:%d"]}
routes:
  r: {match: {path: /}, split: {a: 1}}
`, port)
}

// write replaces the file's content in place.
func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// port is what tells the test's configs apart.
func port(u Update) string {
	if u.Config == nil {
		return "fault"
	}
	return u.Config.Pools["a"].Endpoints[0].URL
}

// bench is a watched file inside a synctest bubble; the test speaks the events itself.
type bench struct {
	*testing.T
	path    string
	file    *File
	events  chan fsnotify.Event
	updates chan Update
	also    atomic.Pointer[string] // a further file that is named now
}

func bubble(t *testing.T, f func(b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t, path: filepath.Join(dir, "config.yaml"), events: make(chan fsnotify.Event), updates: make(chan Update, 100)}
		write(t, b.path, text(1))
		b.file = NewFile(b.path)
		if u := b.file.Read(); u.Err != nil || u.Reason != "start" {
			t.Fatalf("first reading: %+v", u)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		b.file.log = quietLog()
		b.file.Also = func() []string {
			if named := b.also.Load(); named != nil {
				return []string{b.path, *named}
			}
			return nil
		}
		hear := deaf()
		hear.events = b.events
		go func() { ended <- b.file.watch(ctx, hear, func(u Update) { b.updates <- u }) }()
		f(b)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// touch tells of an event at the file.
func (b *bench) touch() { b.events <- fsnotify.Event{Name: b.path, Op: fsnotify.Write} }

// pass lets d go by and returns what was emitted meanwhile.
func (b *bench) pass(d time.Duration) (got []string) {
	time.Sleep(d) // the bubble's clock
	synctest.Wait()
	for len(b.updates) > 0 {
		got = append(got, port(<-b.updates))
	}
	return got
}

func (b *bench) want(what string, got []string, want ...string) {
	b.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		b.Errorf("%s: emitted %q, want %q", what, got, want)
	}
}

func TestABurstIsOneUpdate(t *testing.T) {
	bubble(t, func(b *bench) {
		b.want("nothing changed since the start", b.pass(time.Second))
		for p := 2; p <= 6; p++ {
			write(b.T, b.path, text(p))
			b.touch()
			b.want("within the burst", b.pass(quiet-time.Millisecond))
		}
		b.want("after the burst", b.pass(2*time.Millisecond), "http://127.0.0.1:6")
		b.touch()
		b.want("the same content", b.pass(time.Second))
	})
}

func TestAnEndlessBurstIsReadInTime(t *testing.T) {
	bubble(t, func(b *bench) {
		b.pass(time.Second)
		write(b.T, b.path, text(2))
		var got []string
		for range 40 {
			b.touch()
			got = append(got, b.pass(10*time.Millisecond)...)
		}
		b.want("400 ms of events without pause", got, "http://127.0.0.1:2")
	})
}

// A file that the config names is a part of it: its change is one of the config.
func TestFilesBesideAreFollowed(t *testing.T) {
	bubble(t, func(b *bench) {
		keys := filepath.Join(filepath.Dir(b.path), "keys.yaml")
		sum := strings.Repeat("0f", 32)
		write(b.T, keys, "{}\n")
		write(b.T, b.path, strings.Replace(text(2), "split:", "api_keys: {file: keys.yaml}, split:", 1))
		b.touch()
		b.want("a config that names a file", b.pass(time.Second), "http://127.0.0.1:2")
		write(b.T, keys, "team-a: {sha256: "+sum+"}\n")
		b.events <- fsnotify.Event{Name: keys, Op: fsnotify.Write}
		b.want("the file it names", b.pass(time.Second), "http://127.0.0.1:2")
		b.events <- fsnotify.Event{Name: keys, Op: fsnotify.Write}
		b.want("the same content", b.pass(time.Second))
		write(b.T, keys, "team-a: {sha256: no}\n")
		b.want("the patrol", b.pass(patrol), "fault")
		write(b.T, keys, "team-a: {sha256: "+sum+"}\n")
		b.events <- fsnotify.Event{Name: keys, Op: fsnotify.Write}
		b.want("mended", b.pass(time.Second), "http://127.0.0.1:2")
	})
}

// A certificate that is being replaced makes no config wrong that was right; one that was refused for want of it is right once it is there.
func TestWhatTheConfigOnlyNames(t *testing.T) {
	bubble(t, func(b *bench) {
		b.pass(time.Second)
		pem := filepath.Join(filepath.Dir(b.path), "ca.pem")
		authority, err := modeltest.NewAuthority()
		if err != nil {
			b.Fatal(err)
		}
		good := string(authority.PEM)
		write(b.T, b.path, strings.NewReplacer("http:", "https:", `"]`, `"], tls: {ca_file: ca.pem}`).Replace(text(2)))
		b.touch()
		b.want("a config that names a file which is not there", b.pass(time.Second), "fault")
		write(b.T, pem, good)
		b.want("the file is there", b.pass(patrol), "https://127.0.0.1:2")
		write(b.T, pem, "nobody")
		b.want("it is broken", b.pass(3*patrol))
		write(b.T, pem, good)
		b.want("and mended", b.pass(3*patrol))
	})
}

func TestForeignEventsAreNotRead(t *testing.T) {
	bubble(t, func(b *bench) {
		b.pass(100 * time.Millisecond)
		write(b.T, b.path, text(2))
		b.events <- fsnotify.Event{Name: filepath.Join(filepath.Dir(b.path), "access.log"), Op: fsnotify.Write}
		b.want("a neighbour's event", b.pass(time.Second))
		b.want("the patrol", b.pass(patrol), "http://127.0.0.1:2")
	})
}

func TestWhatIsWrongIsAnUpdate(t *testing.T) {
	bubble(t, func(b *bench) {
		b.pass(time.Second)
		write(b.T, b.path, "version: 1\nrouts: {}\n")
		b.touch()
		b.want("malformed", b.pass(time.Second), "fault")
		if err := os.Remove(b.path); err != nil {
			b.Fatal(err)
		}
		b.touch()
		b.want("removed", b.pass(time.Second), "fault")
		b.want("still missing, said once", b.pass(3*patrol))
		write(b.T, b.path, text(1))
		b.touch()
		b.want("back again", b.pass(time.Second), "http://127.0.0.1:1")
	})
}

func TestReloadReturnsTheOutcome(t *testing.T) {
	refused := errors.New("refused")
	bubble(t, func(b *bench) {
		b.pass(time.Second)
		go func() {
			u := <-b.updates
			if u.Reason != "reload" || u.Author != "somebody" || port(u) != "http://127.0.0.1:1" {
				b.Errorf("reload emitted %+v", u)
			}
			u.Done(refused)
		}()
		if err := b.file.Reload(b.Context(), "somebody", "reload"); !errors.Is(err, refused) {
			b.Errorf("outcome %v, want %v", err, refused)
		}
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		if err := b.file.Reload(ctx, "", "reload"); !errors.Is(err, context.Canceled) {
			b.Errorf("a reload nobody waits for: %v", err)
		}
	})
}

func TestReloadEndsWithWatch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, text(1))
	f := NewFile(path)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := f.Watch(ctx, quietLog(), func(Update) {}); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(t.Context(), "", "reload"); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v, want %v", err, ErrStopped)
	}
}

// TestRealFolders lets fsnotify tell of the ways in which files are really replaced.
func TestRealFolders(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f := func(name string, prepare, change func(dir string)) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			prepare(dir)
			file := NewFile(filepath.Join(dir, "config.yaml"))
			if u := file.Read(); u.Err != nil {
				t.Fatal(u.Err)
			}
			ctx, stop := context.WithCancel(t.Context())
			updates, ended := make(chan Update), make(chan error, 1)
			go func() {
				ended <- file.Watch(ctx, quietLog(), func(u Update) {
					select {
					case updates <- u:
					case <-ctx.Done():
					}
				})
			}()
			change(dir)
			got := port(<-updates)
			if got == "fault" { // read between truncating and writing; the next update follows
				got = port(<-updates)
			}
			if got != "http://127.0.0.1:2" {
				t.Errorf("got %s", got)
			}
			stop()
			must(<-ended)
		})
	}
	plain := func(dir string) { write(t, filepath.Join(dir, "config.yaml"), text(1)) }
	linked := func(dir string) {
		must(os.Mkdir(filepath.Join(dir, "..v1"), 0o700))
		write(t, filepath.Join(dir, "..v1", "config.yaml"), text(1))
		must(os.Symlink("..v1", filepath.Join(dir, "..data")))
		must(os.Symlink(filepath.Join("..data", "config.yaml"), filepath.Join(dir, "config.yaml")))
	}
	f("written in place", plain, func(dir string) { write(t, filepath.Join(dir, "config.yaml"), text(2)) })
	f("an editor's rename", plain, func(dir string) {
		write(t, filepath.Join(dir, ".config.yaml.swp"), text(2))
		must(os.Rename(filepath.Join(dir, ".config.yaml.swp"), filepath.Join(dir, "config.yaml")))
	})
	f("a ConfigMap's swap", linked, func(dir string) {
		must(os.Mkdir(filepath.Join(dir, "..v2"), 0o700))
		write(t, filepath.Join(dir, "..v2", "config.yaml"), text(2))
		must(os.Symlink("..v2", filepath.Join(dir, "..data_tmp")))
		must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		must(os.RemoveAll(filepath.Join(dir, "..v1")))
	})
	f("the file behind the link", linked, func(dir string) {
		write(t, filepath.Join(dir, "..v1", "config.yaml"), text(2))
	})
}

// A file that only somebody else names is looked at like those that the config names itself.
func TestAFurtherFileIsWatched(t *testing.T) {
	bubble(t, func(b *bench) {
		time.Sleep(patrol)
		synctest.Wait()
		further := filepath.Join(filepath.Dir(b.path), "further.yaml")
		f := func(what string, updates int) {
			t.Helper()
			time.Sleep(2 * patrol)
			synctest.Wait()
			if len(b.updates) != updates {
				t.Errorf("%s: %d updates, want %d", what, len(b.updates), updates)
			}
		}
		f("nothing changed", 0)
		b.also.Store(&further)
		f("it is named", 1)
		write(t, further, "a: 1")
		f("it is written", 2)
		f("nothing changed", 2)
	})
}
