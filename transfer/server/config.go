package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
)

// Authority knows who may do what. *[token.Store] is one.
type Authority interface {
	// Verify returns the token whose text a client has sent. The error wraps [token.ErrInvalid], [token.ErrExpired] or
	// [token.ErrSpent], or means that the authority could not be asked.
	Verify(ctx context.Context, text string) (token.Token, error)
	// Check returns the token called id as it is now, with errors as Verify's.
	Check(ctx context.Context, id string) (token.Token, error)
	// Claim uses up a token that is good for one transfer.
	Claim(ctx context.Context, id string) error
	// Used notes that the token called id was used.
	Used(ctx context.Context, id string) error
}

// DefaultSite is the name of the site that is served without one in the path.
const DefaultSite = "default"

// Limits and defaults of a [Config].
const (
	DefaultMaxSessions       = 2048
	DefaultMessageLimit      = protocol.MaxMessage
	DefaultAssetLimit        = int64(64 << 30)
	DefaultWindow            = 16
	DefaultHeartbeatInterval = 15 * time.Second
	DefaultHeartbeatTimeout  = 60 * time.Second
	DefaultIdleTimeout       = 30 * time.Minute
	DefaultAckTimeout        = 10 * time.Minute
	DefaultWriteTimeout      = 2 * time.Minute
	DefaultAuthInterval      = time.Second
	DefaultGrace             = 10 * time.Second

	// maxQueued is how many bytes of messages of a session may wait for the worker; one message may be larger.
	maxQueued = 16 << 20
	// maxItems is how many items one message may hold. Stock clients send at most 100, old ones what fits into a MiB.
	maxItems = 200_000
)

// Config says what a [Server] serves, to whom and within which bounds. Tokens is required, and at least one site.
type Config struct {
	Tokens Authority
	Sites  map[string]Site // by name; [DefaultSite] is served without a name in the path

	// Origins are the values of the header Origin, beside that of the server itself, that may connect. Browsers send it, clients of
	// the protocol do not.
	Origins []string

	// PrivateMetrics answers /metrics only to whoever sends a good token, whatever that is good for.
	PrivateMetrics bool

	MaxSessions  int   // connections at a time. Default 2048
	MessageLimit int64 // bytes of one message. Default 100 MiB, which stock clients may send
	AssetLimit   int64 // bytes of one file. Default 64 GiB
	Window       int   // largest window that clients of ours get. Default 16; 1 grants none

	HeartbeatInterval time.Duration // between pings. Default 15 s
	HeartbeatTimeout  time.Duration // silence after which a peer counts as gone. Default 60 s
	IdleTimeout       time.Duration // time without a message after which a session ends. Default 30 min
	AckTimeout        time.Duration // how long a frame of a pull may stay unacknowledged. Default 10 min
	WriteTimeout      time.Duration // how long a message may take to be written to a peer. Default 2 min
	AuthInterval      time.Duration // age after which what is known of a token is asked again. Default 1 s
	Grace             time.Duration // how long a shutdown lets transfers run on. Default 10 s

	Jobs JobsConfig // zero: no jobs

	Logger *slog.Logger // nil discards
}

// siteName is what names of sites may look like: they are part of paths.
var siteName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$`)

// ValidSite reports whether name can be the name of a site.
func ValidSite(name string) bool {
	return !reserved(name) && siteName.MatchString(name)
}

func (c Config) withDefaults() Config {
	c.MaxSessions = cmp.Or(max(c.MaxSessions, 0), DefaultMaxSessions)
	c.MessageLimit = min(cmp.Or(max(c.MessageLimit, 0), DefaultMessageLimit), protocol.MaxMessage)
	c.AssetLimit = cmp.Or(max(c.AssetLimit, 0), DefaultAssetLimit)
	c.Window = min(cmp.Or(max(c.Window, 0), DefaultWindow), protocol.MaxWindow)
	c.HeartbeatInterval = cmp.Or(max(c.HeartbeatInterval, 0), DefaultHeartbeatInterval)
	c.HeartbeatTimeout = cmp.Or(max(c.HeartbeatTimeout, 0), DefaultHeartbeatTimeout)
	c.IdleTimeout = cmp.Or(max(c.IdleTimeout, 0), DefaultIdleTimeout)
	c.AckTimeout = cmp.Or(max(c.AckTimeout, 0), DefaultAckTimeout)
	c.WriteTimeout = cmp.Or(max(c.WriteTimeout, 0), DefaultWriteTimeout)
	c.AuthInterval = cmp.Or(max(c.AuthInterval, 0), DefaultAuthInterval)
	c.Grace = cmp.Or(max(c.Grace, 0), DefaultGrace)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if c.Tokens == nil {
		return errors.New("a server needs tokens")
	}
	if len(c.Sites) == 0 {
		return errors.New("a server needs a site")
	}
	for name, site := range c.Sites {
		if !ValidSite(name) {
			return fmt.Errorf("%q cannot be the name of a site: letters, digits, - and _, at most 63, and not admin, api, healthz, readyz, metrics or ws", name)
		}
		if site == nil {
			return fmt.Errorf("site %q is nil", name)
		}
	}
	return c.Jobs.validate(c.Sites)
}

// Names of log attributes.
const (
	keyError     = "error"
	keySite      = "site"
	keyDirection = "direction"
	keyToken     = "token_id"
	keyRemote    = "remote"
	keyRequest   = "request"
	keyUUID      = "uuid"
	keyStage     = "stage"
	keyStack     = "stack"
	keyTransfer  = "transfer_id"
	keySessions  = "sessions"
	keyAddress   = "address"
)
