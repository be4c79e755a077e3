package archive

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/gzip"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

const (
	readBuffer = 64 << 10
	blockSize  = 512 // of tar

	// endMark is the length of what ends a tar.
	endMark = 2 * blockSize

	// maxEntries bounds the headers of a tar: the files that an export may hold, and folders.
	maxEntries = 2 * layout.MaxFiles

	// maxFill bounds the zeros after the end mark, with which some tools fill up to their record size.
	maxFill = 64 << 20
)

// pass is one way through a tar, entry by entry.
type pass struct {
	tar   *tar.Reader
	raw   *counter // of a proving pass; nil in others
	index int      // of the entry last returned, counted from 0
	next0 int64    // where the next header begins; of a proving pass
	seeks bool     // archive/tar skips by seeking
}

// entry is a file in the tar. Its body is void once the next entry is asked for.
type entry struct {
	name  string
	size  int64
	place layout.Place
	index int
	start int64 // where its header begins; of a proving pass
}

// next goes to the next plain file. The error is io.EOF at the end of the tar.
func (p *pass) next(ctx context.Context) (entry, error) {
	for {
		if err := p.drain(ctx); err != nil {
			return entry{}, err
		}
		start := p.next0
		header, err := p.tar.Next()
		if errors.Is(err, io.EOF) {
			return entry{}, p.end()
		}
		if err != nil {
			return entry{}, err
		}
		if p.index++; p.index >= maxEntries {
			return entry{}, fmt.Errorf("%w: more than %d entries", transfer.ErrDamaged, maxEntries)
		}
		name, err := layout.Clean(header.Name)
		switch header.Typeflag {
		case tar.TypeReg:
			return entry{name: name, size: header.Size, place: layout.Locate(name), index: p.index, start: start}, err
		case tar.TypeDir:
			if err != nil {
				return entry{}, err
			}
		case tar.TypeXGlobalHeader:
		default:
			return entry{}, fmt.Errorf("%w: %q is not a plain file: links, devices and the like have no place in an export",
				transfer.ErrDamaged, header.Name[:min(len(header.Name), layout.MaxName)])
		}
	}
}

// drain reads the rest of an entry, with an eye on ctx.
func (p *pass) drain(ctx context.Context) error {
	if p.index < 0 || p.seeks {
		return context.Cause(ctx)
	}
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, p.tar, 8<<20); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if p.raw != nil {
		p.next0 = roundUp(p.raw.n)
		p.raw.fillUntil = p.next0
	}
	return nil
}

func roundUp(n int64) int64 { return (n + blockSize - 1) &^ (blockSize - 1) }

// end tells whether the tar ends as it must. archive/tar takes any end for good.
func (p *pass) end() error {
	if p.raw == nil {
		return io.EOF
	}
	if p.raw.n != p.next0+endMark {
		return fmt.Errorf("%w: it was cut: it ends without the end mark of a tar", transfer.ErrDamaged)
	}
	fill := make([]byte, readBuffer)
	for total := 0; ; {
		n, err := p.raw.src.Read(fill)
		if total += n; total > maxFill || len(bytes.TrimLeft(fill[:n], "\x00")) > 0 {
			return fmt.Errorf("%w: there is something after its end", transfer.ErrDamaged)
		}
		if err != nil {
			return err // io.EOF
		}
	}
}

// counter counts what the tar reader took, and looks at the bytes between the end of a file and the next header.
type counter struct {
	src       io.Reader
	n         int64
	fillUntil int64
	dirty     bool // a fill byte was not zero
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	if fill := min(int64(n), c.fillUntil-c.n); fill > 0 && len(bytes.TrimLeft(p[:fill], "\x00")) > 0 {
		c.dirty = true
	}
	c.n += int64(n)
	return n, err
}

// prove begins a pass that reads everything and finds what archive/tar lets go.
func (s *Source) prove() (*pass, error) {
	plain, err := s.unpack(0)
	if err != nil {
		return nil, err
	}
	raw := &counter{src: plain}
	return &pass{tar: tar.NewReader(raw), raw: raw, index: -1}, nil
}

// pass begins a pass at an entry of which the proving pass told the place, or before it.
func (s *Source) pass(at mark) (*pass, error) {
	if !s.seekable() {
		at = mark{}
	}
	plain, err := s.unpack(at.start)
	if err != nil {
		return nil, err
	}
	return &pass{tar: tar.NewReader(plain), index: at.index - 1, seeks: s.seekable()}, nil
}

// seekable reports whether the tar lies open in the file.
func (s *Source) seekable() bool { return s.form == form{} }

// newBuffer is bufio.NewReaderSize, with no more memory than a small archive needs.
func (s *Source) newBuffer(r io.Reader) *bufio.Reader {
	const least = 4 << 10
	return bufio.NewReaderSize(r, int(min(readBuffer, max(s.size, least))))
}

// unpack returns the tar from an offset on, which must be 0 unless the source is seekable.
func (s *Source) unpack(from int64) (io.Reader, error) {
	section := io.NewSectionReader(s.file, from, s.size-from)
	if s.seekable() {
		return section, nil
	}
	var r io.Reader = s.newBuffer(section)
	switch s.form.cipher {
	case cipherNone:
	case cipherStock:
		decrypted := s.newBuffer(newECBReader(r, s.block))
		if err := s.proveKey(decrypted); err != nil {
			return nil, err
		}
		r = decrypted
	case cipherAge:
		var err error
		if r, err = ageReader(r, s.identities); err != nil {
			return nil, err
		}
	}
	if !s.form.gzip {
		return s.newBuffer(r), nil
	}
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("unpack gzip: %w", err)
	}
	return s.newBuffer(unzipped), nil
}

// proveKey looks at the first decrypted bytes: the stock cipher has nothing by which a wrong key shows.
func (s *Source) proveKey(r *bufio.Reader) error {
	if s.form.gzip {
		magic, err := r.Peek(3)
		if err != nil {
			return err
		}
		if !bytes.Equal(magic, []byte{0x1f, 0x8b, 8}) {
			return errStockKey()
		}
		return nil
	}
	header, err := r.Peek(blockSize)
	if err != nil {
		return err
	}
	if _, err := tar.NewReader(bytes.NewReader(header)).Next(); errors.Is(err, tar.ErrHeader) {
		return errStockKey()
	}
	return nil
}

func errStockKey() error {
	return fmt.Errorf("%w: %w: the key (--key) is wrong, or the archive is damaged at its beginning", transfer.ErrAuth, ErrWrongKey)
}

// explain turns an error of reading an archive into what it means.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ended := context.Cause(ctx); ended != nil {
		return ended
	}
	for _, known := range []error{transfer.ErrDamaged, transfer.ErrAuth, transfer.ErrUsage, transfer.ErrIncompatible, transfer.ErrUnwritable} {
		if errors.Is(err, known) {
			return err
		}
	}
	// The system's own errors say nothing of the content.
	if medium := (*fs.PathError)(nil); errors.As(err, &medium) {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it was cut: it ends too early", transfer.ErrDamaged)
	}
	return fmt.Errorf("%w: %w", transfer.ErrDamaged, err)
}
