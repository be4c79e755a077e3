package database

import (
	"bytes"
	"context"
	"strconv"
	"strings"
)

// copyBytes is how much a bulk keeps back before it is copied into the table.
const copyBytes = 256 << 10

// copyBulk writes rows by COPY in text format. Only one COPY can run on a connection, so each bulk keeps a buffer of its own.
type copyBulk struct {
	s         *postgresSession
	statement string
	buffer    []byte
}

func (s *postgresSession) bulk(_ context.Context, table string, columns []string) (Bulk, error) {
	names := make([]string, len(columns))
	for i, name := range columns {
		names[i] = Postgres.Quote(name)
	}
	return &copyBulk{s: s, statement: "COPY " + Postgres.Quote(table) + " (" + strings.Join(names, ", ") + ") FROM STDIN"}, nil
}

func (b *copyBulk) Add(values []any) bool {
	for i, v := range values {
		if i > 0 {
			b.buffer = append(b.buffer, '\t')
		}
		b.buffer = appendCopy(b.buffer, v)
	}
	b.buffer = append(b.buffer, '\n')
	return len(b.buffer) >= copyBytes
}

func (b *copyBulk) Flush(ctx context.Context) error {
	if len(b.buffer) == 0 {
		return nil
	}
	_, err := b.s.conn.CopyFrom(ctx, bytes.NewReader(b.buffer), b.statement)
	if cap(b.buffer) > 4*copyBytes {
		b.buffer = nil // one huge row is no reason to keep its room
	}
	b.buffer = b.buffer[:0]
	return err
}

func (b *copyBulk) Close() error {
	b.buffer = nil
	return nil
}

// appendCopy appends a value in COPY's text format.
func appendCopy(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, `\N`...)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float64:
		return strconv.AppendFloat(dst, v, 'g', -1, 64)
	case bool:
		if v {
			return append(dst, 't')
		}
		return append(dst, 'f')
	case string:
		return appendEscaped(dst, v)
	}
	return appendEscaped(dst, Text(v))
}

func appendEscaped(dst []byte, s string) []byte {
	start := 0
	for i := range len(s) {
		var short byte
		switch s[i] {
		case '\\':
			short = '\\'
		case '\t':
			short = 't'
		case '\n':
			short = 'n'
		case '\r':
			short = 'r'
		default:
			continue
		}
		dst = append(append(dst, s[start:i]...), '\\', short)
		start = i + 1
	}
	return append(dst, s[start:]...)
}
