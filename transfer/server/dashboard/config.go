package dashboard

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
)

// Config says what a dashboard shows. Authority is required; what else is nil is not offered.
type Config struct {
	Authority Authority
	Tokens    Tokens
	Snapshots server.Snapshots
	Doctor    server.Doctor

	Version string // of the program, for people

	// Lifetime is how long somebody stays signed in at most, Idle how long without looking at a page. Defaults 12 h and 2 h.
	Lifetime, Idle time.Duration

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // nil discards
}

// Authority knows tokens by their text. *[token.Store] is one.
type Authority interface {
	Verify(ctx context.Context, text string) (token.Token, error)
	Used(ctx context.Context, id string) error
}

// Tokens manages tokens. *[token.Store] is one.
type Tokens interface {
	List(ctx context.Context) ([]token.Token, error)
	Create(ctx context.Context, spec token.Spec) (token.Token, string, error)
	Revoke(ctx context.Context, which string) (token.Token, error)
}

const (
	defaultLifetime = 12 * time.Hour
	defaultIdle     = 2 * time.Hour
)

func (c Config) withDefaults() Config {
	c.Lifetime = cmp.Or(max(c.Lifetime, 0), defaultLifetime)
	c.Idle = cmp.Or(max(c.Idle, 0), defaultIdle)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// dashboard answers the requests of browsers.
type dashboard struct {
	Config

	server  *server.Server
	jobs    *jobs.Manager
	key     []byte // of session cookies
	started time.Time
	static  map[string]asset // by path
	pages   pages

	watching *atomic.Int64 // streams that are open
}

// New returns what makes the dashboard of a server that has jobs.
func New(config Config) (func(*server.Server) http.Handler, error) {
	if config.Authority == nil {
		return nil, errors.New("a dashboard needs an authority")
	}
	d := &dashboard{Config: config.withDefaults(), watching: &atomic.Int64{}}
	d.started = d.Now()
	var err error
	if d.static, err = loadAssets(); err != nil {
		return nil, err
	}
	if d.pages, err = d.parse(); err != nil {
		return nil, err
	}
	return func(s *server.Server) http.Handler {
		served := *d
		mac := hmac.New(sha256.New, s.Secret())
		mac.Write([]byte("dashboard session"))
		served.server, served.jobs, served.key = s, s.Jobs(), mac.Sum(nil)
		return served.handler()
	}, nil
}
