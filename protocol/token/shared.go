package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// database is where tokens are, with what its statements must look like.
type database struct {
	*sql.DB

	statement func(string) string
}

func (d database) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return d.DB.ExecContext(ctx, d.statement(query), args...)
}

func (d database) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return d.DB.QueryContext(ctx, d.statement(query), args...)
}

func (d database) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return d.DB.QueryRowContext(ctx, d.statement(query), args...)
}

// Shared is a database that several servers have in common.
type Shared struct {
	DB *sql.DB
	// Bind turns the ? of a statement into what the database wants.
	Bind func(query string) string
	// Secret is known to all of the servers and to nobody else. The key of tokens is derived from it.
	Secret []byte
}

const shared = `CREATE TABLE IF NOT EXISTS transfer_tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, permissions TEXT NOT NULL, site TEXT NOT NULL,
	once BIGINT NOT NULL, created BIGINT NOT NULL, expires BIGINT NOT NULL, last_used BIGINT, spent BIGINT, revoked BIGINT)`

// OpenShared opens the store in a database of several servers, and makes its table if it is not there. Tokens that one of them makes are
// good at all.
func OpenShared(ctx context.Context, in Shared, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if len(in.Secret) < keyLength {
		return nil, fmt.Errorf("open the tokens: a secret of %d bytes, at least %d", len(in.Secret), keyLength)
	}
	names := strings.NewReplacer("{tokens}", "transfer_tokens", "{rowid}", "id")
	mac := hmac.New(sha256.New, in.Secret)
	mac.Write([]byte("tokens"))
	s := &Store{
		db: database{in.DB, func(query string) string { return in.Bind(names.Replace(query)) }}, lent: true, key: mac.Sum(nil), now: opts.Now,
	}
	_, err := s.db.ExecContext(ctx, shared)
	if err != nil { // of two that make the table together, databases refuse one
		_, err = s.db.ExecContext(ctx, shared)
	}
	if err != nil {
		return nil, fmt.Errorf("open the tokens: %w", err)
	}
	return s, nil
}
