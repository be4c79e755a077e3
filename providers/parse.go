package providers

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/providers/strapi/project"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

// maxEndpoint bounds what is taken for an endpoint: no URL or path in use is longer.
const maxEndpoint = 4096

// Forms says in one line what an endpoint may look like.
const Forms = "a server such as https://host/admin, an archive ending in .tar, .tar.gz, .tar.gz.enc or .tar.gz.age, the folder of a " +
	"Strapi project, a database such as postgres://user@host/name or sqlite:PATH, dir:PATH, vault:SITE, or the name of a remote"

// Parse reads an endpoint as users write it. It looks at the file system to tell an unpacked export from a Strapi project, and
// opens nothing. Errors wrap [transfer.ErrUsage] and name the form to use instead; no error repeats a password.
func Parse(endpoint string) (Endpoint, error) {
	text := strings.TrimSpace(endpoint)
	switch {
	case text == "":
		return Endpoint{}, fmt.Errorf("%w: an endpoint is missing: give %s", transfer.ErrUsage, Forms)
	case len(text) > maxEndpoint:
		return Endpoint{}, fmt.Errorf("%w: an endpoint of %d bytes, at most %d", transfer.ErrUsage, len(text), maxEndpoint)
	case strings.ContainsRune(text, 0):
		return Endpoint{}, fmt.Errorf("%w: an endpoint must not hold a NUL byte", transfer.ErrUsage)
	case text == "-":
		return Endpoint{}, fmt.Errorf("%w: content cannot come from or go to a pipe; name a file such as backup.tar.gz", transfer.ErrUsage)
	}
	if scheme, rest, ok := splitScheme(text); ok {
		return parseScheme(text, scheme, rest)
	}
	return parsePath(text)
}

// splitScheme cuts "scheme:rest". One letter is a drive, not a scheme.
func splitScheme(text string) (scheme, rest string, ok bool) {
	scheme, rest, ok = strings.Cut(text, ":")
	if !ok || len(scheme) < 2 {
		return "", "", false
	}
	for i, r := range scheme {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", r)) {
			return "", "", false
		}
	}
	return strings.ToLower(scheme), rest, true
}

func parseScheme(text, scheme, rest string) (Endpoint, error) {
	switch scheme {
	case "http", "https":
		return parseURL(text)
	case "ws", "wss":
		return Endpoint{}, fmt.Errorf("%w: give the address as http%s:%s; the WebSocket is opened by itself",
			transfer.ErrUsage, strings.TrimPrefix(scheme, "ws"), redactUserinfo(rest))
	case "dir":
		if rest == "" {
			return Endpoint{}, fmt.Errorf("%w: dir: needs a path, such as dir:./export", transfer.ErrUsage)
		}
		return Endpoint{Kind: KindDirectory, Location: filepath.Clean(rest)}, nil
	case "archive", "tar", "file":
		path := strings.TrimPrefix(rest, "//")
		if path == "" || scheme != "file" && !archive.IsName(path) {
			return Endpoint{}, unknown(text)
		}
		return parsePath(path)
	case "strapi":
		if rest == "" {
			return Endpoint{}, fmt.Errorf("%w: strapi: needs the folder of a project, such as strapi:./project", transfer.ErrUsage)
		}
		return Endpoint{Kind: KindProject, Location: filepath.Clean(rest)}, nil
	case "postgres", "postgresql", "mysql", "mariadb", "sqlite":
		return parseDatabase(text)
	case "vault":
		if _, err := vault.ParseReference(rest); err != nil {
			return Endpoint{}, fmt.Errorf("%s: %w", text, err)
		}
		return Endpoint{Kind: KindVault, Location: rest}, nil
	}
	if _, err := os.Stat(text); err == nil {
		return parsePath(text)
	}
	if port, _, _ := strings.Cut(rest, "/"); port != "" && strings.Trim(port, "0123456789") == "" {
		return Endpoint{}, fmt.Errorf("%w: %q has no scheme: give http://%s or https://%s", transfer.ErrUsage, text, text, text)
	}
	return Endpoint{}, fmt.Errorf("%w: unknown kind of endpoint %q: give %s", transfer.ErrUsage, scheme+":", Forms)
}

// parseDatabase reads the address of a database. What is shown of it and can be given again has no password.
func parseDatabase(text string) (Endpoint, error) {
	config, err := project.ParseDatabase(text)
	if err != nil {
		return Endpoint{}, err
	}
	address := Secret(text)
	e := Endpoint{Kind: KindDatabase, address: &address}
	if config.Path != "" {
		e.Location = "sqlite:" + config.Path
		return e, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return Endpoint{}, fmt.Errorf("%w: the address of the database cannot be read", transfer.ErrUsage)
	}
	u.Scheme, u.User = strings.ToLower(u.Scheme), nil
	if config.User != "" {
		u.User = url.User(config.User)
	}
	query := u.Query()
	query.Del("password")
	u.RawQuery, u.Fragment, u.RawFragment = query.Encode(), "", ""
	e.Location = u.String()
	return e, nil
}

func unknown(text string) error {
	return fmt.Errorf("%w: %q is not an endpoint: give %s", transfer.ErrUsage, text, Forms)
}

func parseURL(text string) (Endpoint, error) {
	u, err := url.Parse(text)
	if err != nil {
		// The text of a url.Error repeats the URL, and with it a password.
		if parseErr, ok := errors.AsType[*url.Error](err); ok {
			err = parseErr.Err
		}
		return Endpoint{}, fmt.Errorf("%w: the URL cannot be read: %w", transfer.ErrUsage, err)
	}
	if u.Hostname() == "" {
		return Endpoint{}, fmt.Errorf("%w: the URL names no host: give https://host/admin", transfer.ErrUsage)
	}
	e := Endpoint{Kind: KindServer}
	if u.User != nil {
		e.Notes = append(e.Notes, "the user name and password in the URL are not used: a runner is opened with a transfer token")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		e.Notes = append(e.Notes, "the query and the fragment of the URL are not used")
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment, u.ForceQuery = nil, "", "", "", false
	u.Scheme = strings.ToLower(u.Scheme)
	path := strings.TrimRight(u.EscapedPath(), "/")
	for _, suffix := range []string{"/transfer/runner/push", "/transfer/runner/pull", "/transfer/runner"} {
		if base, found := strings.CutSuffix(path, suffix); found {
			path = base
			e.Notes = append(e.Notes, "the address of a runner ends in /admin; "+suffix+" is added by itself")
			break
		}
	}
	e.Location = u.Scheme + "://" + u.Host + path
	return e, nil
}

func redactUserinfo(rest string) string {
	authority, path, found := strings.Cut(strings.TrimPrefix(rest, "//"), "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
	}
	authority, _, _ = strings.Cut(authority, "?")
	if path, _, _ = strings.Cut(path, "?"); found {
		path = "/" + path
	}
	return "//" + authority + path
}

func parsePath(text string) (Endpoint, error) {
	info, err := os.Stat(text)
	switch {
	case err == nil && info.IsDir():
		return parseFolder(text)
	case archive.IsName(text):
		return Endpoint{Kind: KindArchive, Location: filepath.Clean(text)}, nil
	case strings.HasSuffix(strings.ToLower(text), ".tgz"):
		return Endpoint{}, fmt.Errorf("%w: %q: Strapi's tools know archives by .tar.gz only; rename the file", transfer.ErrUsage, text)
	case err == nil:
		return Endpoint{}, fmt.Errorf("%w: %q is not an archive by its name, which must end in .tar, .tar.gz, .tar.gz.enc or .tar.gz.age, in lower case",
			transfer.ErrUsage, text)
	case strings.HasSuffix(text, "/") || strings.HasSuffix(text, string(filepath.Separator)):
		return Endpoint{Kind: KindDirectory, Location: filepath.Clean(text)}, nil
	case !strings.ContainsAny(text, `/\.`):
		return Endpoint{}, fmt.Errorf("%w: there is neither a file nor a remote called %q; \"transfer remote add\" makes one; give %s",
			transfer.ErrUsage, text, Forms)
	}
	return Endpoint{}, unknown(text)
}

func parseFolder(path string) (Endpoint, error) {
	if _, err := os.Stat(filepath.Join(path, "metadata.json")); err == nil {
		return Endpoint{Kind: KindDirectory, Location: filepath.Clean(path)}, nil
	}
	if project.Is(path) {
		return Endpoint{Kind: KindProject, Location: filepath.Clean(path)}, nil
	}
	entries, err := os.ReadDir(path)
	if err == nil && len(entries) == 0 {
		return Endpoint{Kind: KindDirectory, Location: filepath.Clean(path)}, nil
	}
	return Endpoint{}, fmt.Errorf("%w: the folder %q holds no metadata.json and is not an unpacked export; dir:%s writes one there if it is empty",
		transfer.ErrUsage, path, path)
}
