package directory

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// What only its owner may read: an export holds what is not yet published, and settings.
const (
	fileMode   = 0o600
	folderMode = 0o700

	writeBuffer = 64 << 10
)

// folderSink puts the files of an export into a folder.
type folderSink struct {
	root *os.Root
	left int64 // bytes that may still be written
	made map[string]bool
	open *os.File
}

func newFolderSink(root *os.Root, maxSize int64) *folderSink {
	if maxSize <= 0 {
		maxSize = layout.MaxUnpacked
	}
	return &folderSink{root: root, left: maxSize, made: make(map[string]bool)}
}

// Create implements [layout.Sink].
func (s *folderSink) Create(name string, size int64) (io.WriteCloser, error) {
	if size > s.left {
		return nil, s.errFull()
	}
	if err := s.makeFolder(path.Dir(name)); err != nil {
		return nil, layout.Unwritable(err)
	}
	file, err := s.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%w: two files would have the name %s here", transfer.ErrUnwritable, name)
	}
	if err != nil {
		return nil, layout.Unwritable(err)
	}
	s.open = file
	return &sinkFile{sink: s, file: file, out: bufio.NewWriterSize(file, writeBuffer)}, nil
}

func (s *folderSink) errFull() error {
	return fmt.Errorf("%w: the content is larger than the limit for unpacked exports", transfer.ErrUnwritable)
}

func (s *folderSink) makeFolder(dir string) error {
	if dir == "." || s.made[dir] {
		return nil
	}
	if err := s.makeFolder(path.Dir(dir)); err != nil {
		return err
	}
	s.made[dir] = true
	return s.root.Mkdir(dir, folderMode)
}

// Close lets go of the folder and of the file that is being written. It may be called twice.
func (s *folderSink) Close() error {
	var err error
	if s.open != nil {
		err, s.open = s.open.Close(), nil
	}
	if s.root != nil {
		err = errors.Join(err, s.root.Close())
		s.root = nil
	}
	return err
}

// sinkFile is a file that is being written.
type sinkFile struct {
	sink *folderSink
	file *os.File
	out  *bufio.Writer
}

func (f *sinkFile) Write(p []byte) (int, error) {
	if f.sink.left -= int64(len(p)); f.sink.left < 0 {
		return 0, f.sink.errFull()
	}
	n, err := f.out.Write(p)
	return n, layout.Unwritable(err)
}

func (f *sinkFile) Close() error {
	f.sink.open = nil
	return layout.Unwritable(errors.Join(f.out.Flush(), f.file.Close()))
}
