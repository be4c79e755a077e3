// Package render writes stored values as the JSON that Strapi makes of them.
//
// What Strapi rounds is exact here: 64-bit integers, decimals, and numbers inside JSON keep the digits that the database has.
package render

import (
	"time"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
)

// Renderer renders the values of one database. It is used by one goroutine at a time.
type Renderer struct {
	Database database.Kind
	// Zone is that of the Strapi process, in whose wall clock PostgreSQL and MySQL keep times. nil is Local.
	Zone *time.Location

	// Repaired counts texts that were not UTF-8 and had the bad bytes replaced, as Strapi would.
	Repaired int64

	clock clock
}

// Append appends a stored value, which is text, int64, float64 or nil.
func (r *Renderer) Append(dst []byte, kind model.Kind, value any) []byte {
	if value == nil {
		return append(dst, "null"...)
	}
	switch kind {
	case model.String:
		return r.appendText(dst, value)
	case model.JSON:
		return r.appendJSON(dst, value)
	case model.Integer, model.Float, model.Decimal:
		return AppendNumber(dst, value)
	case model.BigInteger:
		return r.appendBigInteger(dst, value)
	case model.Boolean:
		return r.appendBoolean(dst, value)
	case model.Date, model.Time:
		return r.appendPlain(dst, value)
	case model.Datetime, model.Timestamp:
		return r.appendInstant(dst, kind, value)
	}
	return r.appendPlain(dst, value)
}

// appendPlain appends what is in the column, whatever it is.
func (r *Renderer) appendPlain(dst []byte, value any) []byte {
	switch value := value.(type) {
	case string:
		return r.appendString(dst, value)
	case int64, float64:
		return AppendNumber(dst, value)
	}
	return append(dst, "null"...)
}

// appendText appends the value as text, also that of a column that has come to hold a number.
func (r *Renderer) appendText(dst []byte, value any) []byte {
	if text, ok := value.(string); ok {
		return r.appendString(dst, text)
	}
	return append(AppendNumber(append(dst, '"'), value), '"')
}

// appendBoolean follows what Strapi's drivers do: MySQL's takes whatever is not 1 for false.
func (r *Renderer) appendBoolean(dst []byte, value any) []byte {
	switch {
	case value == int64(1) || value == float64(1) || value == "1":
		return append(dst, "true"...)
	case value == int64(0) || value == float64(0) || value == "0" || r.Database == database.MySQL:
		return append(dst, "false"...)
	}
	return append(dst, "null"...)
}
