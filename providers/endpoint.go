package providers

import (
	"net/url"
	"path/filepath"
	"strings"
)

// Kind is a sort of endpoint.
type Kind string

// The kinds that this build serves.
const (
	KindServer    Kind = "server"
	KindArchive   Kind = "archive"
	KindDirectory Kind = "directory"
	KindVault     Kind = "vault"
	KindProject   Kind = "project"
	KindDatabase  Kind = "database"
)

// Endpoint is anything that content can come from or go to. Make one with [Parse].
type Endpoint struct {
	Kind Kind

	// Location is the URL of a server without credentials, query and fragment, that of a database without a password, the path of a
	// file or folder, or the site in a vault, with @ and a snapshot if one is named.
	Location string

	// address is that of a database, with its password. A pointer is what no verb looks behind.
	address *Secret

	// Name is the name of a remote from the configuration, "" for what was given itself.
	Name string

	// Notes tell what was dropped or added while the endpoint was read.
	Notes []string
}

// String names the endpoint as a user may give it again, without secrets.
func (e Endpoint) String() string {
	switch e.Kind {
	case KindDirectory:
		return "dir:" + e.Location
	case KindVault:
		return "vault:" + e.Location
	case KindProject:
		return "strapi:" + e.Location
	case KindServer, KindArchive, KindDatabase:
	}
	return e.Location
}

// Remote reports whether the endpoint is reached over the network.
func (e Endpoint) Remote() bool { return e.Kind == KindServer }

// Live reports whether the endpoint is a Strapi site, of which only a part is replaced, and not a file that is replaced as a whole.
func (e Endpoint) Live() bool {
	return e.Kind == KindServer || e.Kind == KindProject || e.Kind == KindDatabase
}

// Path is where on this machine the file or folder is that the endpoint consists of, "" for a live site and for a site in a vault.
func (e Endpoint) Path() string {
	if e.Live() || e.Kind == KindVault {
		return ""
	}
	return e.Location
}

// Host is the host and port of a server, "" for anything else.
func (e Endpoint) Host() string {
	if !e.Remote() {
		return ""
	}
	u, err := url.Parse(e.Location)
	if err != nil {
		return ""
	}
	return u.Host
}

// Encrypted reports whether the endpoint cannot be used without a key.
func (e Endpoint) Encrypted() bool {
	return e.Kind == KindArchive && (strings.HasSuffix(e.Location, ".enc") || strings.HasSuffix(e.Location, ".age"))
}

// Label is a short name for the endpoint that can be part of a file name.
func (e Endpoint) Label() string {
	name := e.Host()
	if name == "" {
		name = filepath.Base(filepath.Clean(e.Location))
		for _, ending := range archiveEndings() {
			if cut, found := strings.CutSuffix(name, ending); found {
				name = cut
				break
			}
		}
	}
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '-'
	}, name)
	clean = strings.Trim(clean, ".-")
	if clean == "" {
		return "site"
	}
	return clean
}

// archiveEndings are the file names that make an archive, longest first.
func archiveEndings() []string {
	return []string{".tar.gz.enc", ".tar.gz.age", ".tar.enc", ".tar.age", ".tar.gz", ".tar"}
}
