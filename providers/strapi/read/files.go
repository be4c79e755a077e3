package read

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

// TypeFile is the content type of uploaded files.
const TypeFile = "plugin::upload.file"

const fileRows = 200

// Files calls visit with the rows of the media library, portion by portion: each with its id and its columns, but no relations.
func (r *Reader) Files(ctx context.Context, visit func(rows []json.RawMessage) error) error {
	t := r.catalogue.Model.Type(TypeFile)
	if t == nil {
		return nil
	}
	for after := (*int64)(nil); ; {
		p, err := r.portion(ctx, t, after, fileRows)
		if err != nil {
			return fmt.Errorf("read %s: %w", TypeFile, err)
		}
		if len(p.rows) == 0 {
			return nil
		}
		rows := make([]json.RawMessage, len(p.rows))
		for i, row := range p.rows {
			text := strconv.AppendInt([]byte(`{"id":`), row.id, 10)
			rows[i] = append(append(text, p.buffer[row.from:row.to]...), '}')
		}
		if err := visit(rows); err != nil {
			return err
		}
		after = &p.rows[len(p.rows)-1].id
	}
}
