package rows

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/transfer-runner/runner/providers/strapi/database"
)

func date(value string) (any, error) {
	text, err := textOf(value)
	if err != nil {
		return nil, err
	}
	if len(text) >= len(time.DateOnly) {
		day := text[:len(time.DateOnly)]
		if _, err := time.Parse(time.DateOnly, day); err == nil {
			return day, nil
		}
	}
	return nil, fmt.Errorf("%s is not a date", short(value))
}

// clock is a time of day, with the milliseconds that Strapi always writes.
func clock(value string) (any, error) {
	text, err := textOf(value)
	if err != nil {
		return nil, err
	}
	whole, fraction, _ := strings.Cut(text, ".")
	if _, err := time.Parse(time.TimeOnly, whole); err != nil || len(whole) != len(time.TimeOnly) || len(fraction) > 3 ||
		strings.Trim(fraction, "0123456789") != "" {
		return nil, fmt.Errorf("%s is not a time", short(value))
	}
	return whole + "." + fraction + "000"[len(fraction):], nil
}

func textOf(value string) (string, error) {
	if value[0] != '"' {
		return value, nil
	}
	return unquote(value)
}

// datetime is a moment: milliseconds on SQLite, the wall clock of the Strapi process elsewhere.
func (c Converter) datetime(value string) (any, error) {
	text, err := textOf(value)
	if err != nil {
		return nil, err
	}
	t, err := c.parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a date and time", short(value))
	}
	return c.Moment(t), nil
}

// Moment is how the database stores a moment.
func (c Converter) Moment(t time.Time) any {
	if c.Kind == database.SQLite {
		return t.UnixMilli()
	}
	return t.In(c.zone()).Format("2006-01-02 15:04:05.000")
}

func (c Converter) zone() *time.Location {
	if c.Zone == nil {
		return time.Local
	}
	return c.Zone
}

// parse reads ISO 8601, without an offset in the zone of the Strapi process, or milliseconds since the epoch.
func (c Converter) parse(text string) (time.Time, error) {
	if t, ok := parseZulu(text); ok {
		return t, nil
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && len(text) != 4 {
		return time.UnixMilli(ms), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	var err error
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", time.DateOnly, "2006-01", "2006"} {
		var t time.Time
		if t, err = time.ParseInLocation(layout, text, c.zone()); err == nil {
			return t, nil
		}
	}
	return time.Time{}, err
}

// parseZulu reads 2026-01-02T03:04:05.678Z, the form that nearly all times have, without the cost of a layout.
func parseZulu(s string) (time.Time, bool) {
	if len(s) != 24 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' || s[19] != '.' || s[23] != 'Z' {
		return time.Time{}, false
	}
	year, ok1 := digits(s[0:4])
	month, ok2 := digits(s[5:7])
	day, ok3 := digits(s[8:10])
	hour, ok4 := digits(s[11:13])
	minute, ok5 := digits(s[14:16])
	second, ok6 := digits(s[17:19])
	milli, ok7 := digits(s[20:23])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 || !ok7 || month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false // the end of a month is left to the library
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, milli*int(time.Millisecond), time.UTC), true
}

func digits(s string) (int, bool) {
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, true
}
