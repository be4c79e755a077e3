package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/strapi"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// authority knows the tokens of the server itself, and those that were made in the admin panels of the projects that it serves. A
// token of a project is good for that project alone.
type authority struct {
	*token.Store

	sites map[string]*siteTokens // by name
}

// siteTokens are the transfer tokens of one project.
type siteTokens struct {
	name string
	site *strapi.Site
	now  func() time.Time

	mu    sync.Mutex             // guards known
	known map[string]token.Token // by id, as of when the database could be asked last
}

const (
	// patience is how long a new client waits for a locked database, and impatience how long a transfer does that is under way.
	patience   = 10 * time.Second
	impatience = 50 * time.Millisecond
	// noteUse is how long noting the use of a token may wait.
	noteUse = time.Second
	// useEvery is how often the last use of a token is written down at most.
	useEvery = time.Hour
	// siteToken begins the ids of tokens of projects.
	siteToken = "strapi:"
	// maxKnownTokens bounds what is remembered of a project.
	maxKnownTokens = 1000
)

// forever is when tokens expire that do not.
func forever() time.Time { return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }

var _ runnerserver.Authority = (*authority)(nil)

// Verify implements [runnerserver.Authority].
func (a *authority) Verify(ctx context.Context, text string) (token.Token, error) {
	t, err := a.Store.Verify(ctx, text)
	if !errors.Is(err, token.ErrInvalid) {
		return t, err
	}
	for _, name := range sortedNames(a.sites) {
		found, siteErr := a.sites[name].verify(ctx, text)
		switch {
		case siteErr == nil, errors.Is(siteErr, token.ErrExpired):
			return found, siteErr
		case !errors.Is(siteErr, token.ErrInvalid):
			err = siteErr // it may be a token of this site; the others are asked all the same
		}
	}
	return t, err
}

// Check implements [runnerserver.Authority].
func (a *authority) Check(ctx context.Context, id string) (token.Token, error) {
	if site, row, ok := a.find(id); ok {
		return site.check(ctx, id, row)
	}
	return a.Store.Check(ctx, id)
}

// Claim implements [runnerserver.Authority].
func (a *authority) Claim(ctx context.Context, id string) error {
	if _, _, ok := a.find(id); ok {
		return nil
	}
	return a.Store.Claim(ctx, id)
}

// Used implements [runnerserver.Authority].
func (a *authority) Used(ctx context.Context, id string) error {
	if site, row, ok := a.find(id); ok {
		now := site.now()
		return site.site.UseToken(ctx, row, now, now.Add(-useEvery), noteUse)
	}
	return a.Store.Used(ctx, id)
}

// find takes the id of a project's token apart.
func (a *authority) find(id string) (site *siteTokens, row int64, ok bool) {
	rest, ok := strings.CutPrefix(id, siteToken)
	if !ok {
		return nil, 0, false
	}
	name, number, _ := strings.Cut(rest, "/")
	row, err := strconv.ParseInt(number, 10, 64)
	site, ok = a.sites[name]
	return site, row, ok && err == nil
}

func (s *siteTokens) verify(ctx context.Context, text string) (token.Token, error) {
	hash := token.HashAccessKey(s.site.TokenSalt(), text)
	if hash == "" {
		return token.Token{}, token.ErrInvalid
	}
	found, err := s.site.TokenByHash(ctx, hash, patience)
	if errors.Is(err, strapi.ErrNoToken) || err == nil && !token.SameHash(found.Hash, hash) {
		return token.Token{}, token.ErrInvalid
	}
	if err != nil {
		return token.Token{}, err
	}
	return s.judge(found)
}

func (s *siteTokens) check(ctx context.Context, id string, row int64) (token.Token, error) {
	found, err := s.site.TokenByID(ctx, row, impatience)
	switch {
	case errors.Is(err, strapi.ErrNoToken):
		s.forget(id)
		return token.Token{}, token.ErrInvalid
	case strapi.IsLocked(err):
		// Whoever holds the database keeps everybody from revoking tokens too, so that what was true is true.
		s.mu.Lock()
		t, ok := s.known[id]
		s.mu.Unlock()
		if ok {
			return t, s.alive(t)
		}
	}
	if err != nil {
		return token.Token{}, err
	}
	return s.judge(found)
}

// judge makes a token of the server of one of the project, and says whether it is good now.
func (s *siteTokens) judge(found strapi.Token) (token.Token, error) {
	t := token.Token{
		ID: fmt.Sprintf("%s%s/%d", siteToken, s.name, found.ID), Name: found.Name, Site: s.name, Expires: found.Expires, LastUsed: found.LastUsed,
	}
	if t.Expires.IsZero() {
		t.Expires = forever()
	}
	for _, p := range []protocol.Direction{protocol.Push, protocol.Pull} {
		if slices.Contains(found.Permissions, string(p)) {
			t.Permissions = append(t.Permissions, p)
		}
	}
	s.mu.Lock()
	if len(s.known) >= maxKnownTokens {
		clear(s.known)
	}
	s.known[t.ID] = t
	s.mu.Unlock()
	return t, s.alive(t)
}

func (s *siteTokens) alive(t token.Token) error {
	if !s.now().Before(t.Expires) {
		return token.ErrExpired
	}
	return nil
}

func (s *siteTokens) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, id)
}
