package token

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/google/uuid"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/transfer-runner/runner/protocol"
)

const (
	storeFile = "tokens.db"
	folder    = 0o700

	// busy is how long a writer waits for another process, in ms.
	busy = 10_000
	// useEvery is how often the last use of a token is written down at most.
	useEvery = time.Minute
	// maxListed bounds a list.
	maxListed = 10_000
)

// Store keeps the tokens of a server in its data folder. Several processes may use one, such as a server and the command that
// revokes. Its methods may be called concurrently.
type Store struct {
	db   database
	lent bool // db is somebody else's
	key  []byte
	now  func() time.Time
}

// Options are the choices of a [Store]. The zero value works.
type Options struct {
	Now func() time.Time // default time.Now
}

// Open opens the store in the data folder dir, and makes both if they are not there.
func Open(ctx context.Context, dir string, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if err := os.MkdirAll(dir, folder); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	key, err := loadKey(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, storeFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, keyMode) //nolint:gosec // a fixed name in the data folder; made here for its mode
	if err != nil {
		return nil, fmt.Errorf("open the tokens: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("open the tokens: %w", err)
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: fmt.Sprintf(
		"_pragma=busy_timeout(%d)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate", busy)}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open the tokens: %w", err)
	}
	db.SetMaxOpenConns(4)
	s := &Store{db: database{db, strings.NewReplacer("{tokens}", "tokens", "{rowid}", "rowid").Replace}, key: key, now: opts.Now}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the tokens in %s: %w", path, err), db.Close())
	}
	return s, nil
}

// migrations are the statements that bring the store from one version to the next.
func migrations() []string {
	return []string{
		`CREATE TABLE tokens (id TEXT PRIMARY KEY, name TEXT NOT NULL, permissions TEXT NOT NULL, site TEXT NOT NULL, once INTEGER NOT NULL,
			created INTEGER NOT NULL, expires INTEGER NOT NULL, last_used INTEGER, spent INTEGER, revoked INTEGER) STRICT`,
	}
}

// prepare migrates the store. Of several processes that make it at the same time SQLite refuses all but one while it changes the
// journal mode, without waiting for its busy timeout.
func (s *Store) prepare(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff(backoff.WithInitialInterval(5*time.Millisecond), backoff.WithMaxElapsedTime(busy*time.Millisecond))
	return backoff.Retry(func() error {
		err := s.migrate(ctx)
		if refused, ok := errors.AsType[*sqlite.Error](err); ok && refused.Code()&0xff == sqlite3.SQLITE_BUSY {
			return err
		}
		if err != nil {
			return backoff.Permanent(err)
		}
		return nil
	}, backoff.WithContext(wait, ctx))
}

func (s *Store) migrate(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it has nothing to do
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	steps := migrations()
	if version > len(steps) {
		return fmt.Errorf("it is of version %d, and this program knows %d: use a newer one", version, len(steps))
	}
	for _, step := range steps[version:] {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", len(steps))); err != nil {
		return err
	}
	return tx.Commit()
}

// Create makes a token and returns what is known of it and its text, which is kept nowhere.
func (s *Store) Create(ctx context.Context, spec Spec) (Token, string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return Token{}, "", fmt.Errorf("create token: %w", err)
	}
	t, text, _, err := s.insert(ctx, spec, id, "VALUES (?, ?, ?, ?, ?, ?, ?)")
	return t, text, err
}

// CreateFirst makes a token if none was ever made, and reports whether it did. Of several servers that start on one store at the same
// time one does.
func (s *Store) CreateFirst(ctx context.Context, spec Spec) (t Token, text string, first bool, err error) {
	// All of them would call it the same, which the database lets one of them do, also where it does not see what the others are about
	// to write.
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte("first token"))
	id, err := uuid.FromBytes(mac.Sum(nil)[:len(uuid.UUID{})])
	if err != nil {
		return Token{}, "", false, fmt.Errorf("create token: %w", err)
	}
	return s.insert(ctx, spec, id, "SELECT ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM {tokens}) ON CONFLICT (id) DO NOTHING")
}

// insert writes a new token down, with the values that a part of the statement makes of its own. done reports whether it did.
func (s *Store) insert(ctx context.Context, spec Spec, id uuid.UUID, values string) (t Token, text string, done bool, err error) {
	if spec, err = spec.withDefaults(); err != nil {
		return Token{}, "", false, fmt.Errorf("create token: %w", err)
	}
	// Whole seconds, as in the text. The end is rounded up so that a token lives no less than it was asked to.
	now := s.now().Truncate(time.Second)
	expires := s.now().Add(spec.Lifetime + time.Second - 1).Truncate(time.Second)
	t = Token{ID: id.String(), Name: spec.Name, Permissions: spec.Permissions, Site: spec.Site, Once: spec.Once, Created: now, Expires: expires}
	if text, err = sign(s.key, t); err != nil {
		return Token{}, "", false, err
	}
	result, err := s.db.ExecContext(ctx, "INSERT INTO {tokens} (id, name, permissions, site, once, created, expires) "+values,
		t.ID, t.Name, joined(t.Permissions), t.Site, number(t.Once), t.Created.Unix(), t.Expires.Unix())
	var n int64
	if err == nil {
		n, err = result.RowsAffected()
	}
	if err != nil {
		return Token{}, "", false, fmt.Errorf("create token: %w", err)
	}
	if n == 0 {
		return Token{}, "", false, nil
	}
	return t, text, true, nil
}

// number is a boolean as databases without such a type have it.
func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func joined(permissions []protocol.Direction) string {
	names := make([]string, len(permissions))
	for i, p := range permissions {
		names[i] = string(p)
	}
	return strings.Join(names, ",")
}

// Verify returns the token whose text this is, if it is good now.
func (s *Store) Verify(ctx context.Context, text string) (Token, error) {
	id, err := verify(s.key, text, s.now())
	if id == "" {
		return Token{}, err
	}
	t, lookup := s.Check(ctx, id)
	switch {
	case lookup != nil:
		return t, lookup
	case err != nil: // the text says less than the store
		return t, err
	}
	return t, nil
}

// Check returns the token called id as it is now. The error wraps [ErrInvalid], [ErrExpired] or [ErrSpent] if it is not good any more;
// any other means that the store could not be asked.
func (s *Store) Check(ctx context.Context, id string) (Token, error) {
	t, err := s.find(ctx, id)
	switch {
	case err != nil:
		return t, err
	case !t.Revoked.IsZero():
		return t, ErrInvalid
	case !s.now().Before(t.Expires):
		return t, ErrExpired
	case !t.Spent.IsZero():
		return t, ErrSpent
	}
	return t, nil
}

const columns = "id, name, permissions, site, once, created, expires, last_used, spent, revoked"

func (s *Store) find(ctx context.Context, id string) (Token, error) {
	t, err := scan(s.db.QueryRowContext(ctx, "SELECT "+columns+" FROM {tokens} WHERE id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return t, ErrInvalid
	}
	if err != nil {
		return t, fmt.Errorf("look up token: %w", err)
	}
	return t, nil
}

func scan(row func(...any) error) (t Token, err error) {
	var permissions string
	var created, expires int64
	var used, spent, revoked sql.NullInt64
	if err := row(&t.ID, &t.Name, &permissions, &t.Site, &t.Once, &created, &expires, &used, &spent, &revoked); err != nil {
		return t, err
	}
	t.Created, t.Expires = time.Unix(created, 0), time.Unix(expires, 0)
	t.LastUsed, t.Spent, t.Revoked = moment(used), moment(spent), moment(revoked)
	if permissions != "" {
		t.Permissions, err = ParsePermissions(permissions)
	}
	return t, err
}

func moment(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.Unix(n.Int64, 0)
}

// Used notes that the token called id was used.
func (s *Store) Used(ctx context.Context, id string) error {
	now := s.now()
	_, err := s.db.ExecContext(ctx, "UPDATE {tokens} SET last_used = ? WHERE id = ? AND (last_used IS NULL OR last_used <= ?)",
		now.Unix(), id, now.Add(-useEvery).Unix())
	if err != nil {
		return fmt.Errorf("note the use of a token: %w", err)
	}
	return nil
}

// Claim uses up a token that is good for one transfer. Of several that try, one succeeds; the others get [ErrSpent].
func (s *Store) Claim(ctx context.Context, id string) error {
	result, err := s.db.ExecContext(ctx, "UPDATE {tokens} SET spent = ? WHERE id = ? AND spent IS NULL", s.now().Unix(), id)
	if err != nil {
		return fmt.Errorf("claim a token: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrSpent, err)
	}
	return nil
}
