package token

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/transfer-runner/runner/protocol"
)

// Why a token is not good, as far as a server must tell it apart.
var (
	// ErrInvalid marks what is no token of this store: forged, damaged, unknown or revoked.
	ErrInvalid = errors.New("token is not valid")
	// ErrExpired marks a token of this store whose time is over.
	ErrExpired = errors.New("token has expired")
	// ErrSpent marks a token for one transfer that has been used.
	ErrSpent = errors.New("token was for one transfer and has been used")
)

// Limits and defaults of tokens.
const (
	DefaultLifetime = 90 * 24 * time.Hour
	MaxLifetime     = 10 * 366 * 24 * time.Hour

	maxToken = 4 << 10 // bytes; ours have some 400
	maxName  = 100
)

// Jobs is the permission to see and do everything that a server's jobs can: start transfers with the remotes that the server has tokens
// for, cancel those of others, and change schedules. It is not part of the protocol, whose directions the other permissions are.
const Jobs protocol.Direction = "jobs"

// known reports whether p is a permission.
func known(p protocol.Direction) bool { return p == protocol.Push || p == protocol.Pull || p == Jobs }

// Token is what is known of a token, without its text.
type Token struct {
	ID          string               `json:"id"`
	Name        string               `json:"name"`
	Permissions []protocol.Direction `json:"permissions"`
	Site        string               `json:"site,omitempty"` // the only site that it is for; "" is any
	Once        bool                 `json:"once,omitempty"` // good for one transfer
	Created     time.Time            `json:"created"`
	Expires     time.Time            `json:"expires"`
	LastUsed    time.Time            `json:"lastUsed,omitzero"`
	Spent       time.Time            `json:"spent,omitzero"`
	Revoked     time.Time            `json:"revoked,omitzero"`
}

// Permits reports whether the token is for a direction at a site.
func (t Token) Permits(direction protocol.Direction, site string) bool {
	return slices.Contains(t.Permissions, direction) && (t.Site == "" || t.Site == site)
}

// Status is a word for what the token is good for now.
func (t Token) Status(now time.Time) string {
	switch {
	case !t.Revoked.IsZero():
		return "revoked"
	case !t.Spent.IsZero():
		return "used"
	case !now.Before(t.Expires):
		return "expired"
	default:
		return "active"
	}
}

// Spec says what a new token shall be. Zero values are defaults.
type Spec struct {
	Name        string
	Permissions []protocol.Direction // default push and pull
	Site        string
	Once        bool
	Lifetime    time.Duration // default 90 days
}

// withDefaults fills in and checks a Spec.
func (s Spec) withDefaults() (Spec, error) {
	s.Name = strings.TrimSpace(s.Name)
	if s.Lifetime == 0 {
		s.Lifetime = DefaultLifetime
	}
	if len(s.Permissions) == 0 {
		s.Permissions = []protocol.Direction{protocol.Push, protocol.Pull}
	}
	switch {
	case s.Name == "":
		return s, errors.New("a token needs a name")
	case len(s.Name) > maxName || strings.ContainsFunc(s.Name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return s, fmt.Errorf("the name of a token has at most %d bytes and no control characters", maxName)
	case s.Lifetime < time.Second || s.Lifetime > MaxLifetime:
		return s, fmt.Errorf("a token lives at least a second and at most %d days", int(MaxLifetime.Hours()/24))
	}
	for _, p := range s.Permissions {
		if !known(p) {
			return s, fmt.Errorf("unknown permission %q: one of push, pull, jobs", p)
		}
	}
	return s, nil
}

// ParsePermissions reads a list such as "push,pull".
func ParsePermissions(text string) ([]protocol.Direction, error) {
	var out []protocol.Direction
	for name := range strings.SplitSeq(text, ",") {
		p := protocol.Direction(strings.ToLower(strings.TrimSpace(name)))
		if !known(p) {
			return nil, fmt.Errorf("unknown permission %q: one of push, pull, jobs", p)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}
