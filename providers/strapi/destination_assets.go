package strapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// typeFile is the content type of the media library.
const typeFile = "plugin::upload.file"

// beginFiles makes sure that the files can be written, before anything is deleted.
func (d *Destination) beginFiles(ctx context.Context) error {
	store := d.site.opts.Uploads
	if store == nil {
		if d.plan.Has(transfer.StageAssets) {
			d.warn("it is not known where this site keeps its files: they are left out")
		}
		return nil
	}
	ids, err := store.Recover(ctx, d.committed)
	if err == nil {
		err = d.site.forgetMarkers(ctx, ids...)
	}
	if err != nil {
		return err
	}
	if !d.plan.Has(transfer.StageAssets) && !d.plan.Has(transfer.StageConfiguration) {
		return nil
	}
	// Files whose rows stay would be missed: they are replaced one by one only.
	opts := uploads.BeginOptions{Replace: d.plan.Restore.Assets && !d.opts.Merge && replaces(d.plan.Restore, typeFile)}
	if opts.Replace {
		opts.Old = d.site.files(ctx)
	}
	d.change, err = store.Begin(ctx, opts)
	return err
}

// fileWriter ties files to their rows. It belongs to the queue's goroutine.
type fileWriter struct {
	table   string
	columns map[string]string // by attribute
	main    *database.Stmt
	format  *database.Stmt

	id      int64 // of the file whose formats are known
	formats string
}

func (d *Destination) writeAssets(ctx context.Context, batch transfer.Batch) error {
	for _, r := range batch.Records {
		a, ok := r.(transfer.Asset)
		if !ok {
			return fmt.Errorf("%w: %T among assets", transfer.ErrDamaged, r)
		}
		if err := a.Validate(); err != nil {
			return err
		}
		if err := d.asset(ctx, a); err != nil {
			return fmt.Errorf("asset %s: %w", a.Filename, err)
		}
	}
	return nil
}

func (d *Destination) asset(ctx context.Context, a transfer.Asset) error {
	if d.change == nil {
		d.omit(transfer.Omission{Record: a, Reason: "it is not known where the destination keeps its files"})
		return d.drain(ctx, a)
	}
	m, err := readMetadata(a)
	if err != nil {
		return fmt.Errorf("%w: metadata: %w", transfer.ErrDamaged, err)
	}
	id, ok := d.fileID(m)
	if !ok {
		d.omit(transfer.Omission{Record: a, Reason: "no row of the media library belongs to it"})
		return d.drain(ctx, a)
	}
	if d.merge != nil {
		if d.merge.hasFile(ctx, id, m, a.Length) {
			d.stored[transfer.StageAssets]++
			return nil
		}
		d.merge.changes++
		d.merge.tally.files++
	}
	url, err := d.stage(ctx, a, m.file)
	if err != nil {
		return err
	}
	d.stored[transfer.StageAssets]++
	return d.queue.submit(ctx, func(ctx context.Context) error {
		// The rows of the stage before may still be waiting to be written.
		if err := d.writer.flush(ctx); err != nil {
			return err
		}
		return d.files.update(ctx, d, id, m.format, url)
	})
}

// fileID finds the row of a file.
func (d *Destination) fileID(m metadata) (int64, bool) {
	t := d.builder.Type(typeFile)
	if t == nil {
		return 0, false
	}
	return t.IDs.Of(m.id)
}

// drain reads a file to its end, because sources cannot pass over one.
func (d *Destination) drain(ctx context.Context, a transfer.Asset) error {
	return withBody(ctx, a, func(body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
}

// stage stores the content of a file beside the old ones.
func (d *Destination) stage(ctx context.Context, a transfer.Asset, f uploads.File) (url string, err error) {
	err = withBody(ctx, a, func(body io.Reader) (err error) {
		url, err = d.change.Stage(ctx, f, body)
		return err
	})
	return url, err
}

// withBody opens a file and checks that use has read as much of it as there should be.
func withBody(ctx context.Context, a transfer.Asset, use func(io.Reader) error) (err error) {
	body, err := a.Content(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	counted := &counter{Reader: body}
	if err := use(counted); err != nil {
		return err
	}
	if a.Length >= 0 && counted.n != a.Length {
		return fmt.Errorf("%w: %d bytes instead of %d", transfer.ErrDamaged, counted.n, a.Length)
	}
	return nil
}

type counter struct {
	io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// metadata is what an asset says of itself.
type metadata struct {
	id     int64
	format string // "" for the file itself
	file   uploads.File
}

func readMetadata(a transfer.Asset) (metadata, error) {
	fields, err := rows.Members(string(a.Metadata))
	if err != nil {
		return metadata{}, err
	}
	var m metadata
	text := func(name string) string {
		value := fields[name]
		if err != nil || value == "" || value == "null" {
			return ""
		}
		var s string
		if s, err = rows.Unquote(value); err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		return s
	}
	if m.id, err = strconv.ParseInt(fields["id"], 10, 64); err != nil {
		return m, errors.New("it has no id")
	}
	if fields["mainHash"] != "" {
		m.format = text("type")
	}
	m.file = uploads.File{Hash: text("hash"), Ext: text("ext"), URL: text("url"), Provider: text("provider"), Path: text("path"), Mime: text("mime")}
	return m, err
}

func (d *Destination) newFileWriter(ctx context.Context) (*fileWriter, error) {
	t := d.catalogue.Model.Type(typeFile)
	if t == nil {
		return &fileWriter{}, nil
	}
	w := &fileWriter{table: d.quote(t.Table), columns: make(map[string]string)}
	for _, name := range []string{"url", "provider", "formats"} {
		c := t.Column(name)
		if c == nil {
			return nil, fmt.Errorf("%w: %s has no field %s", transfer.ErrIncompatible, typeFile, name)
		}
		w.columns[name] = d.quote(c.Name)
	}
	set := func(column string) string {
		return "UPDATE " + w.table + " SET " + column + " = ?, " + w.columns["provider"] + " = ? WHERE " + d.quote(model.ID) + " = ?"
	}
	var err error
	if w.main, err = d.tx.Prepare(ctx, set(w.columns["url"])); err != nil {
		return nil, err
	}
	w.format, err = d.tx.Prepare(ctx, set(w.columns["formats"]))
	return w, err
}

// update says in the row where its file, or one of its formats, is now.
func (w *fileWriter) update(ctx context.Context, d *Destination, id int64, format, url string) error {
	provider := d.site.opts.Uploads.Provider()
	if format == "" {
		_, err := w.main.Exec(ctx, url, provider, id)
		return err
	}
	if w.id != id {
		all, err := d.tx.All(ctx, "SELECT "+w.columns["formats"]+" FROM "+w.table+" WHERE "+d.quote(model.ID)+" = ?", id)
		if err != nil {
			return err
		}
		if len(all) == 0 {
			return fmt.Errorf("%w: the media library lost row %d", transfer.ErrDamaged, id)
		}
		w.id, w.formats = id, database.Text(all[0][0])
	}
	var err error
	if w.formats, err = withURL(w.formats, format, url); err != nil {
		return fmt.Errorf("%w: formats of file %d: %w", transfer.ErrDamaged, id, err)
	}
	_, err = w.format.Exec(ctx, w.formats, provider, id)
	return err
}

// withURL sets the url of one format. Formats that the row does not have stay unknown, as Strapi has it.
func withURL(formats, format, url string) (string, error) {
	if formats == "" || formats[0] != '{' {
		return formats, nil
	}
	out := []byte{'{'}
	err := rows.EachMember(formats, func(name, value string) error {
		if name == format && value[0] == '{' {
			inner, known := []byte{'{'}, false
			err := rows.EachMember(value, func(name, value string) error {
				if name == "url" {
					value, known = rows.Quote(url), true
				}
				inner = appendMember(inner, name, value)
				return nil
			})
			if err != nil {
				return err
			}
			if !known {
				inner = appendMember(inner, "url", rows.Quote(url))
			}
			value = string(append(inner, '}'))
		}
		out = appendMember(out, name, value)
		return nil
	})
	return string(append(out, '}')), err
}

func (w *fileWriter) close() error {
	var errs []error
	for _, stmt := range []*database.Stmt{w.main, w.format} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	w.main, w.format = nil, nil
	return errors.Join(errs...)
}
