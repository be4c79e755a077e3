package layout

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much a [Spool] holds before it goes to a file: enough for the parts of a small site.
const spoolMemory = 4 << 20

// A Spool takes text whose length must be known before it can be passed on. It keeps a little in memory and more in a file
// that has no name as soon as the system allows it, so that nothing stays behind whatever happens.
type Spool struct {
	dir    string
	memory bytes.Buffer
	file   *os.File
	out    *bufio.Writer
	size   int64
}

// NewSpool returns an empty spool whose file, if it needs one, is made in dir; "" is the system's folder for such files.
func NewSpool(dir string) *Spool { return &Spool{dir: dir} }

// Size is the number of bytes written.
func (s *Spool) Size() int64 { return s.size }

// Write implements [io.Writer].
func (s *Spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) > spoolMemory {
		if err := s.spill(); err != nil {
			return 0, err
		}
	}
	var n int
	var err error
	if s.file == nil {
		n, err = s.memory.Write(p)
	} else {
		n, err = s.out.Write(p)
	}
	s.size += int64(n)
	return n, err
}

func (s *Spool) spill() error {
	file, err := os.CreateTemp(s.dir, ".transfer-*.spool")
	if err != nil {
		return fmt.Errorf("create spool: %w", err)
	}
	// Where an open file cannot be removed, Close does it.
	_ = os.Remove(file.Name())
	s.file, s.out = file, bufio.NewWriterSize(file, lineBuffer)
	if _, err := s.memory.WriteTo(s.out); err != nil {
		return fmt.Errorf("write spool: %w", err)
	}
	s.memory = bytes.Buffer{}
	return nil
}

// Open returns what was written, from its beginning. Nothing may be written afterwards until Reset.
func (s *Spool) Open() (io.Reader, error) {
	if s.file == nil {
		return bytes.NewReader(s.memory.Bytes()), nil
	}
	if err := s.out.Flush(); err != nil {
		return nil, fmt.Errorf("write spool: %w", err)
	}
	return io.NewSectionReader(s.file, 0, s.size), nil
}

// ReadAt returns the n bytes at an offset of what was written.
func (s *Spool) ReadAt(at int64, n int) ([]byte, error) {
	text := make([]byte, n)
	r, err := s.Open()
	if err != nil {
		return nil, err
	}
	from, ok := r.(io.ReaderAt)
	if !ok {
		return nil, errors.New("read spool: no random access")
	}
	if _, err := from.ReadAt(text, at); err != nil {
		return nil, fmt.Errorf("read spool: %w", err)
	}
	return text, nil
}

// Reset empties the spool for the next text.
func (s *Spool) Reset() error {
	s.memory.Reset()
	s.size = 0
	return s.Close()
}

// Close lets go of the file. It may be called twice.
func (s *Spool) Close() error {
	if s.file == nil {
		return nil
	}
	name := s.file.Name()
	err := s.file.Close()
	if gone := os.Remove(name); gone != nil && !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	s.file, s.out = nil, nil
	return err
}
