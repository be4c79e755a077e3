package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxRecord is the longest JSON text of one record, in bytes. Strapi's own limit is one message of 100 MiB, so a longer record
// can never have come from it.
const MaxRecord = 100 << 20

// Record is one piece of content: a [Schema], [Entity], [Asset], [Link] or [Setting]. Records are immutable values.
//
//sumtype:decl
type Record interface {
	// Stage is the stage that the record belongs to.
	Stage() Stage
	// Key names the record in messages and reports, such as "api::article.article 12".
	Key() string
	// Group is the heading under which reports count the record: its content type, or its kind.
	Group() string
	// Size is the length of the record in bytes: its JSON text, or the file for assets.
	Size() int64
	// AppendJSON appends the record's JSON text as archives and the wire carry it. For an Asset that is its metadata.
	AppendJSON(dst []byte) []byte

	record()
}

// Schema is one content type or component.
type Schema struct {
	UID       string
	ModelType string // "contentType" or "component"; older exports leave it out

	raw json.RawMessage
}

// Entity is one row of a content type, with its components inline and without its relations.
type Entity struct {
	Type string
	ID   Ref
	Data json.RawMessage // the row; a part of the record's text

	raw json.RawMessage
}

// Link is one relation between two rows.
type Link struct {
	Kind     string // relation.basic, relation.morph or relation.circular
	Relation string
	Left     End
	Right    End

	raw json.RawMessage
}

// End is one side of a [Link].
type End struct {
	Type  string
	Field string // "" when the side does not know the relation
	Ref   Ref
	Pos   string // JSON text of the position, "" without; may be fractional
}

// Setting is one row of the configuration stage: a core-store value or a webhook.
type Setting struct {
	Type  string // "core-store" or "webhook"
	Name  string // key of the core-store value, name of the webhook
	Value json.RawMessage

	raw json.RawMessage
}

// Asset is one uploaded file, or one of the formats derived from it.
type Asset struct {
	Filename string // hash and extension; never a path, see [Asset.Validate]
	Filepath string // where the source kept it; informative
	Length   int64  // bytes that the source vouches for; -1 when it does not know or only guesses
	Metadata json.RawMessage
	Digest   string // SHA-256 in lower-case hex, "" when the source does not know it

	// Content opens the file. It is called at most once.
	Content func(ctx context.Context) (io.ReadCloser, error)
}

// Ref is the JSON text by which a source's database names a row: a number for a row id, a quoted string for a documentId.
type Ref string

// IntRef returns the Ref of a row id.
func IntRef(id int64) Ref { return Ref(strconv.FormatInt(id, 10)) }

// Int returns the row id, false if the Ref is not an integer.
func (r Ref) Int() (int64, bool) {
	n, err := strconv.ParseInt(string(r), 10, 64)
	return n, err == nil
}

func (r Ref) String() string { return strings.Trim(string(r), `"`) }

// ParseSchema reads the JSON text of a schema. uid is used if the text does not name one.
func ParseSchema(raw []byte, uid string) (Schema, error) {
	s := Schema{UID: uid, raw: raw}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "uid":
			return parseString(value, &s.UID)
		case "modelType":
			return parseString(value, &s.ModelType)
		}
		return nil
	})
	if err == nil && s.UID == "" {
		err = errors.New("no uid")
	}
	return s, wrapRecord("schema", s.UID, err)
}

// ParseEntity reads the JSON text of an entity. The result keeps raw.
func ParseEntity(raw []byte) (Entity, error) {
	e := Entity{raw: raw}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "type":
			return parseString(value, &e.Type)
		case "id":
			return parseRef(value, &e.ID)
		case "data":
			if value.Kind() != '{' {
				return fmt.Errorf("data is %s, not an object", value.Kind())
			}
			e.Data = json.RawMessage(value)
		}
		return nil
	})
	switch {
	case err != nil:
	case e.Type == "":
		err = errors.New("no type")
	case e.ID == "":
		err = errors.New("no id")
	case e.Data == nil:
		err = errors.New("no data")
	}
	return e, wrapRecord("entity", strings.TrimSpace(e.Type+" "+e.ID.String()), err)
}

// NewEntity returns an entity with the given row.
func NewEntity(typ string, id Ref, data json.RawMessage) Entity {
	raw := append([]byte(`{"type":`), quote(typ)...)
	raw = append(append(raw, `,"id":`...), id...)
	raw = append(raw, `,"data":`...)
	at := len(raw)
	raw = append(append(raw, data...), '}')
	return Entity{Type: typ, ID: id, Data: raw[at : len(raw)-1], raw: raw}
}

// ParseLink reads the JSON text of a link. The result keeps raw.
func ParseLink(raw []byte) (Link, error) {
	l := Link{raw: raw}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "kind":
			return parseString(value, &l.Kind)
		case "relation":
			return parseString(value, &l.Relation)
		case "left":
			return parseEnd(name, value, &l.Left)
		case "right":
			return parseEnd(name, value, &l.Right)
		}
		return nil
	})
	switch {
	case err != nil:
	case l.Left.Type == "" || l.Left.Ref == "":
		err = errors.New("no left side")
	case l.Right.Type == "" || l.Right.Ref == "":
		err = errors.New("no right side")
	}
	return l, wrapRecord("link", strings.TrimSpace(l.Left.Type+" "+l.Left.Ref.String()), err)
}

// ParseSetting reads the JSON text of a configuration row. The result keeps raw.
func ParseSetting(raw []byte) (Setting, error) {
	s := Setting{raw: raw}
	err := eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "type":
			return parseString(value, &s.Type)
		case "value":
			s.Value = json.RawMessage(value)
		}
		return nil
	})
	if err == nil && s.Type == "" {
		err = errors.New("no type")
	}
	if err == nil && jsontext.Value(s.Value).Kind() == '{' {
		err = eachMember(s.Value, func(name string, value jsontext.Value) error {
			if (name == "key" || name == "name") && s.Name == "" && value.Kind() == '"' {
				return parseString(value, &s.Name)
			}
			return nil
		})
	}
	return s, wrapRecord("setting", strings.TrimSpace(s.Type+" "+s.Name), err)
}

// ParseRecord reads the JSON text of a record of stage, which must not be [StageAssets].
func ParseRecord(stage Stage, raw []byte) (Record, error) {
	switch stage {
	case StageSchemas:
		return ParseSchema(raw, "")
	case StageEntities:
		return ParseEntity(raw)
	case StageLinks:
		return ParseLink(raw)
	case StageConfiguration:
		return ParseSetting(raw)
	case StageAssets:
	}
	return nil, fmt.Errorf("stage %q has no records of JSON text", stage)
}

// Validate reports an asset whose name could be taken for a path, or that has no metadata. The rules are those that Strapi
// keeps to when it names uploads (hash and extension, no separators), and a little wider than that.
func (a Asset) Validate() error {
	switch name := a.Filename; {
	case name == "", name == ".", name == "..":
		return fmt.Errorf("%w: asset name %q is not a file name", ErrDamaged, name)
	case strings.ContainsAny(name, "/\\\x00:"):
		return fmt.Errorf("%w: asset name %q holds a separator", ErrDamaged, name)
	case len(name) > 255:
		return fmt.Errorf("%w: asset name of %d bytes, at most 255", ErrDamaged, len(name))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: asset name %q holds control characters", ErrDamaged, name)
	}
	if err := eachMember(a.Metadata, func(string, jsontext.Value) error { return nil }); err != nil {
		return wrapRecord("asset", a.Filename, fmt.Errorf("metadata: %w", err))
	}
	return nil
}

// Stage, Key, Group, Size and AppendJSON implement [Record].
func (Schema) Stage() Stage  { return StageSchemas }
func (Entity) Stage() Stage  { return StageEntities }
func (Asset) Stage() Stage   { return StageAssets }
func (Link) Stage() Stage    { return StageLinks }
func (Setting) Stage() Stage { return StageConfiguration }

func (s Schema) Key() string  { return s.UID }
func (e Entity) Key() string  { return e.Type + " " + e.ID.String() }
func (a Asset) Key() string   { return a.Filename }
func (l Link) Key() string    { return l.Left.key() + " -> " + l.Right.key() }
func (s Setting) Key() string { return s.Type + " " + s.Name }

func (e End) key() string {
	if e.Field == "" {
		return e.Type + ":" + e.Ref.String()
	}
	return e.Type + ":" + e.Ref.String() + "." + e.Field
}

func (s Schema) Group() string  { return orElse(s.ModelType, "contentType") }
func (e Entity) Group() string  { return e.Type }
func (a Asset) Group() string   { return orElse(extension(a.Filename), "(none)") }
func (l Link) Group() string    { return l.Left.Type }
func (s Setting) Group() string { return s.Type }

func (s Schema) Size() int64  { return int64(len(s.raw)) }
func (e Entity) Size() int64  { return int64(len(e.raw)) }
func (a Asset) Size() int64   { return max(a.Length, 0) }
func (l Link) Size() int64    { return int64(len(l.raw)) }
func (s Setting) Size() int64 { return int64(len(s.raw)) }

func (s Schema) AppendJSON(dst []byte) []byte  { return append(dst, s.raw...) }
func (e Entity) AppendJSON(dst []byte) []byte  { return append(dst, e.raw...) }
func (a Asset) AppendJSON(dst []byte) []byte   { return append(dst, a.Metadata...) }
func (l Link) AppendJSON(dst []byte) []byte    { return append(dst, l.raw...) }
func (s Setting) AppendJSON(dst []byte) []byte { return append(dst, s.raw...) }

func (Schema) record()  {}
func (Entity) record()  {}
func (Asset) record()   {}
func (Link) record()    {}
func (Setting) record() {}

// ErrInvalidJSON marks text that is not JSON, or not UTF-8, or not of the shape that a record must have.
var ErrInvalidJSON = errors.New("invalid JSON")

// syntax is what jsontext is told to let pass: what Node writes, Strapi stores and a mover must not change. Duplicate names are
// refused at the top level of a record, where they would make it ambiguous, by eachMember.
func syntax() []jsontext.Options {
	return []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
}

// eachMember calls visit for each member of the object raw, after checking all of its text. The values are parts of raw.
func eachMember(raw []byte, visit func(name string, value jsontext.Value) error) error {
	if len(raw) > MaxRecord {
		return fmt.Errorf("%d bytes, at most %d", len(raw), MaxRecord)
	}
	if !utf8.Valid(raw) {
		return fmt.Errorf("%w: the text is not UTF-8", ErrInvalidJSON)
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), syntax()...)
	if tok, err := dec.ReadToken(); err != nil || tok.Kind() != '{' {
		return fmt.Errorf("%w: not an object", ErrInvalidJSON)
	}
	seen := make(map[string]bool, 8)
	for dec.PeekKind() == '"' {
		tok, err := dec.ReadToken()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidJSON, err)
		}
		name := tok.String()
		if seen[name] {
			return fmt.Errorf("%w: the member %q comes twice", ErrInvalidJSON, name)
		}
		seen[name] = true
		value, err := dec.ReadValue()
		if err != nil {
			return fmt.Errorf("%w: member %q: %w", ErrInvalidJSON, name, err)
		}
		at := int(dec.InputOffset())
		if err := visit(name, jsontext.Value(raw[at-len(value):at:at])); err != nil {
			return err
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidJSON, err)
	}
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: text after the object", ErrInvalidJSON)
	}
	return nil
}

func parseEnd(side string, raw jsontext.Value, end *End) error {
	if raw.Kind() != '{' {
		return fmt.Errorf("%s is %s, not an object", side, raw.Kind())
	}
	return eachMember(raw, func(name string, value jsontext.Value) error {
		switch name {
		case "type":
			return parseString(value, &end.Type)
		case "field":
			if value.Kind() == 'n' {
				return nil
			}
			return parseString(value, &end.Field)
		case "ref":
			return parseRef(value, &end.Ref)
		case "pos":
			if value.Kind() != 'n' {
				end.Pos = string(value)
			}
		}
		return nil
	})
}

func parseRef(value jsontext.Value, ref *Ref) error {
	switch value.Kind() {
	case '0', '"':
		*ref = Ref(value)
		return nil
	default:
		return fmt.Errorf("a reference must be a number or a string, not %s", value.Kind())
	}
}

func parseString(value jsontext.Value, s *string) error {
	if value.Kind() != '"' {
		return fmt.Errorf("%s where a string must be", value.Kind())
	}
	text, err := jsontext.AppendUnquote(nil, value)
	*s = string(text)
	return err
}

func wrapRecord(kind, key string, err error) error {
	if err == nil {
		return nil
	}
	if key == "" {
		key = "without a name"
	}
	return fmt.Errorf("%w: %s %s: %w", ErrDamaged, kind, key, err)
}

func quote(s string) []byte {
	text, err := jsontext.AppendQuote(nil, s)
	if err != nil {
		// AppendQuote replaces what it cannot quote and tells so; names come from parsed text and are valid.
		return text
	}
	return text
}

func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return strings.ToLower(name[i:])
	}
	return ""
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
