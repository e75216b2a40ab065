package trust

import (
	"context"
	"os"
	"sync"
	"syscall"
	"time"
)

// Change is what became of an identity's files.
type Change struct {
	Use string
	// Expires is when the certificate in force ends; zero when there is none.
	Expires time.Time
	// Err says why what the files hold now cannot be used. What was read before stays in force.
	Err error
}

// Keeper has the identities in use. It looks at their files every [Look]: handshakes never wait for a disk.
type Keeper struct {
	// Report is told of every change, one after the other; set it before the first Get. It must not call the keeper.
	Report func(Change)

	mu    sync.Mutex
	known map[Spec]*Identity
}

// Look is how often files are looked at. Changed ones are read when they have stayed the same from one look to the next, so
// that a certificate is not taken without its key.
const Look = time.Second

// NewKeeper makes a keeper of nothing, that looks at nothing until Run.
func NewKeeper() *Keeper { return &Keeper{Report: func(Change) {}, known: map[Spec]*Identity{}} }

// Run looks at the files until ctx ends.
func (k *Keeper) Run(ctx context.Context) {
	tick := time.NewTicker(Look)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.look()
		}
	}
}

// Get is the identity of that spec, made and read when it is new. One whose files cannot be read shows nothing and believes
// nobody, until they can.
func (k *Keeper) Get(s Spec) *Identity {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := k.known[s]
	if i == nil {
		i = &Identity{spec: s}
		i.now.Store(nothing())
		k.known[s] = i
		i.seen = stampsOf(&s)
		k.take(i)
	}
	return i
}

// Retain forgets every identity that keep does not want.
func (k *Keeper) Retain(keep func(*Identity) bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for s, i := range k.known {
		if !keep(i) {
			delete(k.known, s)
		}
	}
}

// Standing is how one identity is doing.
type Standing struct {
	Use string
	// Expires is when its certificate ends; zero when it has none.
	Expires time.Time
	// Sound: what the files held when they were last read is in force.
	Sound bool
}

// Standings are those of the identities that are of interest and have files.
func (k *Keeper) Standings(of func(*Identity) bool) (all []Standing) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for s, i := range k.known {
		if s.files() && of(i) {
			all = append(all, Standing{Use: s.Use, Expires: i.now.Load().expires(), Sound: i.err == nil})
		}
	}
	return all
}

// look takes what has changed and then stayed the same for a while. What could not be used is tried at each look: the reason
// may have been elsewhere.
func (k *Keeper) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for s, i := range k.known {
		now := stampsOf(&s)
		settled := now == i.seen
		i.seen = now
		if settled && (now != i.read || i.err != nil) {
			k.take(i)
		}
	}
}

// take reads an identity's files and puts them in force if they can be used.
func (k *Keeper) take(i *Identity) {
	before := i.err
	i.read = i.seen
	m, err := load(&i.spec)
	if i.err = err; err == nil {
		i.now.Store(m)
	}
	if i.spec.files() && (err == nil || before == nil || before.Error() != err.Error()) {
		k.Report(Change{Use: i.spec.Use, Expires: i.now.Load().expires(), Err: err})
	}
}

// stamps tell the states of an identity's files apart without reading them; a missing file has the zero stamp.
type stamps [3]stamp

type stamp struct {
	device, file  uint64
	size          int64
	written, kept syscall.Timespec // content, and all else that is known of the file
}

func stampsOf(s *Spec) (all stamps) {
	for n, file := range [...]string{s.Cert, s.Key, s.Authorities} {
		if file == "" {
			continue
		}
		if info, err := os.Stat(file); err == nil {
			if f, ok := info.Sys().(*syscall.Stat_t); ok {
				all[n] = stamp{f.Dev, f.Ino, f.Size, f.Mtim, f.Ctim}
			}
		}
	}
	return all
}
