package render

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
)

func TestAppend(t *testing.T) {
	t.Parallel()
	const lite, pg, my = database.SQLite, database.Postgres, database.MySQL
	tests := map[string]struct {
		database database.Kind
		kind     model.Kind
		value    any
		want     string
	}{
		"NULL is null":                        {lite, model.String, nil, `null`},
		"text is quoted as JavaScript does":   {lite, model.String, "a\"\\/\b\f\n\r\t\x01\x7f<>&\u2028é😀", "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f<>&\u2028é😀\""},
		"bad UTF-8 is replaced":               {lite, model.String, "a\xffb", `"a` + "\ufffd" + `b"`},
		"a number in a column of text":        {lite, model.String, 5.0, `"5"`},
		"an integer beyond 53 bits":           {lite, model.Integer, int64(9007199254740993), `9007199254740993`},
		"a whole float":                       {lite, model.Float, 7.0, `7`},
		"a small float":                       {lite, model.Float, 1.5e-7, `1.5e-7`},
		"a large float":                       {lite, model.Float, 1e21, `1e+21`},
		"a float just below an exponent":      {lite, model.Float, 123456789012345680000.0, `123456789012345680000`},
		"minus zero":                          {lite, model.Float, math.Copysign(0, -1), `0`},
		"no number":                           {lite, model.Float, math.Inf(1), `null`},
		"text that is no number":              {lite, model.Integer, "abc", `null`},
		"a decimal of PostgreSQL":             {pg, model.Decimal, "12.30", `12.3`},
		"a whole decimal":                     {pg, model.Decimal, "-100.00", `-100`},
		"a decimal beyond a float":            {pg, model.Decimal, "123456789012345678.91", `123456789012345678.91`},
		"a decimal of zero":                   {my, model.Decimal, "-0.00", `0`},
		"a decimal that is none":              {pg, model.Decimal, "NaN", `null`},
		"a big integer":                       {lite, model.BigInteger, int64(math.MaxInt64), `"9223372036854775807"`},
		"a big integer as text":               {lite, model.BigInteger, " -000123 ", `"-123"`},
		"a big integer that is none":          {lite, model.BigInteger, "12x", `"12x"`},
		"a real big integer":                  {lite, model.BigInteger, 1e20, `"100000000000000000000"`},
		"true":                                {lite, model.Boolean, int64(1), `true`},
		"false":                               {pg, model.Boolean, int64(0), `false`},
		"neither":                             {lite, model.Boolean, int64(2), `null`},
		"neither on MySQL":                    {my, model.Boolean, int64(2), `false`},
		"a date":                              {lite, model.Date, "2024-02-29", `"2024-02-29"`},
		"a time":                              {pg, model.Time, "13:14:15.1", `"13:14:15.1"`},
		"a datetime of SQLite":                {lite, model.Datetime, int64(915148800000), `"1999-01-01T00:00:00.000Z"`},
		"one before 1970":                     {lite, model.Datetime, int64(-1), `"1969-12-31T23:59:59.999Z"`},
		"one of the year 12345":               {lite, model.Datetime, int64(327403382400000), `"+012345-01-01T00:00:00.000Z"`},
		"one before the year 0":               {lite, model.Datetime, int64(-62198755200000), `"-000001-01-01T00:00:00.000Z"`},
		"one beyond JavaScript":               {lite, model.Datetime, int64(8640000000000001), `null`},
		"a fraction of a millisecond":         {lite, model.Datetime, 1.9, `"1970-01-01T00:00:00.001Z"`},
		"ISO text in SQLite":                  {lite, model.Datetime, "2024-03-01T10:11:12.345Z", `"2024-03-01T10:11:12.345Z"`},
		"ISO text with an offset":             {lite, model.Datetime, "2024-03-01T10:11:12+02:00", `"2024-03-01T08:11:12.000Z"`},
		"local text in SQLite":                {lite, model.Datetime, "2024-03-01 10:11:12", `"2024-03-01T15:11:12.000Z"`},
		"a day in SQLite":                     {lite, model.Datetime, "2024-03-01", `"2024-03-01T00:00:00.000Z"`},
		"no time":                             {lite, model.Datetime, "soon", `null`},
		"wall clock in winter":                {pg, model.Datetime, "2024-03-01 05:11:12.345", `"2024-03-01T10:11:12.345Z"`},
		"wall clock in summer":                {my, model.Datetime, "2024-07-01 05:11:12.345678", `"2024-07-01T09:11:12.345Z"`},
		"digits that are cut off":             {pg, model.Datetime, "2024-03-01 05:11:12.999999", `"2024-03-01T10:11:12.999Z"`},
		"the hour that comes twice":           {pg, model.Datetime, "2024-11-03 01:30:00", `"2024-11-03T05:30:00.000Z"`},
		"the hour that never comes":           {pg, model.Datetime, "2024-03-10 02:30:00", `"2024-03-10T07:30:00.000Z"`},
		"a timestamp":                         {pg, model.Timestamp, "2024-03-01 05:11:12.345", `"1709287872345"`},
		"a timestamp of SQLite":               {lite, model.Timestamp, int64(1709287872345), `"1709287872345"`},
		"infinity":                            {pg, model.Datetime, "infinity", `null`},
		"the zero date of MySQL":              {my, model.Datetime, "0000-00-00 00:00:00", `null`},
		"a year before Christ":                {pg, model.Timestamp, "0002-01-01 00:00:00 BC", `"-62198737438000"`},
		"JSON is compacted, digits stay":      {lite, model.JSON, ` { "a" : [ 1.50 , 9007199254740993 ] } `, `{"a":[1.50,9007199254740993]}`},
		"JSON that was encoded twice":         {lite, model.JSON, `"[1,2]"`, `[1,2]`},
		"text that is no JSON":                {lite, model.JSON, `hello`, `"hello"`},
		"a JSON string keeps its quotes":      {pg, model.JSON, `"hello"`, `"\"hello\""`},
		"a JSON string on MySQL doesn't":      {my, model.JSON, `"hello"`, `"hello"`},
		"JSON encoded thrice on MySQL":        {my, model.JSON, `"\"[1,2]\""`, `[1,2]`},
		"a number by affinity":                {lite, model.JSON, int64(123), `123`},
		"a JSON string of a number":           {pg, model.JSON, `"123"`, `123`},
		"empty text in a JSON column":         {lite, model.JSON, ``, `""`},
		"bad UTF-8 in JSON":                   {lite, model.JSON, "[\"\xff\"]", "[\"\ufffd\"]"},
		"JSON with a lone surrogate":          {lite, model.JSON, `["\ud83d"]`, `["\ud83d"]`},
		"JSON encoded twice, with a trailing": {lite, model.JSON, `"[1,2"`, `"\"[1,2\""`},
	}
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &Renderer{Database: test.database, Zone: zone}
			require.Equal(t, "x"+test.want, string(r.Append([]byte("x"), test.kind, test.value)))
			require.Equal(t, strings.Contains(test.want, "\ufffd"), r.Repaired > 0)
		})
	}
}

func TestClockAgreesWithItself(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"} {
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		shared := &clock{}
		for at := time.Date(2023, 1, 1, 0, 0, 0, 0, zone); at.Year() < 2025; at = at.Add(20 * time.Minute) {
			wall := time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC).Unix()
			got := shared.instant(wall, zone)
			require.Equal(t, (&clock{}).instant(wall, zone), got, at)
			if got != at.Unix() { // the second of two hours of the same name
				require.Equal(t, wall, got+offsetAt(got, zone), at)
				require.Less(t, got, at.Unix())
			}
		}
	}
}

// FuzzAppend checks that whatever is stored becomes valid JSON.
func FuzzAppend(f *testing.F) {
	kinds := []model.Kind{model.String, model.JSON, model.Integer, model.BigInteger, model.Float, model.Decimal, model.Boolean, model.Date, model.Time, model.Datetime, model.Timestamp}
	databases := []database.Kind{database.SQLite, database.Postgres, database.MySQL}
	for _, s := range []string{"", `"`, `"[1]"`, "12.30", "-", "2024-03-01 05:11:12.345", "2024-03-01T10:11:12+02:00", "\xff", "{", "00012", "1e5", "0x10", "1_000"} {
		f.Add(uint8(0), uint8(0), s)
	}
	f.Fuzz(func(t *testing.T, d, k uint8, text string) {
		r := &Renderer{Database: databases[int(d)%len(databases)], Zone: time.UTC}
		for _, value := range []any{text, float64(len(text)) * 1e19, int64(len(text))} {
			got := r.Append(nil, kinds[int(k)%len(kinds)], value)
			if !json.Valid(got) || !utf8.Valid(got) {
				t.Fatalf("%s of %q is %q", kinds[int(k)%len(kinds)], value, got)
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	r := &Renderer{Database: database.Postgres, Zone: time.UTC}
	text := strings.Repeat("lantern, ", 30)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = r.Append(dst[:0], model.String, text)
		dst = r.Append(dst, model.Datetime, "2024-03-01 05:11:12.345")
		dst = r.Append(dst, model.JSON, `[{"type":"paragraph","children":[{"type":"text","text":"x"}]}]`)
	}
}
