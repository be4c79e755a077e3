package model

import (
	"fmt"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// addRelation adds a relation. Only the side that stores it gets a place among the relations: the one without mappedBy or morphBy.
func (b *builder) addRelation(t *Type, a attribute) error {
	r := Relation{Attribute: a.name, Relation: a.Relation, Kind: KindBasic, Target: a.Target}
	if a.InversedBy != nil {
		r.Inverse = *a.InversedBy
	}
	var err error
	switch {
	case !a.owns() || a.Relation == "morphOne" || a.Relation == "morphMany":
	case strings.HasPrefix(a.Relation, "morph"):
		r.Kind, r.Target = KindMorph, ""
		err = b.storeMorph(t, a, &r)
	case b.model.Type(a.Target) == nil:
		err = fmt.Errorf("%w: its target %q is unknown", transfer.ErrIncompatible, a.Target)
	default:
		if a.Target == t.UID {
			r.Kind = KindCircular
		}
		err = b.store(t, a, &r)
	}
	if err != nil {
		return err
	}
	if r.Storage == "" {
		t.attributes[a.name] = place{class: Relative}
		return nil
	}
	t.attributes[a.name] = place{class: Owner, index: len(t.Relations)}
	t.Relations = append(t.Relations, r)
	return nil
}

// store finds where a relation between two known types is kept. A manyToMany without a join table is kept nowhere.
func (b *builder) store(t *Type, a attribute, r *Relation) error {
	switch {
	case a.Virtual:
		if a.JoinColumn != nil {
			r.Storage, r.Column, r.Referenced = JoinColumn, a.JoinColumn.Name, orID(a.JoinColumn.Referenced)
		}
		return nil
	case a.JoinTable != nil && !a.JoinTable.Internal:
		r.Storage, r.Table = JoinTable, a.JoinTable.Name
		r.Left, r.Right = a.JoinTable.JoinColumn.Name, a.JoinTable.Inverse.Name
		r.Order, r.InverseOrder = a.JoinTable.Order, a.JoinTable.InverseOrder
		return nil
	case a.UseJoinTable != false:
		return b.storeTable(t, a, r)
	case a.Relation == "oneToOne" || a.Relation == "manyToOne":
		name, err := idName(a.name)
		r.Storage, r.Column, r.Referenced = JoinColumn, name, ID
		if a.JoinColumn != nil {
			r.Referenced = orID(a.JoinColumn.Referenced)
			if a.JoinColumn.Name != "" {
				r.Column = a.JoinColumn.Name
			}
		}
		return err
	}
	return nil
}

// storeTable names the columns of a link table. The inverse prefixes depend on equal names, not on equal types.
func (b *builder) storeTable(t *Type, a attribute, r *Relation) error {
	target := b.model.Type(a.Target)
	toMany := a.Relation == "oneToMany" || a.Relation == "manyToMany"
	fromMany := a.Relation == "manyToOne" || a.Relation == "manyToMany"
	r.Storage = JoinTable
	n := namer{}
	r.Table = n.name(linkTableName(t.Table, a.name))
	r.Left = n.name(idName(t.Name))
	r.Right = n.name(idName(target.Name))
	if r.Left == r.Right {
		r.Right = n.name(inverseIDName(target.Name))
	}
	order, inverse := n.name(orderName(target.Name)), n.name(orderName(t.Name))
	if a.Relation == "manyToMany" && order == inverse {
		inverse = n.name(inverseOrderName(t.Name))
	}
	if toMany {
		r.Order = order
	}
	if a.bidirectional() && fromMany {
		r.InverseOrder = inverse
	}
	return n.err
}

// storeMorph finds where a polymorphic relation is kept.
func (b *builder) storeMorph(t *Type, a attribute, r *Relation) error {
	n := namer{}
	if a.Relation == "morphToOne" {
		r.Storage, r.IDColumn, r.TypeColumn = MorphColumns, "target_id", "target_type"
		if a.MorphColumn != nil {
			r.IDColumn, r.TypeColumn = a.MorphColumn.ID.Name, a.MorphColumn.Type.Name
		}
		return nil
	}
	r.Storage, r.FieldColumn, r.Order = MorphTable, "field", "order"
	if j := a.JoinTable; j != nil && !j.Internal && j.MorphColumn != nil {
		r.Table, r.Left, r.IDColumn, r.TypeColumn = j.Name, j.JoinColumn.Name, j.MorphColumn.ID.Name, j.MorphColumn.Type.Name
		return nil
	}
	r.Table = n.name(morphTableName(t.Table, a.name))
	r.Left = n.name(idName(t.Name))
	r.IDColumn, r.TypeColumn = n.name(idName(a.name)), n.name(typeName(a.name))
	return n.err
}

func orID(column string) string {
	if column == "" {
		return ID
	}
	return column
}

// namer keeps the first error of many names.
type namer struct{ err error }

func (n *namer) name(name string, err error) string {
	if n.err == nil {
		n.err = err
	}
	return name
}
