package transfer

import (
	"context"
	"encoding/json"
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

	raw    json.RawMessage
	parsed bool // the text was checked
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

	// Content opens the file. It is called at most once. What it returns may be a [Digester].
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
