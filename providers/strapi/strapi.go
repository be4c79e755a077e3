// Package strapi makes a Strapi project's own database and upload files a source and a destination.
package strapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// Kind is how descriptions name what this package opens.
const Kind = "strapi project"

// Options say what a [Site] is made of. Database is required; the zero value of the rest works.
type Options struct {
	Database database.Config

	// Uploads is where the files are. nil: they cannot be found, so that each counts as missing, which is said in a note.
	Uploads uploads.Store

	// Components are the component files of the project by uid, as they are on disk. nil: they are not known, and a database
	// that has components cannot be used without Schemas.
	Components map[string]json.RawMessage
	// ContentTypes are the project's own content types by uid, as they are on disk. They are only compared with those of the database,
	// to tell what Strapi has not been started with yet.
	ContentTypes map[string]json.RawMessage
	// Schemas, if there are any, take the place of what the database and Components say.
	Schemas transfer.Schemas

	Version string // of Strapi, "" when unknown
	Name    string // how the user calls it, without secrets
	Kind    string // as shown; default [Kind]

	// TokenSalt is the project's salt of transfer tokens. Without it no token can be told.
	TokenSalt string

	Notes  []transfer.Note // about how the options were found; told once
	Logger *slog.Logger    // nil discards
	Now    func() time.Time
}

func (o Options) withDefaults() Options {
	o.Kind = cmp.Or(o.Kind, Kind)
	o.Name = cmp.Or(o.Name, o.Kind)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Site is a Strapi project's content. It may be used by several goroutines; each [Source] and [Destination] by one.
type Site struct {
	db   *database.DB
	opts Options
	told atomic.Bool // the notes of opts

	ahead atomic.Pointer[transfer.Note] // that files are ahead of the database; nil when they are not, or it was told
	found atomic.Bool                   // it has been looked for
}

// Open opens the database of a site.
func Open(ctx context.Context, opts Options) (*Site, error) {
	opts = opts.withDefaults()
	db, err := database.Open(ctx, opts.Database)
	if err != nil {
		return nil, fmt.Errorf("open the database of %s: %w", opts.Name, err)
	}
	return &Site{db: db, opts: opts}, nil
}

// Close lets go of the database. It may be called twice.
func (s *Site) Close() error {
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// notes returns what was said about the options, to whoever asks first.
func (s *Site) notes() []transfer.Note {
	var notes []transfer.Note
	if !s.told.Swap(true) {
		notes = slices.Clone(s.opts.Notes)
	}
	if ahead := s.ahead.Swap(nil); ahead != nil {
		notes = append(notes, *ahead)
	}
	return notes
}
