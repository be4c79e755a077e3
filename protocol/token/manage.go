package token

import (
	"context"
	"errors"
	"fmt"

	"github.com/transfer-runner/runner/protocol"
)

// List returns all tokens, newest first.
func (s *Store) List(ctx context.Context) (list []Token, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT "+columns+" FROM {tokens} ORDER BY created DESC, {rowid} DESC LIMIT ?", maxListed)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		t, err := scan(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("list tokens: %w", err)
		}
		list = append(list, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	return list, nil
}

// ErrUnknown marks an id or name that no token has, or several have.
var ErrUnknown = errors.New("no such token")

// Revoke voids the token that an id, the unique beginning of one, or a unique name stands for. Sessions that use it end.
func (s *Store) Revoke(ctx context.Context, which string) (Token, error) {
	t, err := s.resolve(ctx, which)
	if err != nil {
		return t, err
	}
	if t.Revoked.IsZero() {
		t.Revoked = s.now()
		if _, err := s.db.ExecContext(ctx, "UPDATE {tokens} SET revoked = ? WHERE id = ?", t.Revoked.Unix(), t.ID); err != nil {
			return t, fmt.Errorf("revoke token: %w", err)
		}
	}
	return t, nil
}

// Permit changes what the token called id is for. Sessions that go beyond it end.
func (s *Store) Permit(ctx context.Context, id string, permissions []protocol.Direction, site string) error {
	if _, err := s.db.ExecContext(ctx, "UPDATE {tokens} SET permissions = ?, site = ? WHERE id = ?", joined(permissions), site, id); err != nil {
		return fmt.Errorf("change token: %w", err)
	}
	return nil
}

// minPrefix is the shortest beginning of an id that stands for it.
const minPrefix = 4

func (s *Store) resolve(ctx context.Context, which string) (Token, error) {
	all, err := s.List(ctx)
	if err != nil {
		return Token{}, err
	}
	var found []Token
	for _, t := range all {
		named := t.Name == which && t.Revoked.IsZero()
		if t.ID == which {
			return t, nil
		}
		if named || len(which) >= minPrefix && len(t.ID) > len(which) && t.ID[:len(which)] == which {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return Token{}, fmt.Errorf("%w: %q", ErrUnknown, which)
	}
	return Token{}, fmt.Errorf("%w: %q stands for %d of them; give an id", ErrUnknown, which, len(found))
}

// Empty reports whether no token was ever made.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	var n int
	if err := s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM {tokens} LIMIT 1) AS any_token").Scan(&n); err != nil {
		return false, fmt.Errorf("count tokens: %w", err)
	}
	return n == 0, nil
}

// Close lets go of the store. A database that was given to it stays open.
func (s *Store) Close() error {
	if s.lent {
		return nil
	}
	return s.db.Close()
}
