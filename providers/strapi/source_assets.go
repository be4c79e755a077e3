package strapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/providers/strapi/read"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// Reasons for which a source leaves out what it should have, in the words of those that read from a server.
const (
	reasonFileGone = "the source has its row, but not the file"
	reasonMainGone = "the source has its row, but not the file that it is a format of"
	reasonDangling = "the source has the link, but not the row at its end"
)

// lookups is how many files are looked for at the same time.
const lookups = 16

// upload is a file of the media library: that of a row, or a format of it.
type upload struct {
	file     uploads.File
	metadata json.RawMessage
	size     int64
	missing  bool
}

func (u upload) name() string { return u.file.Name() }

func (u upload) group() string {
	if u.file.Ext == "" {
		return "(none)"
	}
	return strings.ToLower(u.file.Ext)
}

// assets reads the files: each row's own, then its formats. What is gone from the disk is skipped, with the formats of a file
// whose original is gone.
func (s *Source) assets(ctx context.Context, early *prefetch, visit read.Visit) error {
	if s.site.opts.Uploads == nil {
		s.note(transfer.NoteWarning, "It is not known where the files of %s are: name the folder with --uploads.", s.site.opts.Name)
	}
	return s.reader.Files(ctx, func(rows []json.RawMessage) error {
		groups, err := uploadsOf(rows)
		if err != nil {
			return err
		}
		if err := s.find(ctx, groups); err != nil {
			return err
		}
		var records []transfer.Record
		for _, group := range groups {
			records = append(records, s.present(group, early)...)
		}
		if len(records) == 0 {
			return nil
		}
		return visit(records)
	})
}

// present returns the records of those files of a row that are there.
func (s *Source) present(group []upload, early *prefetch) []transfer.Record {
	var records []transfer.Record
	for i, u := range group {
		switch {
		case u.missing:
			s.skip(transfer.StageAssets, u.group(), reasonFileGone, u.name())
		case group[0].missing && i > 0:
			s.skip(transfer.StageAssets, u.group(), reasonMainGone, u.name())
		default:
			records = append(records, transfer.Asset{
				Filename: u.name(), Filepath: u.file.URL, Length: u.size, Metadata: u.metadata,
				Content: early.content(u.file, u.size),
			})
		}
	}
	return records
}

// find looks for files, many at a time: storage elsewhere takes its time for each.
func (s *Source) find(ctx context.Context, groups [][]upload) error {
	store := s.site.opts.Uploads
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(lookups)
	for _, group := range groups {
		for i := range group {
			u := &group[i]
			if store == nil {
				u.missing = true
				continue
			}
			work.Go(func() (err error) {
				u.size, err = store.Stat(ctx, u.file)
				if errors.Is(err, fs.ErrNotExist) {
					u.missing, err = true, nil
				}
				return err
			})
		}
	}
	return work.Wait()
}

// countAssets goes by the sizes that the rows state, which are in thousands of bytes.
func (s *Source) countAssets(ctx context.Context) (c transfer.Count, err error) {
	err = s.reader.Files(ctx, func(rows []json.RawMessage) error {
		groups, err := uploadsOf(rows)
		if err != nil {
			return err
		}
		for _, group := range groups {
			c.Records += int64(len(group))
			for _, u := range group {
				var stated struct{ Size float64 }
				_ = json.Unmarshal(u.metadata, &stated) // a row of another shape has no size to add
				c.Bytes += int64(stated.Size * 1000)
			}
		}
		return nil
	})
	return c, err
}

// uploadsOf returns the files of each row.
func uploadsOf(rows []json.RawMessage) ([][]upload, error) {
	groups := make([][]upload, 0, len(rows))
	for _, row := range rows {
		var main struct {
			ID                       json.RawMessage
			Hash, Ext, URL, Provider string
			Mime                     string
			Formats                  json.RawMessage
		}
		if err := json.Unmarshal(row, &main); err != nil {
			return nil, fmt.Errorf("%w: row of %s: %w", transfer.ErrDamaged, read.TypeFile, err)
		}
		group := []upload{{file: uploads.File{Hash: main.Hash, Ext: main.Ext, URL: main.URL, Provider: main.Provider, Mime: main.Mime}, metadata: row}}
		err := eachFormat(main.Formats, func(name string, format json.RawMessage) error {
			var f struct{ Hash, Ext, URL, Mime string }
			if err := json.Unmarshal(format, &f); err != nil {
				return err
			}
			metadata, err := formatMetadata(format, name, main.ID, main.Hash)
			group = append(group, upload{file: uploads.File{Hash: f.Hash, Ext: f.Ext, URL: f.URL, Provider: main.Provider, Mime: f.Mime}, metadata: metadata})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%w: formats of file %s: %w", transfer.ErrDamaged, main.ID, err)
		}
		groups = append(groups, group)
	}
	return groups, nil
}

// eachFormat calls visit for each format of a file, in their order. Anything but an object has none.
func eachFormat(formats json.RawMessage, visit func(name string, format json.RawMessage) error) error {
	return eachMember(formats, func(name string, value json.RawMessage) error {
		if jsontext.Value(value).Kind() != '{' {
			return nil
		}
		return visit(name, value)
	})
}

// formatMetadata is a format as Strapi describes it in a transfer: with the file that it belongs to.
func formatMetadata(format json.RawMessage, name string, id json.RawMessage, hash string) (json.RawMessage, error) {
	out := []byte{'{'}
	err := eachMember(format, func(key string, value json.RawMessage) error {
		if key == "type" || key == "id" || key == "mainHash" {
			return nil
		}
		out = append(appendName(out, key), value...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, m := range []struct {
		key   string
		value any
	}{{"type", name}, {"id", id}, {"mainHash", hash}} {
		text, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		out = append(appendName(out, m.key), text...)
	}
	return append(out, '}'), nil
}

func appendName(dst []byte, name string) []byte {
	if len(dst) > 1 {
		dst = append(dst, ',')
	}
	if quoted, err := jsontext.AppendQuote(dst, name); err == nil {
		dst = quoted
	}
	return append(dst, ':')
}

// eachMember calls visit with the members of an object in their order; anything else has none.
func eachMember(raw json.RawMessage, visit func(name string, value json.RawMessage) error) error {
	if jsontext.Value(raw).Kind() != '{' {
		return nil
	}
	dec := jsontext.NewDecoder(bytes.NewReader(raw), jsontext.AllowDuplicateNames(true))
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != '}' {
		token, err := dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if err := visit(name, bytes.Clone(value)); err != nil {
			return err
		}
	}
	return nil
}
