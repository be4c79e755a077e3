package database

import (
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// postgresSession is one connection to PostgreSQL. Values travel as text in both directions: so that a timestamp, a numeric or a
// jsonb arrives as it is stored, and so that the server is the one that knows the types of columns.
type postgresSession struct{ conn *pgconn.PgConn }

func connectPostgres(ctx context.Context, c Config) (session, error) {
	// The settings of this machine's libpq are not the project's: all that pgconn would take from them is overwritten.
	config, err := pgconn.ParseConfig("host=127.0.0.1 port=5432 user=postgres sslmode=disable")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port = cmp.Or(c.Host, "127.0.0.1"), uint16(c.port()) //nolint:gosec // validate has looked at the range
	if c.Socket != "" {
		config.Host = c.Socket
	}
	config.Database, config.User, config.Password = c.Name, cmp.Or(c.User, "postgres"), c.Password
	config.TLSConfig, config.Fallbacks = withServerName(c.TLS, c.Host), nil
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams = map[string]string{"client_encoding": "UTF8", "datestyle": "ISO"}
	config.ValidateConnect, config.AfterConnect = nil, nil
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &postgresSession{conn}, nil
}

func withServerName(config *tls.Config, host string) *tls.Config {
	if config == nil || config.ServerName != "" || config.InsecureSkipVerify {
		return config
	}
	config = config.Clone()
	config.ServerName = host
	return config
}

// searchPath makes unqualified names mean the project's schema, for this transaction: a pooler may hand the connection on.
func (c Config) searchPath() string {
	return "SET LOCAL search_path TO " + Postgres.Quote(cmp.Or(c.Schema, "public"))
}

func (s *postgresSession) exec(ctx context.Context, statement string, args []any) (int64, error) {
	res := s.run(ctx, statement, args).Read()
	return res.CommandTag.RowsAffected(), res.Err
}

func (s *postgresSession) query(ctx context.Context, statement string, args []any) (rows, error) {
	reader := s.run(ctx, statement, args)
	fields := reader.FieldDescriptions()
	if len(fields) == 0 { // it failed, or has nothing to tell
		if _, err := reader.Close(); err != nil {
			return nil, err
		}
	}
	kinds := make([]uint32, len(fields))
	for i, f := range fields {
		kinds[i] = f.DataTypeOID
	}
	return &postgresRows{reader: reader, kinds: kinds, values: make([]any, len(fields))}, nil
}

func (s *postgresSession) run(ctx context.Context, statement string, args []any) *pgconn.ResultReader {
	values := make([][]byte, len(args))
	for i, arg := range args {
		values[i] = textOf(arg)
	}
	return s.conn.ExecParams(ctx, numbered(statement), values, nil, nil, nil)
}

func (s *postgresSession) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return s.conn.Close(ctx)
}

// textOf is a value as PostgreSQL reads it, nil for NULL.
func textOf(v any) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return append([]byte{}, v...)
	case bool:
		return strconv.AppendBool(nil, v)
	}
	return append([]byte{}, Text(v)...)
}

// numbered turns the question marks of a statement into $1, $2 and so on, those in quotes excepted.
func numbered(statement string) string {
	if !strings.Contains(statement, "?") {
		return statement
	}
	out := make([]byte, 0, len(statement)+16)
	n, quote := 0, byte(0)
	for i := range len(statement) {
		c := statement[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '?':
			n++
			out = strconv.AppendInt(append(out, '$'), int64(n), 10)
			continue
		}
		out = append(out, c)
	}
	return string(out)
}

// postgresRows reads a result in text format.
type postgresRows struct {
	reader *pgconn.ResultReader
	kinds  []uint32
	values []any
}

func (r *postgresRows) next() ([]any, error) {
	if !r.reader.NextRow() {
		if _, err := r.reader.Close(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	for i, raw := range r.reader.Values() {
		r.values[i] = postgresValue(r.kinds[i], raw)
	}
	return r.values, nil
}

func (r *postgresRows) close() error {
	_, err := r.reader.Close()
	return err
}

func postgresValue(kind uint32, raw []byte) any {
	if raw == nil {
		return nil
	}
	switch kind {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.OIDOID:
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			return n
		}
	case pgtype.Float4OID, pgtype.Float8OID:
		if f, err := strconv.ParseFloat(string(raw), 64); err == nil {
			return f
		}
	case pgtype.BoolOID:
		if len(raw) == 1 && raw[0] == 't' {
			return int64(1)
		}
		return int64(0)
	}
	return string(raw)
}
