package rows

import (
	"hash/maphash"
	"math/big"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
)

// Sum is the same for two entities if the database would hold the same of them, whatever their ids and the order of their fields.
// Values that the database itself changes, such as decimals that it rounds, are taken as it would have them. ignore names the
// fields that do not count; what plain makes of a JSON text is what counts of it.
func (h Hasher) Sum(c Converter, entity []Row, ignore func(t *model.Type, attribute string) bool, plain func(t *model.Type, attribute, text string) string) uint64 {
	var total uint64
	for _, row := range entity {
		t := row.Table.Type
		if t == nil {
			continue // its path says what the row of a zone says
		}
		var m maphash.Hash
		m.SetSeed(h.seed)
		_, _ = m.WriteString(t.Model.UID) // never fails
		_ = m.WriteByte(0)
		_, _ = m.WriteString(row.Path)
		for i, col := range t.Model.Columns {
			if ignore(t.Model, col.Attribute) {
				continue
			}
			v := row.Values[i+1]
			if text, ok := v.(string); ok && col.Kind == model.JSON {
				v = plain(t.Model, col.Attribute, text)
			}
			_, _ = m.WriteString(strconv.Itoa(i))
			_, _ = m.WriteString(c.level(col.Kind, v))
			_ = m.WriteByte(0)
		}
		total += m.Sum64()
	}
	return total
}

// level writes a stored value in one of the ways in which it may be given.
func (c Converter) level(kind model.Kind, v any) string {
	if v == nil {
		return "\x01"
	}
	text := database.Text(v)
	if b, ok := v.(bool); ok {
		text = strconv.FormatBool(b)
	}
	switch kind {
	case model.Decimal, model.Float, model.Integer:
		if kind == model.Decimal && c.Kind != database.SQLite {
			if r, ok := new(big.Rat).SetString(text); ok {
				return r.FloatString(decimals)
			}
		}
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return strconv.FormatFloat(f, 'g', -1, 64)
		}
	case model.JSON:
		value := jsontext.Value(text)
		if value.Format(jsontext.ReorderRawObjects(true), jsontext.AllowInvalidUTF8(true)) == nil {
			return string(value)
		}
	case model.String, model.BigInteger, model.Boolean, model.Date, model.Time, model.Datetime, model.Timestamp:
	}
	return text
}

// decimals is how many digits behind the point the columns keep that Strapi makes for decimals.
const decimals = 2
