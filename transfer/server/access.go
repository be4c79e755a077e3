package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
)

// errForbidden marks a token that is good for something else.
var errForbidden = errors.New("the token is not for this direction or site")

// access asks the authority, and remembers for a moment what it said.
type access struct {
	tokens Authority
	every  time.Duration
	log    *slog.Logger

	mu    sync.Mutex // guards known
	known map[string]knownToken
}

type knownToken struct {
	token token.Token
	err   error
	at    time.Time
}

// trustFor is how long what was last known of a token counts while the authority cannot be asked.
const trustFor = 30 * time.Second

// maxKnown is how many tokens are remembered; more than are ever in use at a time.
const maxKnown = 10_000

// enter lets a client in by the text of its token.
func (a *access) enter(ctx context.Context, text string, direction protocol.Direction, site string) (token.Token, error) {
	t, err := a.tokens.Verify(ctx, text)
	if err != nil {
		return t, err
	}
	if !t.Permits(direction, site) {
		return t, errForbidden
	}
	a.used(ctx, t)
	return t, nil
}

// identify lets somebody in who has a good token, whatever for.
func (a *access) identify(ctx context.Context, text string) error {
	t, err := a.tokens.Verify(ctx, text)
	if err == nil {
		a.used(ctx, t)
	}
	return err
}

func (a *access) used(ctx context.Context, t token.Token) {
	if err := a.tokens.Used(ctx, t.ID); err != nil {
		a.log.WarnContext(ctx, "use of a token not noted", slog.String(keyToken, t.ID), slog.Any(keyError, err))
	}
}

// check returns why the token called id is not good any more for what it is used for.
func (a *access) check(ctx context.Context, id string, direction protocol.Direction, site string) error {
	t, err := a.current(ctx, id)
	if err == nil && !t.Permits(direction, site) {
		return errForbidden
	}
	return err
}

// current returns the token called id as it is now, or was a moment ago.
func (a *access) current(ctx context.Context, id string) (token.Token, error) {
	now := time.Now()
	a.mu.Lock()
	k, ok := a.known[id]
	a.mu.Unlock()
	if !ok || now.Sub(k.at) >= a.every {
		fresh, err := a.tokens.Check(ctx, id)
		switch {
		case err == nil, refusal(err) != nil:
			k = knownToken{token: fresh, err: err, at: now}
			a.remember(id, k)
		case !ok || now.Sub(k.at) >= trustFor:
			return fresh, fmt.Errorf("check token: %w", err)
		}
	}
	switch {
	case k.err != nil:
		return k.token, k.err
	case !now.Before(k.token.Expires):
		return k.token, token.ErrExpired
	}
	return k.token, nil
}

func (a *access) remember(id string, k knownToken) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= maxKnown {
		clear(a.known)
	}
	a.known[id] = k
}

// refusal is the error by which Strapi's server tells a client on an open connection that its token is no good.
func refusal(err error) *protocol.Error {
	switch {
	case errors.Is(err, token.ErrExpired):
		return &protocol.Error{Code: protocol.CodeUnauthorized, Message: protocol.MessageTokenExpired}
	case errors.Is(err, errForbidden):
		return &protocol.Error{Code: protocol.CodeForbidden, Message: "Forbidden"}
	case errors.Is(err, token.ErrInvalid), errors.Is(err, token.ErrSpent):
		return &protocol.Error{Code: protocol.CodeUnauthorized, Message: "Missing or invalid credentials"}
	default:
		return nil
	}
}
