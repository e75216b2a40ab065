package control

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// The files in state_dir: the overrides, and what Consul said last.
const (
	storeName  = "overrides.json"
	remoteName = "consul.json"
)

// storeVersion is the version of their format.
const storeVersion = 1

// store keeps a T over a restart, in one file. The file is replaced in one step: its successor is written beside it and
// flushed to the disk, then takes its name. Whatever ends the process, one of the two stands there whole.
type store[T any] struct {
	path string
	lock *lock  // of the folder; nothing is written without it
	last []byte // what was stored last; nil before
}

// stored is the file's form. Checksum is the SHA-256 of the compact content.
type stored struct {
	Version  int             `json:"version"`
	Checksum string          `json:"checksum"`
	Content  json.RawMessage `json:"content"`
}

// newStore is where operators' overrides are kept.
func newStore(dir string) *store[Overrides] {
	return &store[Overrides]{path: filepath.Join(dir, storeName), lock: &lock{path: filepath.Join(dir, lockName)}}
}

// load reads what was stored; nothing, if there is no file. A file that cannot be believed is set aside, for people to look at, and
// named in the error.
func (s *store[T]) load() (content T, err error) {
	src, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return content, nil
	}
	if err == nil {
		content, err = decode[T](src)
	}
	if err == nil {
		s.last = src
		return content, nil
	}
	var nothing T
	aside := s.path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000Z")
	if moved := os.Rename(s.path, aside); moved != nil {
		return nothing, fmt.Errorf("%s: %w; nothing of it is in force, and it cannot be set aside: %w", s.path, err, moved)
	}
	return nothing, fmt.Errorf("%s: %w; nothing of it is in force; it was set aside as %s", s.path, err, filepath.Base(aside))
}

// save stores what is to be found from now on. On an error the file is as it was. Without a file nothing, the zero value, needs none.
func (s *store[T]) save(content *T) error {
	src, err := encode(content)
	if err != nil || bytes.Equal(src, s.last) {
		return err
	}
	if s.last == nil {
		nothing, err := encode(new(T))
		if err != nil || bytes.Equal(src, nothing) {
			return err
		}
	}
	if err := s.lock.take(); err != nil {
		return err
	}
	if err := replace(s.path, src); err != nil {
		return err
	}
	if err := flush(filepath.Dir(s.path)); err != nil {
		return errors.Join(err, s.undo())
	}
	s.last = src
	return nil
}

// undo puts back what was stored last, for a restart is to find what is in force.
func (s *store[T]) undo() error {
	if s.last == nil {
		return os.Remove(s.path)
	}
	return replace(s.path, s.last)
}

// replace puts content into the place of a file, in one step.
func replace(path string, content []byte) error {
	next := path + ".next"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
	}
	return err
}

// flush writes a folder's names to the disk.
func flush(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func encode[T any](content *T) ([]byte, error) {
	text, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	file, err := json.MarshalIndent(stored{storeVersion, checksum(text), text}, "", "  ")
	return append(file, '\n'), err
}

func decode[T any](src []byte) (content T, err error) {
	var file stored
	if err := json.Unmarshal(src, &file); err != nil {
		return content, fmt.Errorf("not what mlproxy writes: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, file.Content); err != nil {
		return content, fmt.Errorf("not what mlproxy writes: %w", err)
	}
	switch {
	case file.Version != storeVersion:
		return content, fmt.Errorf("version %d of the format; this mlproxy knows version %d", file.Version, storeVersion)
	case checksum(compact.Bytes()) != file.Checksum:
		return content, errors.New("the checksum is wrong: the file was changed or damaged")
	}
	return content, json.Unmarshal(compact.Bytes(), &content)
}

func checksum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
