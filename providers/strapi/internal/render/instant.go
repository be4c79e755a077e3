package render

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/model"
)

// maxMilliseconds is as far from 1970 as JavaScript's times go.
const maxMilliseconds = 8.64e15

// appendInstant appends a time: milliseconds since 1970 on SQLite, elsewhere text in the wall clock of the Strapi process. What
// is no time becomes null.
func (r *Renderer) appendInstant(dst []byte, kind model.Kind, value any) []byte {
	ms, ok := int64(0), false
	switch value := value.(type) {
	case int64:
		ms, ok = value, true
	case float64:
		ms, ok = int64(value), math.Abs(value) <= maxMilliseconds
	case string:
		ms, ok = r.parse(value)
	}
	if !ok || ms < -maxMilliseconds || ms > maxMilliseconds {
		return append(dst, "null"...)
	}
	if kind == model.Timestamp {
		dst = append(dst, '"')
		return append(strconv.AppendInt(dst, ms, 10), '"')
	}
	return appendISO(dst, ms)
}

// appendISO appends an instant as Date.toISOString writes it.
func appendISO(dst []byte, ms int64) []byte {
	t := time.UnixMilli(ms).UTC()
	year, month, day := t.Date()
	dst = append(dst, '"')
	switch {
	case year < 0:
		dst = appendPadded(append(dst, '-'), -year, 6)
	case year > 9999:
		dst = appendPadded(append(dst, '+'), year, 6)
	default:
		dst = appendPadded(dst, year, 4)
	}
	dst = appendPadded(append(dst, '-'), int(month), 2)
	dst = appendPadded(append(dst, '-'), day, 2)
	dst = appendPadded(append(dst, 'T'), t.Hour(), 2)
	dst = appendPadded(append(dst, ':'), t.Minute(), 2)
	dst = appendPadded(append(dst, ':'), t.Second(), 2)
	dst = appendPadded(append(dst, '.'), t.Nanosecond()/1e6, 3)
	return append(dst, 'Z', '"')
}

func appendPadded(dst []byte, n, width int) []byte {
	for limit := pow10(width - 1); n < limit && limit > 1; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(n), 10)
}

func pow10(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}

// parse reads a time as databases write it, or one of the ISO forms that JavaScript takes. Digits below the millisecond are cut
// off.
func (r *Renderer) parse(text string) (int64, bool) {
	s := scanner{text: text}
	year, ok := s.year()
	month, day := 1, 1
	if ok && s.skip('-') {
		month = s.number(2)
		if s.skip('-') {
			day = s.number(2)
		}
	}
	local := len(text) > 10 // a date without a time is one in UTC to JavaScript
	hour, minute, second, ms := 0, 0, 0, 0
	if s.skip('T') || s.skip('t') || s.skip(' ') {
		hour, minute, second, ms = s.clock()
	}
	offset, zoned := s.offset()
	if s.skipText(" BC") {
		year = 1 - year
	}
	if !ok || s.bad || s.text != "" || month < 1 || month > 12 || day < 1 || day > 31 || hour > 24 || minute > 59 || second > 59 {
		return 0, false
	}
	wall := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	seconds := wall.Unix()
	switch {
	case zoned:
		seconds -= int64(offset)
	case local || r.Database != database.SQLite:
		seconds = r.clock.instant(seconds, r.Zone)
	}
	return seconds*1000 + int64(ms), true
}

// scanner takes a time's text apart.
type scanner struct {
	text string
	bad  bool
}

func (s *scanner) year() (int, bool) {
	negative := s.skip('-')
	if !negative {
		s.skip('+')
	}
	n := 0
	for n < len(s.text) && s.text[n] >= '0' && s.text[n] <= '9' {
		n++
	}
	if n < 4 || n > 6 {
		return 0, false
	}
	year := s.number(n)
	if negative {
		year = -year
	}
	return year, true
}

// number reads n digits.
func (s *scanner) number(n int) int {
	if len(s.text) < n || !allDigits(s.text[:n]) {
		s.bad = true
		return 0
	}
	value, _ := strconv.Atoi(s.text[:n])
	s.text = s.text[n:]
	return value
}

func (s *scanner) clock() (hour, minute, second, ms int) {
	hour = s.number(2)
	if !s.skip(':') {
		s.bad = true
	}
	minute = s.number(2)
	if s.skip(':') {
		second = s.number(2)
		if s.skip('.') {
			ms = s.fraction()
		}
	}
	return hour, minute, second, ms
}

// fraction reads the milliseconds and passes over what is finer.
func (s *scanner) fraction() int {
	ms, n := 0, 0
	for n < len(s.text) && s.text[n] >= '0' && s.text[n] <= '9' {
		if n < 3 {
			ms = ms*10 + int(s.text[n]-'0')
		}
		n++
	}
	s.text, s.bad = s.text[n:], s.bad || n == 0
	for ; n < 3; n++ {
		ms *= 10
	}
	return ms
}

// offset reads Z or a distance from UTC, in seconds.
func (s *scanner) offset() (seconds int, ok bool) {
	if s.skip('Z') || s.skip('z') {
		return 0, true
	}
	sign := 1
	switch {
	case s.skip('-'):
		sign = -1
	case s.skip('+'):
	default:
		return 0, false
	}
	hours, minutes := s.number(2), 0
	if s.skip(':') || s.text != "" {
		minutes = s.number(2)
	}
	return sign * (hours*3600 + minutes*60), true
}

func (s *scanner) skip(c byte) bool {
	if s.text != "" && s.text[0] == c {
		s.text = s.text[1:]
		return true
	}
	return false
}

func (s *scanner) skipText(t string) bool {
	rest, ok := strings.CutPrefix(s.text, t)
	s.text = rest
	return ok
}
