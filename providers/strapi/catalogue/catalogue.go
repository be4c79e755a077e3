package catalogue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// Reader is a snapshot or a transaction of the database.
type Reader interface {
	All(ctx context.Context, statement string, args ...any) ([][]any, error)
	Columns(ctx context.Context) (map[string][]database.Column, error)
}

// Options say what the database itself does not.
type Options struct {
	// Components are the component files of the project by uid, as they are on disk. nil means that they are not known.
	Components map[string]json.RawMessage
	// ContentTypes are the project's own content types by uid, as they are on disk. They are only compared with those of the database.
	ContentTypes map[string]json.RawMessage
	// Schemas, if there are any, take the place of what the database and the files say.
	Schemas transfer.Schemas
}

// Catalogue is what a database holds, by schema and by table.
type Catalogue struct {
	Schemas transfer.Schemas
	Order   []string // uids in the order in which Strapi streams them
	Model   *model.Model
	Columns map[string][]database.Column // of every table that is there

	// Ahead names what is in the project's files and not yet in the database: types by uid, and attributes as uid.attribute.
	Ahead []string

	stored string
}

// Same reports whether two catalogues of one database say the same of its schemas.
func (c *Catalogue) Same(other *Catalogue) bool { return c.stored == other.stored }

// HasTable reports whether the database has a table.
func (c *Catalogue) HasTable(name string) bool { return len(c.Columns[name]) > 0 }

// HasColumn reports whether the database has a column.
func (c *Catalogue) HasColumn(table, name string) bool {
	return slices.ContainsFunc(c.Columns[table], func(column database.Column) bool { return column.Name == name })
}

// Read finds the schemas of a database and checks them against its tables. quote writes a name in the database's dialect.
func Read(ctx context.Context, db Reader, quote func(string) string, opts Options) (*Catalogue, error) {
	columns, err := db.Columns(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the tables: %w", err)
	}
	c := &Catalogue{Columns: columns}
	r := &reading{db: db, quote: quote, opts: opts, Catalogue: c}
	if err := r.recognise(); err != nil {
		return nil, err
	}
	if r.layout, err = r.readLayout(ctx); err != nil {
		return nil, err
	}
	if err := r.readSchemas(ctx); err != nil {
		return nil, err
	}
	if c.Model, err = model.New(c.Schemas, c.Order); err != nil {
		return nil, err
	}
	return c, r.check()
}

// reading is one Read.
type reading struct {
	*Catalogue
	db     Reader
	quote  func(string) string
	opts   Options
	layout layout
	fresh  map[string]bool // components that Strapi has not been started with yet
}

// recognise tells a database of Strapi 5 from others.
func (r *reading) recognise() error {
	if !r.HasTable(model.CoreStore) {
		return fmt.Errorf("%w: the database is not one of Strapi: it has no table %s; is it the right one, and has Strapi been started on it once?", transfer.ErrUsage, model.CoreStore)
	}
	if r.HasTable(model.MigrationsInternal) {
		return nil
	}
	for table := range r.Columns {
		if r.HasColumn(table, model.DocumentID) {
			return nil
		}
	}
	return fmt.Errorf("%w: the database is one of Strapi 4, of which only its own server can read and write: name its address instead, such as https://host/admin, or upgrade it to Strapi 5", transfer.ErrIncompatible)
}

// readSchemas fills Schemas and Order.
func (r *reading) readSchemas(ctx context.Context) error {
	stored, err := r.readStored(ctx)
	if err != nil {
		return err
	}
	for _, m := range stored {
		r.Order = append(r.Order, m.name)
	}
	if len(r.opts.Schemas) > 0 {
		r.Schemas = r.opts.Schemas
		return nil
	}
	if stored == nil {
		return fmt.Errorf("%w: the database keeps no schemas: start Strapi once on it, or give them with --schemas", transfer.ErrUsage)
	}
	r.Schemas = make(transfer.Schemas, len(stored)+len(r.opts.Components))
	for _, m := range stored {
		if err := r.addSchema(m.name, m.value, nil); err != nil {
			return err
		}
	}
	if err := r.addComponents(ctx); err != nil {
		return err
	}
	return r.compareFiles()
}
