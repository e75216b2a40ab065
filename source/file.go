package source

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"mlproxy/config"
)

const (
	quiet  = 50 * time.Millisecond  // a burst of events is over when nothing happened for so long
	limit  = 300 * time.Millisecond // and is taken as over after so long
	patrol = 5 * time.Second        // finds what no event told of: network file systems, lost watches
)

// ErrStopped answers a Reload after Watch has ended.
var ErrStopped = errors.New("mlproxy is stopping and reads no config any more; the next start will read it")

// File is the config file as a source. Editors and Kubernetes replace files by renaming, so it is the directories on the
// way to the file that are watched, and content, not the event, decides whether anything changed.
type File struct {
	// Also are further files whose change is a change of the config, such as those that a fleet's document names; nil = none. It is asked
	// again and again. Set it before Watch.
	Also func() []string

	path    string
	beside  []string     // files that the config was read from as well, when it was last right
	log     *slog.Logger // Watch's
	reloads chan asked
	stopped chan struct{} // closed when Watch has ended
	seen    reading       // what was last emitted; touched by Read before Watch, then by Watch alone
	now     watched
}

// reading tells one reading from another: by what stands in the files, and by what is wrong.
type reading struct {
	contents [sha256.Size]byte
	fault    string // "" = nothing
}

// isNews says whether a reading after r is one. What others break that the config only names, such as certificates, is told by those who use
// it, and is no fault of a config that was right; what they mend is news, for the config may come into force now.
func (r reading) isNews(next reading) bool {
	return next.contents != r.contents || next.fault != r.fault && r.fault != ""
}

// watched is what stands behind the path now.
type watched struct {
	behind map[string]string // each path, with every link followed
	dirs   map[string]bool   // the directories asked to be watched
}

// NewFile makes a source of the config file at path. Nothing is read yet.
func NewFile(path string) *File {
	return &File{path: filepath.Clean(path), reloads: make(chan asked), stopped: make(chan struct{})}
}

// Read is the first update, made without watching. It must not be called while Watch runs.
func (f *File) Read() Update {
	u, now := f.read("start")
	f.seen = now
	return u
}

// asked is a reload that somebody waits for.
type asked struct {
	author, reason string
	outcome        chan<- error
}

// Reload reads the file even if nothing seems to have changed, and returns what became of it once control has decided. Author is who asks,
// if that is known, and reason why, for those who read of it later.
func (f *File) Reload(ctx context.Context, author, reason string) error {
	outcome := make(chan error, 1)
	select {
	case f.reloads <- asked{author, reason, outcome}:
	case <-f.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-outcome:
		return err
	case <-f.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Watch emits an update for every change of the file's content until ctx ends; emit may block, but not beyond ctx. Without
// file events (no inotify instances left) it looks every few seconds instead. Call it once.
func (f *File) Watch(ctx context.Context, log *slog.Logger, emit func(Update)) error {
	f.log = log
	defer close(f.stopped)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		f.log.Warn("no file events; looking at the config file now and then", "every", patrol, "error", err)
		return f.watch(ctx, deaf(), emit)
	}
	defer w.Close()
	return f.watch(ctx, listening(w), emit)
}

// watch is Watch with the ears given, so that tests can speak into them.
func (f *File) watch(ctx context.Context, w ears, emit func(Update)) error {
	burst := debounce{quiet: quiet, limit: limit}
	round := time.NewTicker(patrol)
	defer round.Stop()
	f.follow(w)
	burst.Touch() // what changed between Read and now had nobody listening
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.events:
			if f.concerns(e.Name) {
				burst.Touch()
			}
		case err := <-w.errors:
			f.log.Warn("file events were lost; reading the config file", "error", err)
			burst.Touch()
		case <-round.C:
			burst.Touch()
		case <-burst.C():
			burst.Clear()
			f.follow(w)
			f.emitChange(emit)
			f.follow(w) // files that the config names now
		case a := <-f.reloads:
			f.emitReload(emit, a)
		}
	}
}

// concerns says whether an event at name may have changed the content: a file itself, or a link on the way to it.
func (f *File) concerns(name string) bool {
	for path, behind := range f.now.behind {
		if name == path || name == behind {
			return true
		}
		if now, err := filepath.EvalSymlinks(path); err != nil || now != behind {
			return true
		}
	}
	return false
}

// follow finds what stands behind the path, and those of the files beside it, and watches the directories they depend on.
func (f *File) follow(w ears) {
	links, dirs := map[string]string{}, map[string]bool{}
	for _, path := range f.paths() {
		behind, err := filepath.EvalSymlinks(path)
		if err != nil {
			behind = path
		}
		links[path] = behind
		dirs[filepath.Dir(path)], dirs[filepath.Dir(behind)] = true, true
	}
	for dir := range f.now.dirs {
		if !dirs[dir] {
			_ = w.remove(dir) // gone already, as a rule
		}
	}
	for dir := range dirs {
		if err := w.add(dir); err != nil {
			f.log.Warn("cannot watch the config file's folder; looking again later", "folder", dir, "again_in", patrol, "error", err)
		}
	}
	f.now = watched{behind: links, dirs: dirs}
}

func (f *File) emitChange(emit func(Update)) {
	u, now := f.read("file changed")
	if f.seen.isNews(now) {
		f.seen = now
		emit(u)
	}
}

func (f *File) emitReload(emit func(Update), a asked) {
	u, now := f.read(a.reason)
	f.seen = now
	u.Author, u.Outcome = a.author, a.outcome
	emit(u)
}

// read reads and checks the file.
func (f *File) read(reason string) (u Update, now reading) {
	u = Update{Origin: "file", Reason: reason}
	src := f.contents()
	u.Config, u.Err = config.Load(f.path)
	if u.Err == nil && !slices.Equal(f.beside, u.Config.Files()) {
		f.beside = u.Config.Files()
		src = f.contents() // before they are read: what changes meanwhile is seen again
		u.Config, u.Err = config.Load(f.path)
	}
	now.contents = sha256.Sum256(src)
	if u.Err != nil {
		now.fault = u.Err.Error()
	}
	return u, now
}

// contents tells what stands in the file and in those beside it. What keeps one from being read, Load says.
func (f *File) contents() (sums []byte) {
	for _, path := range f.paths() {
		src, _ := os.ReadFile(path)
		sum := sha256.Sum256(src)
		sums = append(sums, sum[:]...)
	}
	return sums
}

func (f *File) paths() []string {
	paths := append([]string{f.path}, f.beside...)
	if f.Also == nil {
		return paths
	}
	for _, path := range f.Also() {
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths
}
