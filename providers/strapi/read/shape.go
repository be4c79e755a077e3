package read

import (
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/internal/render"
	"github.com/transfer-runner/runner/providers/strapi/model"
)

// shape is what rows of a type have in common: how they are selected, and the text around their values.
type shape struct {
	t      *model.Type
	list   string   // what is selected: the id, then the columns
	keys   []string // `,"attribute":` of each column
	zones  []string // and of each zone
	name   string   // `"uid"`
	prefix string   // `{"type":"uid","id":` of an entity
}

func (r *Reader) shape(t *model.Type) *shape { return r.shapes[t] }

func (r *Reader) newShape(t *model.Type) *shape {
	s := &shape{t: t, name: quoted(t.UID), prefix: `{"type":` + quoted(t.UID) + `,"id":`}
	list := []string{r.quote(model.ID)}
	for _, c := range t.Columns {
		list = append(list, r.db.Expr(c.Name))
		s.keys = append(s.keys, ","+quoted(c.Attribute)+":")
	}
	s.list = strings.Join(list, ", ")
	for _, z := range t.Zones {
		s.zones = append(s.zones, ","+quoted(z.Attribute)+":")
	}
	return s
}

// row is a row that was read: where its scalars are in a buffer, each behind its key.
type row struct {
	id       int64
	from, to int
}

// appendScalars appends the values of a row, which begin with the id.
func (r *Reader) appendScalars(dst []byte, s *shape, values []any) []byte {
	for i, key := range s.keys {
		dst = r.render.Append(append(dst, key...), s.t.Columns[i].Kind, values[i+1])
	}
	return dst
}

// text of a stored value, as JavaScript would have it in a message.
func shown(value any) string {
	if value == nil {
		return "null"
	}
	return database.Text(value)
}

func quoted(text string) string {
	out, _ := render.AppendQuoted(nil, text)
	return string(out)
}
