package strapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/internal/render"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/providers/strapi/rows"
	"github.com/transfer-runner/runner/transfer"
)

// The tables in which Strapi keeps its transfer tokens.
const (
	tokenTable           = "strapi_transfer_tokens"
	tokenPermissionTable = "strapi_transfer_token_permissions"
	tokenLinkTable       = "strapi_transfer_token_permissions_token_lnk"
)

// ErrNoToken means that a site has no such transfer token.
var ErrNoToken = errors.New("there is no such transfer token")

// Token is a transfer token that was made in a project's admin panel.
type Token struct {
	ID          int64
	Name        string
	Hash        string   // of the access key
	Permissions []string // "push", "pull"
	Expires     time.Time
	LastUsed    time.Time
}

// TokenSalt is the salt that the project hashes access keys with, "" when it has none.
func (s *Site) TokenSalt() string { return s.opts.TokenSalt }

// TokenByHash returns the token whose access key has a hash. The error wraps [ErrNoToken] if there is none. A database that is locked
// for longer than wait gives an error that wraps [transfer.ErrUnwritable]; as long as that is so, nobody can revoke a token either.
func (s *Site) TokenByHash(ctx context.Context, hash string, wait time.Duration) (Token, error) {
	return s.token(ctx, "access_key", hash, wait)
}

// TokenByID returns the token of an id, with errors as those of TokenByHash.
func (s *Site) TokenByID(ctx context.Context, id int64, wait time.Duration) (Token, error) {
	return s.token(ctx, "id", id, wait)
}

func (s *Site) token(ctx context.Context, column string, value any, wait time.Duration) (t Token, err error) {
	snap, err := s.db.Waiting(wait).Snapshot(ctx)
	if err != nil {
		return t, fmt.Errorf("look up a transfer token: %w", err)
	}
	defer func() { err = errors.Join(err, snap.Close()) }()
	q := s.db.Quote
	found, err := snap.All(ctx, "SELECT "+q("id")+", "+q("name")+", "+q("access_key")+", "+s.db.Expr("expires_at")+", "+s.db.Expr("last_used_at")+
		" FROM "+q(tokenTable)+" WHERE "+q(column)+" = ?", value)
	if err != nil {
		return t, fmt.Errorf("look up a transfer token: %w", err)
	}
	if len(found) != 1 {
		return t, ErrNoToken
	}
	row := found[0]
	t.ID, _ = database.Int(row[0])
	t.Name, t.Hash = database.Text(row[1]), database.Text(row[2])
	t.Expires, t.LastUsed = s.moment(row[3]), s.moment(row[4])
	granted, err := snap.All(ctx, "SELECT p."+q("action")+" FROM "+q(tokenPermissionTable)+" p JOIN "+q(tokenLinkTable)+" l ON l."+
		q("transfer_token_permission_id")+" = p."+q("id")+" WHERE l."+q("transfer_token_id")+" = ?", t.ID)
	if err != nil {
		return t, fmt.Errorf("look up a transfer token: %w", err)
	}
	for _, action := range granted {
		t.Permissions = append(t.Permissions, database.Text(action[0]))
	}
	return t, nil
}

// moment is a stored time, zero if there is none.
func (s *Site) moment(value any) time.Time {
	r := render.Renderer{Database: s.db.Kind(), Zone: s.db.Zone()}
	var text string
	if err := json.Unmarshal(r.Append(nil, model.Datetime, value), &text); err != nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// UseToken notes that a token was used now, unless that was noted since a time before. It gives up when the database is locked for
// longer than wait.
func (s *Site) UseToken(ctx context.Context, id int64, now, before time.Time, wait time.Duration) (err error) {
	t, err := s.TokenByID(ctx, id, wait)
	if err != nil || t.LastUsed.After(before) {
		return err
	}
	tx, err := s.db.Waiting(wait).Begin(ctx, database.TxOptions{})
	if err != nil {
		return fmt.Errorf("note the use of transfer token %s: %w", strconv.FormatInt(id, 10), err)
	}
	defer func() { err = errors.Join(err, tx.Close()) }()
	moment := rows.Converter{Kind: s.db.Kind(), Zone: s.db.Zone()}.Moment(now)
	if _, err := tx.Exec(ctx, "UPDATE "+s.db.Quote(tokenTable)+" SET "+s.db.Quote("last_used_at")+" = ? WHERE "+s.db.Quote("id")+" = ?", moment, id); err != nil {
		return fmt.Errorf("note the use of transfer token %d: %w", id, err)
	}
	return tx.Commit(ctx)
}

// IsLocked reports whether an error means that somebody else holds the database.
func IsLocked(err error) bool { return errors.Is(err, transfer.ErrUnwritable) }
