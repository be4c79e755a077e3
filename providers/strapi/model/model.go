package model

import "encoding/json"

// Model is the layout of a whole site.
type Model struct {
	// Types are the content types, then the components, each in the order in which Strapi streams them.
	Types []*Type

	byUID map[string]*Type
}

// Type returns the layout of a content type or component, nil for one that the model does not have.
func (m *Model) Type(uid string) *Type { return m.byUID[uid] }

// Type is the layout of one content type or component.
type Type struct {
	UID       string
	Component bool
	Name      string // singular name, or the file name of a component
	Table     string

	// Columns are the scalar attributes in schema order; of a content type the documentId comes first. The id is not among them.
	Columns []Column

	// Zones are the component and dynamic zone attributes in schema order. Their rows are found through ZoneTable, which is ""
	// without any.
	Zones     []Zone
	ZoneTable string

	// Relations are the relations that this type stores, in schema order.
	Relations []Relation

	attributes map[string]place
}

// Column is a scalar attribute.
type Column struct {
	Attribute string
	Name      string // in the database
	Kind      Kind
	Default   json.RawMessage // of the schema; nil without
}

// Kind says how the values of a column are stored and written as JSON.
type Kind string

// The kinds. Attribute types that are stored alike share one.
const (
	String     Kind = "string" // and text, richtext, uid, email, password, enumeration
	JSON       Kind = "json"   // and blocks
	Integer    Kind = "integer"
	BigInteger Kind = "biginteger"
	Float      Kind = "float"
	Decimal    Kind = "decimal"
	Boolean    Kind = "boolean"
	Date       Kind = "date"
	Time       Kind = "time"
	Datetime   Kind = "datetime"
	Timestamp  Kind = "timestamp"
)

// Zone is an attribute whose value is components.
type Zone struct {
	Attribute  string
	Dynamic    bool     // each component names its own type
	Repeatable bool     // the value is a list; always true of a dynamic zone
	Components []string // the one type, or those that a dynamic zone admits
}

// The columns of a [Type.ZoneTable], which are named alike in every one.
const (
	ZoneEntity    = "entity_id"
	ZoneComponent = "cmp_id"
	ZoneType      = "component_type"
	ZoneField     = "field"
	ZoneOrder     = "order"
)

// ID and DocumentID are columns that tables have without an attribute.
const (
	ID         = "id"
	DocumentID = "document_id"
)

// Storage says where a relation keeps its links.
type Storage string

// The storages.
const (
	JoinTable    Storage = "join table"    // Table has Left, Right, Order, InverseOrder
	JoinColumn   Storage = "join column"   // the own table has Column, which names Referenced of the target
	MorphTable   Storage = "morph table"   // Table has Left, IDColumn, TypeColumn, FieldColumn, Order
	MorphColumns Storage = "morph columns" // the own table has IDColumn and TypeColumn
)

// Relation is a relation attribute that stores links.
type Relation struct {
	Attribute string
	Relation  string // oneToOne … morphToMany, as the schema names it
	Kind      string // relation.basic, relation.circular or relation.morph
	Storage   Storage
	Target    string // uid; "" when it is polymorphic
	Inverse   string // the attribute of the target that shows it, "" without

	Table        string
	Left, Right  string
	Order        string // the position at the left, "" without
	InverseOrder string // the position at the right, "" without

	IDColumn, TypeColumn, FieldColumn string

	Column     string
	Referenced string // id, or document_id for localizations
}

// The kinds of links, as Strapi names them.
const (
	KindBasic    = "relation.basic"
	KindCircular = "relation.circular"
	KindMorph    = "relation.morph"
)

// Class says what an attribute is to the database.
type Class int

// The classes.
const (
	Unknown  Class = iota // the type has no such attribute
	Scalar                // in Columns
	Nested                // in Zones
	Owner                 // in Relations
	Relative              // a relation that the other side stores, media included
)

// place is where an attribute is found.
type place struct {
	class Class
	index int
}

// Class tells what an attribute is; "documentId" is a scalar of content types.
func (t *Type) Class(attribute string) Class { return t.attributes[attribute].class }

// Column returns the column of a scalar attribute, nil if it is none.
func (t *Type) Column(attribute string) *Column {
	if p := t.attributes[attribute]; p.class == Scalar {
		return &t.Columns[p.index]
	}
	return nil
}

// Zone returns a component or dynamic zone attribute, nil if it is none.
func (t *Type) Zone(attribute string) *Zone {
	if p := t.attributes[attribute]; p.class == Nested {
		return &t.Zones[p.index]
	}
	return nil
}

// Relation returns a relation that the type stores, nil if it is none.
func (t *Type) Relation(attribute string) *Relation {
	if p := t.attributes[attribute]; p.class == Owner {
		return &t.Relations[p.index]
	}
	return nil
}

// Index returns where an attribute is among the Columns, Zones or Relations, whichever its class says; -1 if it is nowhere.
func (t *Type) Index(attribute string) int {
	p, ok := t.attributes[attribute]
	if !ok || p.class == Relative || p.class == Unknown {
		return -1
	}
	return p.index
}
