package uploads

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/transfer-runner/runner/transfer"
)

// ErrBusy means that somebody else is changing the files. Errors that wrap it wrap [transfer.ErrUnwritable] too.
var ErrBusy = errors.New("the uploaded files are being changed by another transfer")

// File is what a row of the media library, or one of its formats, says of its file.
type File struct {
	Hash     string
	Ext      string // with its dot; may be ""
	URL      string
	Provider string // of the row, also for formats
	Path     string // of the row: the folder within the provider's storage; mostly ""
	Mime     string // of use for storage that hands files out by itself
}

// Name is the name of the file: hash and extension.
func (f File) Name() string { return f.Hash + f.Ext }

// Store is where a project keeps its files. Its methods may be called concurrently; one Change at a time is under way.
type Store interface {
	// Provider is what rows say of files that are kept here: "local", "aws-s3".
	Provider() string

	// Open opens the file of a row; its size is -1 when it is not known. The error wraps [io/fs.ErrNotExist] if the file is not
	// there, and [transfer.ErrDamaged] if its name could lead out of the store.
	Open(ctx context.Context, f File) (body io.ReadCloser, size int64, err error)

	// Stat returns the size of the file of a row without opening it, with errors as Open's.
	Stat(ctx context.Context, f File) (size int64, err error)

	// Recover finishes or undoes what a process that is no more has left. committed says whether the change called id is part of
	// the database. If a change is under way it does nothing. It returns how many changes it has dealt with, and their ids.
	Recover(ctx context.Context, committed func(ctx context.Context, id string) (bool, error)) (ids []string, err error)

	// Begin makes sure that files can be written, and keeps others from changing them. Nothing that can be seen changes yet.
	Begin(ctx context.Context, opts BeginOptions) (Change, error)
}

// BeginOptions say what a change does. The zero value adds files.
type BeginOptions struct {
	// Replace puts the staged files into the place of all that were there.
	Replace bool
	// Old yields the files of the rows that are going to be replaced. Storage that is shared deletes nothing but those.
	Old iter.Seq2[File, error]
}

// Change is a change of the files under way. It is used by one goroutine.
type Change interface {
	// ID names the change. The writer of the database commits it with the rows.
	ID() string

	// Stage takes the content of a file and returns the url that rows shall have for it. The same name may be staged again; the
	// last one counts.
	Stage(ctx context.Context, f File, body io.Reader) (url string, err error)

	// Remove deletes the file of a row when the change is finished, unless it was staged.
	Remove(f File)

	// Apply makes what was staged durable and puts it into its place. When it fails, nothing has changed.
	Apply(ctx context.Context) error

	// Finish lets go of the old files. It comes after Apply and the commit of the database.
	Finish(ctx context.Context) error

	// Undo discards what was staged and puts the old files back. It may be called at any time before Finish, and after it, when
	// it does nothing.
	Undo(ctx context.Context) error
}

// Noter is a [Store] or a [Change] with something to tell.
type Noter interface{ Notes() []transfer.Note }
