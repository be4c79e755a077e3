package read

import (
	"context"
	"fmt"
	"slices"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
)

// checkTargets finds out which polymorphic links lead to a row that is there. Who owns them is not looked at, neither by Strapi.
func (l *linkReader) checkTargets(ctx context.Context, links []found) error {
	wanted := make(map[string][]int64)
	for i := range links {
		f := &links[i]
		if f.missing {
			continue
		}
		id, ok := database.Int(f.right)
		if f.missing = !ok; ok {
			wanted[f.typ] = append(wanted[f.typ], id)
		}
	}
	there := make(map[string][]int64, len(wanted))
	for uid, ids := range wanted {
		found, err := l.existing(ctx, uid, ids)
		if err != nil {
			return fmt.Errorf("look for rows of %s: %w", uid, err)
		}
		there[uid] = found
	}
	for i := range links {
		if f := &links[i]; !f.missing {
			id, _ := database.Int(f.right)
			f.missing = !in(there[f.typ], id)
		}
	}
	return nil
}

// existing returns those ids that a type has rows for, sorted. A type that is gone has none.
func (r *Reader) existing(ctx context.Context, uid string, ids []int64) ([]int64, error) {
	t := r.catalogue.Model.Type(uid)
	if t == nil {
		return nil, nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	out := make([]int64, 0, len(ids))
	err := eachList(ids, func(ids []int64) error {
		statement := fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY %s", r.quote(model.ID), r.quote(t.Table), r.where(model.ID, ids), r.quote(model.ID))
		return r.each(ctx, statement, func(values []any) error {
			if id, ok := database.Int(values[0]); ok {
				out = append(out, id)
			}
			return nil
		})
	})
	return out, err
}
