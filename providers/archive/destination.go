package archive

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/gzip"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

const writeBuffer = 1 << 20

// Destination writes an archive under a temporary name beside its own, which it takes at Commit. It implements
// [transfer.Destination], [transfer.Accountant], [transfer.Stater] and [transfer.Noter].
type Destination struct {
	path       string
	opts       Options
	form       form
	level      int
	block      cipher.Block    // of .enc
	recipients []age.Recipient // of .age

	part     *layout.Part
	temp     *os.File
	layers   []io.Closer // from the tar down to the buffer of the file
	sink     *tarSink
	exporter *layout.Exporter
	state    transfer.State
	closed   bool
}

var (
	_ transfer.Destination = (*Destination)(nil)
	_ transfer.Accountant  = (*Destination)(nil)
	_ transfer.Stater      = (*Destination)(nil)
	_ transfer.Noter       = (*Destination)(nil)
)

// Create prepares to write an archive. Nothing is written before Begin, and an archive of the same name is replaced no sooner
// than at Commit.
func Create(path string, opts Options) (*Destination, error) {
	f, err := parseForm(path)
	if err != nil {
		return nil, err
	}
	d := &Destination{path: path, opts: opts, form: f, state: transfer.StateUntouched}
	if d.level, err = opts.level(); err != nil {
		return nil, err
	}
	switch f.cipher {
	case cipherNone:
		if opts.Key != "" || len(opts.Recipients) > 0 {
			return nil, fmt.Errorf("%w: a key was given, but by its name %s is not encrypted: call it .enc or .age", transfer.ErrUsage, path)
		}
	case cipherStock:
		if opts.Key == "" {
			return nil, fmt.Errorf("%w: %s is to be encrypted: a key is needed (--key)", transfer.ErrUsage, path)
		}
		if d.block, err = opts.stockCipher(); err != nil {
			return nil, err
		}
	case cipherAge:
		if d.recipients, err = opts.ageRecipients(); err != nil {
			return nil, fmt.Errorf("create %s: %w", path, err)
		}
	}
	if err := d.proveTarget(); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Destination) proveTarget() error {
	if info, err := os.Stat(filepath.Dir(d.path)); err != nil {
		return layout.Unwritable(fmt.Errorf("create archive: %w", err))
	} else if !info.IsDir() {
		return layout.Unwritable(fmt.Errorf("create archive: %s is not a folder", filepath.Dir(d.path)))
	}
	info, err := os.Lstat(d.path)
	if err == nil && !info.Mode().IsRegular() {
		return layout.Unwritable(fmt.Errorf("create archive: %s is there and is not a file", d.path))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return layout.Unwritable(fmt.Errorf("create archive: %w", err))
	}
	return nil
}

// Describe implements [transfer.Destination].
func (d *Destination) Describe(context.Context) (transfer.Description, error) {
	return transfer.Description{Kind: "archive", Name: d.path, Blank: true}, nil
}

// Begin implements [transfer.Destination]. An interrupted archive is not taken up again.
func (d *Destination) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if d.closed || d.temp != nil {
		return nil, fmt.Errorf("%w: an archive is begun once", transfer.ErrUsage)
	}
	dir := filepath.Dir(d.path)
	part, temp, err := layout.NewPartFile(d.path)
	if err != nil {
		return nil, layout.Unwritable(fmt.Errorf("begin archive: %w", err))
	}
	d.part, d.temp = part, temp
	out, err := d.stack(temp)
	if err != nil {
		return nil, errors.Join(layout.Unwritable(fmt.Errorf("begin archive %s: %w", d.path, err)), d.Close())
	}
	d.sink = &tarSink{tar: tar.NewWriter(out), spool: layout.NewSpool(dir)}
	d.layers = append([]io.Closer{d.sink.tar}, d.layers...)
	d.exporter = layout.NewExporter(d.sink, plan, layout.ExportOptions{PartSize: d.opts.PartSize, Scratch: dir})
	return nil, nil
}

// stack puts the layers on the file and returns the top one.
func (d *Destination) stack(file io.Writer) (io.Writer, error) {
	buffered := bufio.NewWriterSize(file, writeBuffer)
	d.layers = []io.Closer{closeFunc(buffered.Flush)}
	var out io.Writer = buffered
	push := func(w io.WriteCloser) {
		out = w
		d.layers = append([]io.Closer{w}, d.layers...)
	}
	switch d.form.cipher {
	case cipherNone:
	case cipherStock:
		push(newECBWriter(out, d.block))
	case cipherAge:
		w, err := age.Encrypt(out, d.recipients...)
		debug.FreeOSMemory() // a passphrase takes a quarter of a gibibyte for a moment
		if err != nil {
			return nil, err
		}
		push(w)
	}
	if d.form.gzip {
		w, err := gzip.NewWriterLevel(out, d.level)
		if err != nil {
			return nil, err
		}
		push(w)
	}
	return out, nil
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

// Write implements [transfer.Destination].
func (d *Destination) Write(ctx context.Context, batch transfer.Batch) error {
	if d.exporter == nil || d.closed {
		return errNotBegun()
	}
	if err := d.exporter.Write(ctx, batch); err != nil {
		return fmt.Errorf("archive %s: %w", d.path, err)
	}
	return nil
}

func errNotBegun() error {
	return fmt.Errorf("%w: the archive was not begun, or is closed", transfer.ErrUsage)
}

// Commit implements [transfer.Destination].
func (d *Destination) Commit(ctx context.Context) error {
	if d.exporter == nil || d.closed {
		return errNotBegun()
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := d.complete(); err != nil {
		return fmt.Errorf("archive %s: %w", d.path, errors.Join(err, d.Close()))
	}
	name := d.temp.Name()
	d.temp, d.closed = nil, true
	if err := os.Rename(name, d.path); err != nil {
		return layout.Unwritable(fmt.Errorf("archive %s: %w", d.path, errors.Join(err, os.Remove(name), d.part.Release())))
	}
	if err := d.part.Release(); err != nil {
		return layout.Unwritable(fmt.Errorf("archive %s: %w", d.path, err))
	}
	d.state = transfer.StateCommitted
	if err := layout.SyncFolder(filepath.Dir(d.path)); err != nil {
		d.state = transfer.StateUnknown
		return fmt.Errorf("%w: archive %s is written, but may not survive a power cut: %w", transfer.ErrOutcomeUnknown, d.path, err)
	}
	return nil
}

// complete writes the end of the archive and makes the temporary file durable.
func (d *Destination) complete() error {
	if err := d.exporter.Finish(time.Now()); err != nil {
		return err
	}
	for _, layer := range d.layers {
		if err := layer.Close(); err != nil {
			return layout.Unwritable(fmt.Errorf("write end: %w", err))
		}
	}
	if info, err := os.Stat(d.path); err == nil {
		if err := d.temp.Chmod(info.Mode().Perm()); err != nil {
			return layout.Unwritable(err)
		}
	}
	if err := errors.Join(d.exporter.Close(), d.sink.spool.Close()); err != nil {
		return layout.Unwritable(err)
	}
	if err := d.temp.Sync(); err != nil {
		return layout.Unwritable(err)
	}
	return layout.Unwritable(d.temp.Close())
}

// Close implements [transfer.Destination].
func (d *Destination) Close() error {
	d.closed = true
	var errs []error
	if d.exporter != nil {
		errs = append(errs, d.exporter.Close(), d.sink.spool.Close())
	}
	if d.temp != nil {
		if err := d.temp.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			errs = append(errs, err)
		}
		errs = append(errs, os.Remove(d.temp.Name()), d.part.Release())
		d.temp = nil
	}
	return layout.Unwritable(errors.Join(errs...))
}

// Outcome implements [transfer.Accountant].
func (d *Destination) Outcome() transfer.Outcome {
	if d.exporter == nil {
		return transfer.Outcome{}
	}
	return d.exporter.Outcome()
}

// State implements [transfer.Stater].
func (d *Destination) State() transfer.State { return d.state }

// Notes implements [transfer.Noter].
func (d *Destination) Notes() []transfer.Note {
	if d.exporter == nil {
		return nil
	}
	return d.exporter.Notes()
}
