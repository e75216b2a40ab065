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

// storeName is the file in state_dir that keeps the overrides over a restart.
const storeName = "overrides.json"

// storeVersion is the version of its format.
const storeVersion = 1

// store keeps what operators have said in one file. The file is replaced in one step: its successor is written beside it and
// flushed to the disk, then takes its name. Whatever ends the process, one of the two stands there whole.
type store struct {
	path string
	lock lock   // of the folder; nothing is written without it
	last []byte // what was stored last; nil before
}

// stored is the file's form. Checksum is the SHA-256 of the compact overrides.
type stored struct {
	Version   int             `json:"version"`
	Checksum  string          `json:"checksum"`
	Overrides json.RawMessage `json:"overrides"`
}

func newStore(dir string) *store {
	return &store{path: filepath.Join(dir, storeName), lock: lock{path: filepath.Join(dir, lockName)}}
}

// load reads what was stored; nothing, if there is no file. A file that cannot be believed is set aside, for people to look at, and
// named in the error.
func (s *store) load() (Overrides, error) {
	src, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Overrides{}, nil
	}
	said := Overrides{}
	if err == nil {
		said, err = decode(src)
	}
	if err == nil {
		s.last = src
		return said, nil
	}
	aside := s.path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000Z")
	if moved := os.Rename(s.path, aside); moved != nil {
		return Overrides{}, fmt.Errorf("%s: %w; nothing of it is in force, and it cannot be set aside: %w", s.path, err, moved)
	}
	return Overrides{}, fmt.Errorf("%s: %w; nothing of it is in force; it was set aside as %s", s.path, err, filepath.Base(aside))
}

// save stores what operators say from now on. On an error the file is as it was.
func (s *store) save(said *Overrides) error {
	src, err := encode(said)
	if err != nil || bytes.Equal(src, s.last) {
		return err
	}
	if s.last == nil && len(said.Routes)+len(said.Drained) == 0 {
		return nil // there is nothing to keep, and was nothing
	}
	if err := s.lock.take(); err != nil {
		return err
	}
	if err := replace(s.path, src); err != nil {
		return err
	}
	if err := flush(filepath.Dir(s.path)); err != nil {
		if s.last != nil {
			_ = replace(s.path, s.last) // a restart is to find what is in force
		}
		return err
	}
	s.last = src
	return nil
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

func encode(said *Overrides) ([]byte, error) {
	text, err := json.Marshal(said)
	if err != nil {
		return nil, err
	}
	file, err := json.MarshalIndent(stored{storeVersion, checksum(text), text}, "", "  ")
	return append(file, '\n'), err
}

func decode(src []byte) (said Overrides, err error) {
	var file stored
	if err := json.Unmarshal(src, &file); err != nil {
		return said, fmt.Errorf("not what mlproxy writes: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, file.Overrides); err != nil {
		return said, fmt.Errorf("not what mlproxy writes: %w", err)
	}
	switch {
	case file.Version != storeVersion:
		return said, fmt.Errorf("version %d of the format; this mlproxy knows version %d", file.Version, storeVersion)
	case checksum(compact.Bytes()) != file.Checksum:
		return said, errors.New("the checksum is wrong: the file was changed or damaged")
	}
	return said, json.Unmarshal(compact.Bytes(), &said)
}

func checksum(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
