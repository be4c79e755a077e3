package read

import (
	"context"
	"fmt"
	"strconv"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// Entities reads every row of every content type, after the first skip of them.
func (r *Reader) Entities(ctx context.Context, skip int64, visit Visit) error {
	for _, t := range r.catalogue.Model.Types {
		if t.Component {
			continue
		}
		after, left, err := r.pass(ctx, t, skip)
		if err != nil {
			return fmt.Errorf("read %s: %w", t.UID, err)
		}
		if skip = left; left > 0 {
			continue
		}
		if err := r.entitiesOf(ctx, t, after, visit); err != nil {
			return err
		}
	}
	return nil
}

// CountEntities counts the rows by content type.
func (r *Reader) CountEntities(ctx context.Context) (map[string]int64, error) {
	counts := make(map[string]int64)
	for _, t := range r.catalogue.Model.Types {
		if t.Component {
			continue
		}
		n, err := r.one(ctx, "SELECT count(*) FROM "+r.quote(t.Table))
		if err != nil {
			return nil, fmt.Errorf("count %s: %w", t.UID, err)
		}
		counts[t.UID] = n
	}
	return counts, nil
}

// pass skips rows of a type: it returns the id after which to begin, or how many rows are still to be skipped in other types.
func (r *Reader) pass(ctx context.Context, t *model.Type, skip int64) (after *int64, left int64, err error) {
	if skip == 0 {
		return nil, 0, nil
	}
	err = r.each(ctx, fmt.Sprintf("SELECT %s FROM %s ORDER BY %s LIMIT 1 OFFSET %d", r.quote(model.ID), r.quote(t.Table), r.quote(model.ID), skip-1),
		func(values []any) error {
			id, _ := database.Int(values[0])
			after = &id
			return nil
		})
	if err != nil || after != nil {
		return after, 0, err
	}
	n, err := r.one(ctx, "SELECT count(*) FROM "+r.quote(t.Table))
	return nil, skip - n, err
}

// entitiesOf reads the rows of one content type whose ids are greater than after; nil means all.
func (r *Reader) entitiesOf(ctx context.Context, t *model.Type, after *int64, visit Visit) error {
	limit := firstRows
	for {
		p, err := r.portion(ctx, t, after, limit)
		if err != nil {
			return fmt.Errorf("read %s: %w", t.UID, err)
		}
		if len(p.rows) == 0 {
			return nil
		}
		records, size := p.records()
		if err := visit(records); err != nil {
			return err
		}
		if len(p.rows) < limit && !p.cut {
			return nil
		}
		after = &p.rows[len(p.rows)-1].id
		limit = min(max(portionBytes/(size/len(p.rows)+1), 1), portionRows)
	}
}

// portion is some rows of a content type with all that is inside of them.
type portion struct {
	*node
	forest *forest
	cut    bool // there are more rows than were taken
}

func (r *Reader) portion(ctx context.Context, t *model.Type, after *int64, limit int) (*portion, error) {
	condition := ""
	if after != nil {
		condition = " WHERE " + r.quote(model.ID) + " > " + strconv.FormatInt(*after, 10)
	}
	s := r.shape(t)
	p := &portion{node: &node{shape: s}, forest: newForest(r)}
	statement := fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT %d", s.list, r.quote(t.Table), condition, r.quote(model.ID), limit)
	err := r.each(ctx, statement, func(values []any) error {
		if len(p.buffer) > portionLimit {
			p.cut = true
			return errEnough
		}
		return p.add(r, values)
	})
	if err != nil || len(p.rows) == 0 {
		return p, err
	}
	return p, p.forest.grow(ctx, p.node)
}

// records writes the entities, and says how long they are together.
func (p *portion) records() ([]transfer.Record, int) {
	prefix := p.prefix
	out := make([]byte, 0, len(p.buffer)+len(p.rows)*(len(prefix)+40+len(p.zones)*24)+p.forest.size())
	type span struct{ from, id, data, to int }
	spans := make([]span, len(p.rows))
	for i, row := range p.rows {
		s := span{from: len(out)}
		out = append(out, prefix...)
		s.id = len(out)
		out = strconv.AppendInt(out, row.id, 10)
		out = append(out, `,"data":`...)
		s.data = len(out)
		out = append(out, '{')
		out = append(out, p.buffer[row.from+1:row.to]...) // without its first comma: every content type has a documentId
		out = append(p.forest.appendZones(out, p.node, row.id), '}', '}')
		s.to = len(out)
		spans[i] = s
	}
	records := make([]transfer.Record, len(spans))
	for i, s := range spans {
		raw := out[s.from:s.to:s.to]
		id := transfer.Ref(out[s.id : s.data-len(`,"data":`)])
		records[i] = transfer.WrittenEntity(raw, p.t.UID, id, raw[s.data-s.from:len(raw)-1:len(raw)-1])
	}
	return records, len(out)
}
