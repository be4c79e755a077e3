package rows

import (
	"fmt"
	"hash/maphash"

	"github.com/transfer-runner/runner/transfer"
)

// Identity is what tells a row from others on any site.
type Identity struct {
	DocumentID string
	Locale     string
	Published  bool
	Updated    int64 // milliseconds since the epoch, 0 when it is not known; not part of the key
}

// Identify reads the identity of a row from its data.
func (c Converter) Identify(e transfer.Entity) (Identity, error) {
	id := Identity{Published: true} // what does not say is published now, as Strapi has it
	err := eachMember(string(e.Data), func(name, value string) error {
		var err error
		switch {
		case name == "publishedAt":
			id.Published = value != "null"
		case value == "null":
		case name == "documentId":
			id.DocumentID, err = textOf(value)
		case name == "locale":
			id.Locale, err = textOf(value)
		case name == "updatedAt":
			text, err := textOf(value)
			if err != nil {
				return err
			}
			if t, err := c.parse(text); err == nil {
				id.Updated = t.UnixMilli()
			}
		}
		return err
	})
	if err != nil {
		return id, fmt.Errorf("%w: %s: %w", transfer.ErrDamaged, e.Key(), err)
	}
	return id, nil
}

// Hasher makes short keys of long ones. Keys of different hashers have nothing to do with each other.
type Hasher struct{ seed maphash.Seed }

// NewHasher returns a hasher.
func NewHasher() Hasher { return Hasher{maphash.MakeSeed()} }

// Key is a key of a row, or of what is at a path inside of it; 0 for a row without a document.
func (h Hasher) Key(uid string, id Identity, path string) uint64 {
	if id.DocumentID == "" {
		return 0
	}
	var m maphash.Hash
	m.SetSeed(h.seed)
	status := "draft"
	if id.Published {
		status = "published"
	}
	for _, part := range []string{uid, id.DocumentID, id.Locale, status, path} {
		_, _ = m.WriteString(part) // never fails
		_ = m.WriteByte(0)         // never fails
	}
	return max(m.Sum64(), 1)
}
