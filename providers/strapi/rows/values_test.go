package rows_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	type want struct {
		kind  model.Kind
		value string
		want  any // an error when it is one
	}
	zone := time.FixedZone("New York", -5*60*60)
	for kind, cases := range map[database.Kind][]want{
		database.SQLite: {
			{model.String, `5`, "5"},
			{model.String, `1e21`, "1e+21"},
			{model.String, `"\ud83d x \ud83d\ude00 \u00e9\n"`, "\uFFFD x 😀 é\n"},
			{model.String, `null`, nil},
			{model.JSON, ` { "a" : [ 1 , "b c" ] } `[1:], `{"a":[1,"b c"]}`},
			{model.JSON, `"hello"`, "hello"},
			{model.JSON, `""`, ""},
			{model.JSON, `"123"`, `"\"123\""`},
			{model.JSON, `"\"text\""`, `"text"`},
			{model.JSON, `true`, "true"},
			{model.Integer, `"12"`, int64(12)},
			{model.Integer, `1.5`, 1.5},
			{model.Integer, `"x"`, require.Error},
			{model.Float, `1e400`, require.Error},
			{model.Decimal, `12.3`, 12.3},
			{model.BigInteger, `"9223372036854775807"`, int64(math.MaxInt64)},
			{model.BigInteger, `"9223372036854776000"`, int64(math.MaxInt64)},
			{model.BigInteger, `"-000123"`, int64(-123)},
			{model.BigInteger, `"99999999999999999999"`, require.Error},
			{model.BigInteger, `1.5`, require.Error},
			{model.Boolean, `"f"`, int64(0)},
			{model.Boolean, `"no"`, int64(1)},
			{model.Boolean, `1`, int64(1)},
			{model.Date, `"2024-02-29T00:00:00.000Z"`, "2024-02-29"},
			{model.Date, `"2024-02-30"`, require.Error},
			{model.Time, `"13:14:15.1"`, "13:14:15.100"},
			{model.Time, `"13:14"`, require.Error},
			{model.Datetime, `"2024-03-01T10:11:12.345Z"`, int64(1709287872345)},
			{model.Datetime, `"2024-02-29T10:11:12.345Z"`, int64(1709201472345)},
			{model.Datetime, `"1999-01-01T00:00:00+01:00"`, int64(915145200000)},
			{model.Datetime, `"2024-03-01T05:11:12"`, int64(1709287872000)},
			{model.Timestamp, `"1709287872345"`, int64(1709287872345)},
			{model.Timestamp, `"3164"`, int64(3164)},
			{model.Datetime, `"soon"`, require.Error},
		},
		database.Postgres: {
			{model.JSON, `"hello"`, `"\"hello\""`},
			{model.JSON, `"\"text\""`, `"text"`},
			{model.Decimal, `1.255`, "1.255"},
			{model.Boolean, `true`, true},
			{model.Datetime, `"2024-03-01T10:11:12.345Z"`, "2024-03-01 05:11:12.345"},
		},
		database.MySQL: {
			{model.JSON, `"hello"`, `"hello"`},
			{model.JSON, `"123"`, `"\"\\\"123\\\"\""`},
			{model.Boolean, `false`, int64(0)},
		},
	} {
		c := rows.Converter{Kind: kind, Zone: zone}
		for _, one := range cases {
			got, err := c.Convert(one.kind, one.value)
			if _, ok := one.want.(func(require.TestingT, error, ...any)); ok {
				require.Error(t, err, "%s %s %s", kind, one.kind, one.value)
				continue
			}
			require.NoError(t, err, "%s %s %s", kind, one.kind, one.value)
			require.Equal(t, one.want, got, "%s %s %s", kind, one.kind, one.value)
		}
	}
}

func TestIDsAreKept(t *testing.T) {
	t.Parallel()
	var ids rows.IDs
	require.EqualValues(t, 7, ids.Assign(7))
	twice := ids.Assign(7)
	require.NotEqualValues(t, 7, twice, "a second row with the same id gets one of its own")
	got, ok := ids.Of(7)
	require.True(t, ok)
	require.Equal(t, twice, got, "the last one counts")
	require.EqualValues(t, 8, ids.Assign(8))
	_, ok = ids.Of(9)
	require.False(t, ok)

	var moved rows.IDs
	moved.Keep(100)
	require.EqualValues(t, 107, moved.Assign(7))
	got, _ = moved.Of(7)
	require.EqualValues(t, 107, got)
	require.EqualValues(t, 107, moved.Top())
}

func TestDocumentIDsAreLikeStrapis(t *testing.T) {
	t.Parallel()
	require.Regexp(t, `^[a-z][a-z0-9]{23}$`, rows.NewDocumentID())
	require.NotEqual(t, rows.NewDocumentID(), rows.NewDocumentID())
}
