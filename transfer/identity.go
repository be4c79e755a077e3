package transfer

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Identity names a row, or a component inside one, whatever ids a database gave them: a row by content type, documentId, locale and
// status; a component by the row and the fields that lead to it and, where it is one of several, by what it holds. Identities can be
// compared, and the zero value names nothing.
type Identity struct{ sum sum }

// Identify calls visit for a row, if it has a documentId, and for the components inside it that have an id, outer before inner.
func (a *Anatomy) Identify(e Entity, visit func(uid string, id Ref, name Identity)) error {
	row, known, err := identify(e)
	if err != nil || known == "" {
		return wrapRecord("entity", e.Key(), err)
	}
	visit(e.Type, e.ID, Identity{row})
	names := map[string]sum{"": row} // by path
	twins := make(map[sum]int64)
	err = components(a.models, e.Type, e.Data, func(in instance) error {
		outer, field := "", in.path[:strings.LastIndexByte(in.path, '.')]
		if at := strings.LastIndexByte(field, '.'); at >= 0 {
			outer, field = field[:at], field[at+1:]
		}
		holder := names[outer]
		name := sumOf(holder[:], []byte(field), []byte(in.uid))
		if in.listed {
			text, err := canonicalRow(a.models, in.uid, in.data)
			if err != nil {
				return err
			}
			name = sumOf(name[:], text)
			twins[name]++
			name = sumOf(name[:], []byte(IntRef(twins[name])))
		}
		names[in.path] = name
		if in.id != "" {
			visit(in.uid, in.id, Identity{name})
		}
		return nil
	})
	return wrapRecord("entity", e.Key(), err)
}

// identify returns what names a row in every database, for machines and for people, "" if nothing does.
func identify(e Entity) (sum, string, error) {
	var document, locale string
	status := "draft"
	err := eachMember(e.Data, func(name string, value jsontext.Value) error {
		switch {
		case name == "documentId" && value.Kind() == '"':
			return parseString(value, &document)
		case name == "locale" && value.Kind() == '"':
			return parseString(value, &locale)
		case name == "publishedAt" && value.Kind() != 'n':
			status = "published"
		}
		return nil
	})
	if document == "" {
		return sum{}, "", err
	}
	name := strings.Join(strings.Fields(document+" "+locale+" "+status), " ")
	return sumOf([]byte(e.Type), []byte(document), []byte(locale), []byte(status)), name, err
}
