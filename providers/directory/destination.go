package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// Destination writes an unpacked export into a folder beside its own, which takes its name at Commit. It implements
// [transfer.Destination], [transfer.Accountant], [transfer.Stater] and [transfer.Noter].
type Destination struct {
	path string // absolute, links followed
	name string // as the user gave it
	opts Options

	temp     string // path of part, or of what it has taken the place of; "" when there is nothing
	part     *layout.Part
	sink     *folderSink
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

// Create prepares to write an unpacked export. The folder may be missing, empty, or hold a former export and nothing else; that
// is replaced at Commit and not before.
func Create(path string, opts Options) (*Destination, error) {
	target, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("%w: create export: %w", transfer.ErrUsage, err)
	}
	if followed, err := filepath.EvalSymlinks(target); err == nil {
		target = followed
	}
	d := &Destination{path: target, name: path, opts: opts, state: transfer.StateUntouched}
	if _, err := d.former(); err != nil {
		return nil, err
	}
	if info, err := os.Stat(filepath.Dir(target)); err != nil || !info.IsDir() {
		return nil, layout.Unwritable(fmt.Errorf("create export %s: there is no folder %s to put it into", path, filepath.Dir(target)))
	}
	return d, nil
}

// former tells what is in the place of the folder: nothing, an empty folder or a former export. Anything else is refused,
// because it would be deleted.
func (d *Destination) former() (bool, error) {
	info, err := os.Lstat(d.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, layout.Unwritable(fmt.Errorf("create export: %w", err))
	}
	if !info.IsDir() {
		return false, layout.Unwritable(fmt.Errorf("create export: %s is there and is not a folder", d.name))
	}
	folder, err := os.Open(d.path)
	if err != nil {
		return false, layout.Unwritable(fmt.Errorf("create export: %w", err))
	}
	entries, err := folder.ReadDir(listPiece)
	if err = errors.Join(ignoreEOF(err), folder.Close()); err != nil {
		return false, layout.Unwritable(fmt.Errorf("create export: %w", err))
	}
	if len(entries) == 0 {
		return true, nil
	}
	if !IsExport(d.path) {
		return false, layout.Unwritable(fmt.Errorf("create export: the folder %s is not empty and not a former export", d.name))
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			return false, layout.Unwritable(fmt.Errorf("create export: the folder %s holds %q besides a former export, which would be lost", d.name, e.Name()))
		}
	}
	return true, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// ours reports whether an export has a file or folder of this name.
func ours(name string) bool {
	if _, err := transfer.ParseStage(name); err == nil {
		return true
	}
	return name == layout.MetadataFile || name == layout.ManifestFile
}

// Describe implements [transfer.Destination].
func (d *Destination) Describe(context.Context) (transfer.Description, error) {
	return transfer.Description{Kind: "directory", Name: d.name, Blank: true}, nil
}

// Begin implements [transfer.Destination]. An interrupted export is not taken up again.
func (d *Destination) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if d.closed || d.temp != "" {
		return nil, fmt.Errorf("%w: an export is begun once", transfer.ErrUsage)
	}
	part, err := layout.NewPartFolder(d.path)
	if err != nil {
		return nil, layout.Unwritable(fmt.Errorf("begin export: %w", err))
	}
	d.part, d.temp = part, part.Path()
	root, err := os.OpenRoot(d.temp)
	if err != nil {
		return nil, errors.Join(layout.Unwritable(fmt.Errorf("begin export: %w", err)), d.Close())
	}
	d.sink = newFolderSink(root, d.opts.MaxSize)
	d.exporter = layout.NewExporter(d.sink, plan, layout.ExportOptions{
		PartSize: d.opts.PartSize, Scratch: filepath.Dir(d.path), FoldNames: true,
	})
	return nil, nil
}

// Write implements [transfer.Destination].
func (d *Destination) Write(ctx context.Context, batch transfer.Batch) error {
	if d.exporter == nil || d.closed {
		return errNotBegun()
	}
	if err := d.exporter.Write(ctx, batch); err != nil {
		return fmt.Errorf("export %s: %w", d.name, err)
	}
	return nil
}

func errNotBegun() error {
	return fmt.Errorf("%w: the export was not begun, or is closed", transfer.ErrUsage)
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
		return fmt.Errorf("export %s: %w", d.name, errors.Join(err, d.Close()))
	}
	// The folder may have been filled since Create.
	exists, err := d.former()
	if err == nil {
		err = d.takePlace(exists)
	}
	if err != nil {
		return fmt.Errorf("export %s: %w", d.name, errors.Join(err, d.Close()))
	}
	d.state, d.closed = transfer.StateCommitted, true
	// What is left of the temporary folder is the old export, if there was one.
	if err := os.RemoveAll(d.temp); err != nil {
		return layout.Unwritable(fmt.Errorf("export %s is written; remove the old one: %w", d.name, err))
	}
	d.temp = ""
	if err := d.part.Release(); err != nil {
		return layout.Unwritable(fmt.Errorf("export %s is written: %w", d.name, err))
	}
	if err := layout.SyncFolder(filepath.Dir(d.path)); err != nil {
		d.state = transfer.StateUnknown
		return fmt.Errorf("%w: export %s is written, but may not survive a power cut: %w", transfer.ErrOutcomeUnknown, d.name, err)
	}
	return nil
}

// complete writes the last files and makes all of them durable.
func (d *Destination) complete() error {
	if err := d.exporter.Finish(time.Now()); err != nil {
		return err
	}
	if err := errors.Join(d.exporter.Close(), d.sink.Close()); err != nil {
		return layout.Unwritable(err)
	}
	return layout.Unwritable(syncTree(d.temp))
}

// takePlace gives the new folder its name. Afterwards the temporary name is that of the old folder, or of nothing.
func (d *Destination) takePlace(exists bool) error {
	if !exists {
		return layout.Unwritable(os.Rename(d.temp, d.path))
	}
	if info, err := os.Stat(d.path); err == nil {
		if err := os.Chmod(d.temp, info.Mode().Perm()); err != nil {
			return layout.Unwritable(err)
		}
	}
	return layout.Unwritable(exchange(d.temp, d.path))
}

// exchangeInSteps is for systems that cannot exchange two folders at once. A crash in between leaves the old folder under its
// second name.
func exchangeInSteps(fresh, place string) error {
	aside := fresh + ".old"
	if err := os.Rename(place, aside); err != nil {
		return err
	}
	if err := os.Rename(fresh, place); err != nil {
		return errors.Join(err, os.Rename(aside, place))
	}
	return os.Rename(aside, fresh)
}

// Close implements [transfer.Destination].
func (d *Destination) Close() error {
	d.closed = true
	var errs []error
	if d.exporter != nil {
		errs = append(errs, d.exporter.Close(), d.sink.Close())
	}
	if d.temp != "" {
		errs = append(errs, os.RemoveAll(d.temp), d.part.Release())
		d.temp = ""
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
