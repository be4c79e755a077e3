package rows

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
)

// Converter turns JSON values into what a database stores, as Strapi does when it writes.
type Converter struct {
	Kind database.Kind
	Zone *time.Location // of the Strapi process
}

// Convert converts one value, given as JSON text. null is NULL whatever the kind.
func (c Converter) Convert(kind model.Kind, value string) (any, error) {
	if value == "null" {
		return nil, nil //nolint:nilnil // NULL is a value
	}
	switch kind {
	case model.String:
		return stringOf(value)
	case model.JSON:
		return c.json(value)
	case model.Integer, model.Float, model.Decimal:
		return c.number(kind, value)
	case model.BigInteger:
		return bigInteger(value)
	case model.Boolean:
		return c.boolean(value)
	case model.Date:
		return date(value)
	case model.Time:
		return clock(value)
	case model.Timestamp:
		// Strapi yields milliseconds as text, and takes four digits of them for a year when it reads them again.
		if ms, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 64); err == nil {
			return c.Moment(time.UnixMilli(ms)), nil
		}
		return c.datetime(value)
	case model.Datetime:
		return c.datetime(value)
	}
	return nil, fmt.Errorf("values of kind %q are unknown", kind)
}

func stringOf(value string) (any, error) {
	switch value[0] {
	case '"':
		return unquote(value)
	case '{', '[':
		return compact(value), nil
	case 't', 'f':
		return value, nil
	}
	if _, err := strconv.ParseInt(value, 10, 64); err == nil {
		return value, nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return nil, err
	}
	return jsNumber(f), nil
}

// jsNumber is a number as JavaScript writes it.
func jsNumber(f float64) string {
	switch abs := math.Abs(f); {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case abs != 0 && (abs < 1e-6 || abs >= 1e21):
		text := strconv.FormatFloat(f, 'e', -1, 64)
		return strings.Replace(strings.Replace(text, "e-0", "e-", 1), "e+0", "e+", 1)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// json stores objects and arrays as text. Of scalars Strapi itself loses some: it writes bare text, which PostgreSQL and MySQL refuse
// and SQLite turns into numbers. What it reads back as the same value is written instead.
//
// It reads text once or, if that gives text again, twice, and takes what is no JSON in the end for the value; MySQL's driver has
// read it once before.
func (c Converter) json(value string) (any, error) {
	if value[0] != '"' {
		return compact(value), nil
	}
	text, err := unquote(value)
	if err != nil {
		return nil, err
	}
	bare := staysText(text, c.Kind != database.Postgres)
	switch {
	case c.Kind == database.MySQL && bare:
		return quote(text), nil
	case c.Kind == database.MySQL:
		return quote(quoteTwice(text)), nil
	case bare:
		return text, nil
	}
	return quoteTwice(text), nil
}

// staysText reports whether bare text is read back as it is. loose says that it need not be JSON itself.
func staysText(text string, loose bool) bool {
	if !jsontext.Value(text).IsValid() {
		return loose && !numeric(text)
	}
	inner, err := unquote(strings.TrimSpace(text))
	return err == nil && !jsontext.Value(inner).IsValid()
}

// numeric reports whether SQLite would make a number of text.
func numeric(text string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

func (c Converter) number(kind model.Kind, value string) (any, error) {
	text := value
	if value[0] == '"' {
		var err error
		if text, err = unquote(value); err != nil {
			return nil, err
		}
		text = strings.TrimSpace(text)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) || strings.ContainsAny(text, "xX_pP") {
		return nil, fmt.Errorf("%s is not a finite number", short(value))
	}
	if kind == model.Decimal && c.Kind != database.SQLite {
		return strings.TrimPrefix(text, "+"), nil // the database rounds it, to the digits that it keeps
	}
	if kind == model.Integer && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f), nil
	}
	return f, nil
}

func bigInteger(value string) (any, error) {
	text := value
	if value[0] == '"' {
		var err error
		if text, err = unquote(value); err != nil {
			return nil, err
		}
		text = strings.TrimSpace(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return n, nil
	}
	if f, ferr := strconv.ParseFloat(text, 64); ferr == nil && value[0] != '"' && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f), nil
	}
	if errors.Is(err, strconv.ErrRange) {
		return clamp(text)
	}
	return nil, fmt.Errorf("%s is not an integer", short(value))
}

// clamp takes back what Strapi does to the ends of the range: it reads integers from SQLite as floating point, so that 2^63-1 is
// exported as the text that JavaScript writes for 2^63. Everything else beyond 64 bits is an error.
func clamp(text string) (any, error) {
	switch strings.TrimPrefix(text, "+") {
	case "9223372036854776000":
		return int64(math.MaxInt64), nil
	case "-9223372036854776000":
		return int64(math.MinInt64), nil
	}
	return nil, fmt.Errorf("%s does not fit into 64 bits", short(text))
}

func (c Converter) boolean(value string) (any, error) {
	var b bool
	switch value[0] {
	case '"':
		text, err := unquote(value)
		if err != nil {
			return nil, err
		}
		b = text != "" && text != "0" && text != "f" && text != "false"
	case 't', '{', '[':
		b = true
	case 'f':
	default:
		f, err := strconv.ParseFloat(value, 64)
		b = err != nil || f != 0
	}
	if c.Kind == database.Postgres {
		return b, nil
	}
	if b {
		return int64(1), nil
	}
	return int64(0), nil
}

// short quotes a value for a message. What a field holds may be long, and may be a secret: a few characters must do.
func short(value string) string {
	const most = 24
	if len(value) <= most {
		return value
	}
	cut := most
	for !utf8.RuneStart(value[cut]) {
		cut--
	}
	return value[:cut] + "…"
}
