package providers

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"
)

// Secret is text that must not be shown: a token or a key. It prints as stars.
type Secret string

const stars = "***"

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return stars
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// Access is what it takes to use an endpoint. Each kind of endpoint takes the fields that it knows; zero values are defaults.
type Access struct {
	// Of servers.
	Token                  Secret
	Header                 http.Header // added to each request, for proxies in between
	TLS                    *tls.Config // nil is the system's authorities
	NoChecksums            bool        // do not ask for a SHA-256 of each file
	RetryMessageTimeout    time.Duration
	RetryMessageMaxRetries int
	StallTimeout           time.Duration
	PrepareTimeout         time.Duration

	// Of Strapi projects and their databases.
	Uploads  string // folder of the uploaded files
	Schemas  string // file of schemas, or folder of components
	Database Secret // address of the database, instead of the project's own
	Env      string // instead of the project's NODE_ENV
	Zone     string // time zone of the Strapi process

	// Of Strapi projects, and of servers before one.
	Merge    bool   // keep what only the destination has
	Conflict string // who wins where both have a row; with Merge

	// Of archives.
	Key        Secret   // password of an .enc or .age archive
	Recipients []string // age1… public keys that an .age archive is written for
	Identities []string // texts of age identity files that an .age archive is read with
}
