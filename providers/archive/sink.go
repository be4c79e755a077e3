package archive

import (
	"archive/tar"
	"fmt"
	"io"
	"time"

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// fileMode is what Strapi gives the files in an archive.
const fileMode = 0o644

// tarSink puts the files of an export into a tar. A file of unknown length waits in the spool until it is complete.
type tarSink struct {
	tar   *tar.Writer
	spool *layout.Spool
}

// Create implements [layout.Sink].
func (s *tarSink) Create(name string, size int64) (io.WriteCloser, error) {
	if size < 0 {
		return &spooledFile{sink: s, name: name}, nil
	}
	if err := s.header(name, size); err != nil {
		return nil, err
	}
	return sizedFile{s.tar}, nil
}

func (s *tarSink) header(name string, size int64) error {
	err := s.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg, Name: name, Size: size, Mode: fileMode,
		ModTime: time.Now().Truncate(time.Second),
	})
	return layout.Unwritable(err)
}

// sizedFile goes straight into the tar.
type sizedFile struct{ tar *tar.Writer }

func (f sizedFile) Write(p []byte) (int, error) {
	n, err := f.tar.Write(p)
	return n, layout.Unwritable(err)
}

func (f sizedFile) Close() error { return layout.Unwritable(f.tar.Flush()) }

// spooledFile goes into the tar when it is complete.
type spooledFile struct {
	sink *tarSink
	name string
}

func (f *spooledFile) Write(p []byte) (int, error) {
	n, err := f.sink.spool.Write(p)
	return n, layout.Unwritable(err)
}

func (f *spooledFile) Close() error {
	spool := f.sink.spool
	if err := f.sink.header(f.name, spool.Size()); err != nil {
		return err
	}
	body, err := spool.Open()
	if err != nil {
		return layout.Unwritable(err)
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{f.sink.tar}, body, make([]byte, readBuffer)); err != nil {
		return layout.Unwritable(fmt.Errorf("copy spool: %w", err))
	}
	return layout.Unwritable(spool.Reset())
}
