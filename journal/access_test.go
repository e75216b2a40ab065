package journal

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mlproxy/monitor"
)

func TestWants(t *testing.T) {
	f := func(s Settings, status int, reason monitor.Reason, least, most int) {
		t.Helper()
		a, n := newStage(t, s), 0
		for range 10_000 {
			if a.Wants(status, reason) {
				n++
			}
		}
		if n < least || n > most {
			t.Errorf("%+v: %d of 10000 with status %d and reason %v are wanted, want %d to %d", s, n, status, reason, least, most)
		}
	}
	const all = 10_000
	f(Settings{}, 200, monitor.None, 0, 0)
	f(Settings{}, 500, monitor.None, 0, 0)
	f(Settings{}, 502, monitor.UpstreamReset, 0, 0)
	f(Settings{File: "x"}, 200, monitor.None, 0, 0)
	f(Settings{File: "x"}, 404, monitor.None, 0, 0)
	f(Settings{File: "x"}, 500, monitor.None, all, all)
	f(Settings{File: "x"}, 200, monitor.UpstreamReset, all, all)
	f(Settings{File: "x"}, 404, monitor.NoRoute, all, all)
	f(Settings{Sample: .1}, 200, monitor.None, 800, 1200)
	f(Settings{Sample: .1}, 503, monitor.Overloaded, all, all)
	f(Settings{Sample: 1}, 200, monitor.None, all, all)
}

func TestLinesAreWrittenWithinASecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, Settings{File: path})
		end := s.run()
		s.offer("a")
		time.Sleep(time.Second)
		synctest.Wait()
		s.holds(path, "a")
		s.offer("b", "c")
		end()
		s.holds(path, "a", "b", "c")
	})
}

func TestManyLinesAreWrittenAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, Settings{File: path})
		defer s.run()()
		line := appendLine(nil, record())
		for range writeAt/len(line) + 1 {
			s.Offer(record())
		}
		synctest.Wait() // no time passes
		if info, err := os.Stat(path); err != nil || info.Size() < writeAt {
			t.Errorf("%v, %v", info, err)
		}
	})
}

func TestStandardErrorGetsWholeLines(t *testing.T) {
	s := newStage(t, Settings{Sample: 1})
	end := s.run()
	s.offer("a", "b")
	end()
	if got := idsIn(t, s.stderr.Bytes()); !equal(got, []string{"a", "b"}) {
		t.Errorf("standard error got %q", got)
	}
	if err := s.Open(); err != nil {
		t.Error(err)
	}
}

// Lines go where the settings of the moment say; a file that cannot be opened is said once and leaves things as they are.
func TestAReloadLeadsToAnotherFile(t *testing.T) {
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, Settings{File: filepath.Join(folder, "a")})
		end := s.run()
		to := func(file string, ids ...string) {
			s.settings.Store(&Settings{Sample: 1, File: file})
			time.Sleep(time.Second)
			synctest.Wait()
			s.offer(ids...)
			time.Sleep(time.Second)
			synctest.Wait()
		}
		to(filepath.Join(folder, "a"), "1")
		to(filepath.Join(folder, "b"), "2")
		to(filepath.Join(folder, "nowhere", "c"), "3")
		to("", "4")
		to(filepath.Join(folder, "a"), "5")
		end()
		s.holds(filepath.Join(folder, "a"), "1", "5")
		s.holds(filepath.Join(folder, "b"), "2", "3")
		if got := idsIn(t, s.stderr.Bytes()); !equal(got, []string{"4"}) {
			t.Errorf("standard error got %q", got)
		}
		if said := s.said.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "nowhere") {
			t.Errorf("said: %s", said)
		}
	})
}

func TestReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, Settings{File: path})
		end := s.run()
		s.offer("a")
		time.Sleep(time.Second)
		synctest.Wait()
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		s.offer("b")
		time.Sleep(time.Second)
		synctest.Wait()
		s.Reopen()
		s.Reopen() // twice is as good as once
		synctest.Wait()
		s.offer("c")
		end()
		s.holds(path+".old", "a", "b")
		s.holds(path, "c")
		if said := s.said.String(); !strings.Contains(said, "access log reopened") {
			t.Errorf("said: %s", said)
		}
	})
}

func TestReopenThatFailsKeepsTheFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "access.log")
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, Settings{File: path})
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(folder, folder+".away"); err != nil {
			t.Fatal(err)
		}
		end := s.run()
		s.Reopen()
		synctest.Wait()
		s.offer("a")
		end()
		s.holds(filepath.Join(folder+".away", "access.log"), "a")
		if said := s.said.String(); !strings.Contains(said, "cannot be reopened") {
			t.Errorf("said: %s", said)
		}
	})
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	s := newStage(t, Settings{File: filepath.Join(t.TempDir(), "nowhere", "access.log")})
	if err := s.Open(); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}

// A disk that stands still costs lines, never time: they are dropped and counted, and the log says so once.
func TestAFullQueueDrops(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, Settings{File: path})
		fits := mostQueued / len(appendLine(nil, record()))
		for range fits + 7 {
			s.Offer(record())
		}
		if got := s.dropped.Load(); got != 7 {
			t.Errorf("%d are counted as dropped, want 7", got)
		}
		end := s.run()
		time.Sleep(time.Minute)
		end()
		content, err := os.ReadFile(path)
		if got := strings.Count(string(content), "\n"); err != nil || got != fits {
			t.Errorf("%d lines were written, want %d (%v)", got, fits, err)
		}
		if said := s.said.String(); strings.Count(said, "\n") != 2 || !strings.Contains(said, "dropped=7 error=\"more lines come") ||
			!strings.Contains(said, "as it should again\" dropped=7") {
			t.Errorf("said: %s", said)
		}
	})
}

func TestAFullDiskIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, Settings{File: "/dev/full", MaxSize: 1})
		end := s.run()
		for range 100 {
			s.offer("a", "b")
			time.Sleep(time.Second)
		}
		end()
		if got := s.dropped.Load(); got != 200 {
			t.Errorf("%d are counted as dropped, want 200", got)
		}
		if said := s.said.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "no space left") {
			t.Errorf("said: %s", said)
		}
	})
}

// A pipe that nobody reads does not keep the program from ending.
func TestAPipeThatNobodyReads(t *testing.T) {
	s := newStage(t, Settings{File: "/dev/fd/1"})
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	s.settings.Store(&Settings{File: "/dev/fd/" + strconv.Itoa(int(w.Fd()))})
	end := s.run()
	for range 4000 {
		s.Offer(record())
	}
	end()
	if s.dropped.Load() == 0 || !strings.Contains(s.said.String(), "timeout") {
		t.Errorf("dropped %d, said: %s", s.dropped.Load(), &s.said)
	}
}

func TestManyOfferAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	s := newStage(t, Settings{File: path, MaxSize: 100_000, Keep: 1000})
	end := s.run()
	const writers, each = 8, 500
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				s.offer(strconv.Itoa(w*each + i))
				if i%50 == 0 {
					s.Reopen()
				}
			}
		})
	}
	all.Wait()
	end()
	seen := map[string]bool{}
	files, _ := filepath.Glob(path + "*")
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil || len(content) > 100_000 {
			t.Errorf("%s: %d bytes, %v", file, len(content), err)
		}
		for _, id := range idsIn(t, content) {
			seen[id] = true
		}
	}
	if len(seen) != writers*each || s.dropped.Load() != 0 || len(files) < 10 {
		t.Errorf("%d lines in %d files, %d dropped", len(seen), len(files), s.dropped.Load())
	}
}
