package strapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
)

// files yields the files of the media library and their formats, as the database knows them now.
func (s *Site) files(ctx context.Context) iter.Seq2[uploads.File, error] {
	return func(yield func(uploads.File, error) bool) {
		snap, err := s.db.Snapshot(ctx)
		if err != nil {
			yield(uploads.File{}, err)
			return
		}
		more := true
		err = s.eachFile(ctx, snap, func(f uploads.File) bool {
			more = yield(f, nil)
			return more
		})
		if err = errors.Join(err, snap.Close()); err != nil && more {
			yield(uploads.File{}, err)
		}
	}
}

func (s *Site) eachFile(ctx context.Context, q database.Querier, visit func(uploads.File) bool) error {
	c, err := s.catalogue(ctx, q)
	if err != nil {
		return err
	}
	t := c.Model.Type(typeFile)
	if t == nil || !c.HasTable(t.Table) {
		return nil
	}
	var columns []string
	for _, name := range []string{"hash", "ext", "url", "provider", "mime", "formats"} {
		column := t.Column(name)
		if column == nil {
			return nil
		}
		columns = append(columns, s.db.Expr(column.Name))
	}
	result, err := q.Query(ctx, "SELECT "+strings.Join(columns, ", ")+" FROM "+s.db.Quote(t.Table)+" ORDER BY "+s.db.Quote(model.ID))
	if err != nil {
		return err
	}
	for result.Next() {
		row := result.Values()
		f := uploads.File{
			Hash: database.Text(row[0]), Ext: database.Text(row[1]), URL: database.Text(row[2]), Provider: database.Text(row[3]), Mime: database.Text(row[4]),
		}
		if !visit(f) {
			return result.Close()
		}
		formats := database.Text(row[5])
		if formats == "" || formats[0] != '{' {
			continue
		}
		stopped := false
		err := rows.EachMember(formats, func(_, value string) error {
			if stopped || value[0] != '{' {
				return nil
			}
			fields, err := rows.Members(value)
			if err != nil {
				return err
			}
			stopped = !visit(uploads.File{
				Hash: plainText(fields["hash"]), Ext: plainText(fields["ext"]), URL: plainText(fields["url"]), Provider: f.Provider, Mime: plainText(fields["mime"]),
			})
			return nil
		})
		if err != nil {
			return errors.Join(fmt.Errorf("formats of %s: %w", f.Name(), err), result.Close())
		}
		if stopped {
			break
		}
	}
	return closing(result)
}

// plainText is a JSON string's text, "" for anything else.
func plainText(value string) string {
	if value == "" || value[0] != '"' {
		return ""
	}
	text, err := rows.Unquote(value)
	if err != nil {
		return ""
	}
	return text
}
