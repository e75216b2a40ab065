package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"time"
)

// lookEvery is how often a followed file is looked at.
const lookEvery = 200 * time.Millisecond

// seekLast passes over what is not among the last n lines of a file, but for less than a block and a line; of a pipe nothing.
func seekLast(file *os.File, n int) error {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return err
	}
	block := make([]byte, 64<<10)
	at := info.Size()
	for found := 0; at > 0 && found <= n; {
		part := block[:min(at, int64(len(block)))]
		at -= int64(len(part))
		if _, err := file.ReadAt(part, at); err != nil && err != io.EOF {
			return err
		}
		found += bytes.Count(part, []byte{'\n'})
	}
	_, err = file.Seek(at, io.SeekStart)
	return err
}

// lastLines are the last n whole lines, and the beginning of one that is being written.
func lastLines(from *bufio.Reader, n int) (last []string, torn string, err error) {
	for {
		line, err := from.ReadString('\n')
		if err == io.EOF {
			return last, line, nil
		}
		if err != nil {
			return last, "", err
		}
		if last = append(last, line); len(last) > n {
			last = last[1:]
		}
	}
}

// followed is a journal that is being written, and rotated.
type followed struct {
	name string
	file *os.File
	from *bufio.Reader
	torn string // the beginning of a line
}

// follow shows what is appended until stop ends. When the file was renamed it is read to its end, and then the one that has its name now.
func (f *followed) follow(stop context.Context, show func(line string)) error {
	defer func() { f.file.Close() }()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		next := f.successor()
		if err := f.read(show); err != nil {
			return err
		}
		if next != nil {
			f.file.Close()
			f.file, f.torn = next, ""
			f.from.Reset(next)
			continue
		}
		select {
		case <-stop.Done():
			return nil
		case <-tick.C:
		}
	}
}

// read shows what there is to the end.
func (f *followed) read(show func(line string)) error {
	for {
		line, err := f.from.ReadString('\n')
		f.torn += line
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		show(f.torn)
		f.torn = ""
	}
}

// successor is the file that has the name now, if it is another one or was emptied; nil while there is none.
func (f *followed) successor() *os.File {
	named, err := os.Stat(f.name)
	if err != nil {
		return nil
	}
	read, err := f.file.Stat()
	at, _ := f.file.Seek(0, io.SeekCurrent) // 0 of what cannot be sought in
	if err != nil || os.SameFile(named, read) && (named.Size() >= at || !named.Mode().IsRegular()) {
		return nil
	}
	next, err := os.Open(f.name)
	if err != nil {
		return nil
	}
	return next
}
