package protocol

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// AdminPath is the path that Strapi mounts its runner under, and that the address that users give must therefore end in.
const AdminPath = "/admin"

// RunnerPath returns the path of a runner's end point below the base address.
func RunnerPath(d Direction) string { return "/transfer/runner/" + string(d) }

// ErrInvalidURL marks an address that no runner can have. Its text never repeats the address, which may hold a password.
var ErrInvalidURL = errors.New("invalid address")

// RunnerURL returns the WebSocket address of a runner whose base address is base, such as https://cms.example.org/admin. One
// slash at the end is dropped, and so are query, fragment and user name and password. The address must be http or https.
func RunnerURL(base string, d Direction) (string, error) {
	u, err := parseBase(base)
	if err != nil {
		return "", err
	}
	switch u.Scheme {
	case "http":
		u.Scheme = "ws"
	case "https":
		u.Scheme = "wss"
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/") + RunnerPath(d)
	return u.Scheme + "://" + u.Host + path, nil
}

// HasAdminPath reports whether the path of the base address ends in [AdminPath].
func HasAdminPath(base string) bool {
	u, err := parseBase(base)
	return err == nil && strings.HasSuffix(strings.TrimSuffix(u.EscapedPath(), "/"), AdminPath)
}

// WithAdminPath returns the base address with [AdminPath] at its end, and without query, fragment, user name and password.
func WithAdminPath(base string) (string, error) {
	u, err := parseBase(base)
	if err != nil {
		return "", err
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	if !strings.HasSuffix(path, AdminPath) {
		path += AdminPath
	}
	return u.Scheme + "://" + u.Host + path, nil
}

// RedactURL returns the address without its user name, password, query and fragment, for messages and logs.
func RedactURL(base string) string {
	u, err := parseBase(base)
	if err != nil {
		return "(invalid address)"
	}
	return u.Scheme + "://" + u.Host + u.EscapedPath()
}

func parseBase(base string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(base))
	if err != nil {
		// The parser's error repeats the address.
		return nil, fmt.Errorf("%w: it cannot be read; it must look like https://host/admin", ErrInvalidURL)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%w: Invalid protocol %q; it must begin with http:// or https://", ErrInvalidURL, u.Scheme+":")
	case u.Hostname() == "":
		return nil, fmt.Errorf("%w: it names no host", ErrInvalidURL)
	}
	return u, nil
}
