package read

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// Orphan is a link that leads to or from a row that is not there.
type Orphan struct {
	Left, Right       string // types; "null" if a row names none
	LeftRef, RightRef string
}

// String names the link as Strapi does.
func (o Orphan) String() string {
	return o.Left + ":" + o.LeftRef + " -> " + o.Right + ":" + o.RightRef
}

// Links reads the links of every relation that a type stores, and tells orphan of those that it leaves out.
func (r *Reader) Links(ctx context.Context, orphan func(Orphan), visit Visit) error {
	for _, t := range r.catalogue.Model.Types {
		for i := range t.Relations {
			l := &linkReader{Reader: r, t: t, rel: &t.Relations[i], orphan: orphan}
			l.whole = l.rel.Storage == model.JoinTable && !r.catalogue.HasColumn(l.rel.Table, model.ID)
			if err := l.read(ctx, visit); err != nil {
				return fmt.Errorf("read the links of %s.%s: %w", t.UID, t.Relations[i].Attribute, err)
			}
		}
	}
	return nil
}

// CountLinks counts the rows that links are made of. Those that lead nowhere are among them.
func (r *Reader) CountLinks(ctx context.Context) (total int64, err error) {
	for _, t := range r.catalogue.Model.Types {
		for i := range t.Relations {
			l := &linkReader{Reader: r, t: t, rel: &t.Relations[i]}
			n, err := r.one(ctx, l.count())
			if err != nil {
				return 0, fmt.Errorf("count the links of %s.%s: %w", t.UID, t.Relations[i].Attribute, err)
			}
			total += n
		}
	}
	return total, nil
}

// linkReader reads the links of one relation.
type linkReader struct {
	*Reader
	t      *model.Type
	rel    *model.Relation
	orphan func(Orphan)
	whole  bool // the table has no ids, and is read at once
}

// found is a link as it was read.
type found struct {
	row         int64
	left, right any    // refs
	leftPos     any    // when the relation has an order
	rightPos    any    // when it has an inverse order, or is polymorphic
	typ         string // of the right side
	field       any    // of the right side, when it is polymorphic
	missing     bool
}

func (l *linkReader) count() string {
	r := l.rel
	switch r.Storage {
	case model.JoinColumn:
		return fmt.Sprintf("SELECT count(*) FROM %s WHERE %s IS NOT NULL", l.quote(l.t.Table), l.quote(r.Column))
	case model.MorphColumns:
		return fmt.Sprintf("SELECT count(*) FROM %s WHERE %s IS NOT NULL AND %s IS NOT NULL", l.quote(l.t.Table), l.quote(r.TypeColumn), l.quote(r.IDColumn))
	case model.JoinTable, model.MorphTable:
	}
	return "SELECT count(*) FROM " + l.quote(r.Table)
}

func (l *linkReader) read(ctx context.Context, visit Visit) error {
	w := l.writer()
	for after := (*int64)(nil); ; {
		links, err := l.portion(ctx, after)
		if err != nil || len(links) == 0 {
			return err
		}
		if l.rel.Kind == model.KindMorph {
			if err := l.checkTargets(ctx, links); err != nil {
				return err
			}
		}
		if records := w.write(links); len(records) > 0 {
			if err := visit(records); err != nil {
				return err
			}
		}
		if len(links) < linkRows || l.whole {
			return nil
		}
		after = &links[len(links)-1].row
	}
}

// portion reads the next rows, in the order of their ids.
func (l *linkReader) portion(ctx context.Context, after *int64) ([]found, error) {
	statement, take := l.statement(after)
	links := make([]found, 0, 64)
	err := l.each(ctx, statement, func(values []any) error {
		id, ok := database.Int(values[0])
		if !ok {
			return fmt.Errorf("%w: %q is no id", transfer.ErrDamaged, shown(values[0]))
		}
		f := take(values)
		f.row = id
		links = append(links, f)
		return nil
	})
	return links, err
}

func (l *linkReader) statement(after *int64) (statement string, take func(values []any) found) {
	switch l.rel.Storage {
	case model.JoinColumn:
		return l.joinColumn(after)
	case model.MorphColumns:
		return l.morphColumns(after)
	case model.MorphTable:
		return l.morphTable(after)
	case model.JoinTable:
	}
	return l.joinTable(after)
}

func (l *linkReader) id(alias string) string { return alias + "." + l.quote(model.ID) }

// tail ends a statement: rows of table alias after an id, in order, a portion of them.
func (l *linkReader) tail(alias string, after *int64, conditions ...string) string {
	if after != nil {
		conditions = append(conditions, l.id(alias)+" > "+strconv.FormatInt(*after, 10))
	}
	text := ""
	for i, c := range conditions {
		if i == 0 {
			text = " WHERE " + c
		} else {
			text += " AND " + c
		}
	}
	return fmt.Sprintf("%s ORDER BY %s LIMIT %d", text, l.id(alias), linkRows)
}

func (l *linkReader) joinTable(after *int64) (string, func([]any) found) {
	r := l.rel
	id, tail := l.id("j"), l.tail("j", after)
	if l.whole {
		id, tail = "0", fmt.Sprintf(" ORDER BY j.%s, j.%s", l.quote(r.Left), l.quote(r.Right))
	}
	columns := []string{id, l.column("j", r.Left), l.column("j", r.Right), "a." + l.quote(model.ID), "b." + l.quote(model.ID)}
	for _, order := range []string{r.Order, r.InverseOrder} {
		if order != "" {
			columns = append(columns, l.column("j", order))
		}
	}
	list := strings.Join(columns, ", ")
	target := l.catalogue.Model.Type(r.Target)
	statement := fmt.Sprintf("SELECT %s FROM %s j LEFT JOIN %s a ON a.%s = j.%s LEFT JOIN %s b ON b.%s = j.%s", list, l.quote(r.Table),
		l.quote(l.t.Table), l.quote(model.ID), l.quote(r.Left), l.quote(target.Table), l.quote(model.ID), l.quote(r.Right))
	return statement + tail, func(values []any) found {
		f := found{left: values[1], right: values[2], typ: r.Target, missing: values[3] == nil || values[4] == nil}
		rest := values[5:]
		if r.Order != "" {
			f.leftPos, rest = rest[0], rest[1:]
		}
		if r.InverseOrder != "" {
			f.rightPos = rest[0]
		}
		return f
	}
}

// joinColumn asks whether the target is there, it does not join it: several rows have one documentId. A document is there that the
// row itself belongs to.
func (l *linkReader) joinColumn(after *int64) (string, func([]any) found) {
	r := l.rel
	target := l.catalogue.Model.Type(r.Target)
	exists := fmt.Sprintf("EXISTS (SELECT 1 FROM %s x WHERE x.%s = o.%s)", l.quote(target.Table), l.quote(r.Referenced), l.quote(r.Column))
	if target == l.t && r.Referenced == r.Column {
		exists = "1"
	}
	statement := fmt.Sprintf("SELECT %s, %s, %s FROM %s o", l.id("o"), l.column("o", r.Column), exists, l.quote(l.t.Table))
	return statement + l.tail("o", after, "o."+l.quote(r.Column)+" IS NOT NULL"), func(values []any) found {
		there, _ := database.Int(values[2])
		return found{left: values[0], right: values[1], typ: r.Target, missing: there == 0}
	}
}

func (l *linkReader) morphColumns(after *int64) (string, func([]any) found) {
	r := l.rel
	statement := fmt.Sprintf("SELECT %s, %s, %s FROM %s o", l.id("o"), l.column("o", r.TypeColumn), l.column("o", r.IDColumn), l.quote(l.t.Table))
	tail := l.tail("o", after, "o."+l.quote(r.TypeColumn)+" IS NOT NULL", "o."+l.quote(r.IDColumn)+" IS NOT NULL")
	return statement + tail, func(values []any) found {
		return found{left: values[0], right: values[2], typ: database.Text(values[1])}
	}
}

func (l *linkReader) morphTable(after *int64) (string, func([]any) found) {
	r := l.rel
	statement := fmt.Sprintf("SELECT %s, %s, %s, %s, %s, %s FROM %s o", l.id("o"), l.column("o", r.Left), l.column("o", r.IDColumn),
		l.column("o", r.TypeColumn), l.column("o", r.FieldColumn), l.column("o", r.Order), l.quote(r.Table))
	return statement + l.tail("o", after), func(values []any) found {
		f := found{left: values[1], right: values[2], field: values[4], rightPos: values[5], typ: "null", missing: values[2] == nil || values[3] == nil}
		if values[3] != nil {
			f.typ = database.Text(values[3])
		}
		return f
	}
}
