package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// remote is a server that is known by name. Its token is where it says, never here.
type remote struct {
	URL       string   `json:"url"`
	TokenFile string   `json:"tokenFile,omitempty"` // file that holds the token
	TokenEnv  string   `json:"tokenEnv,omitempty"`  // variable that holds the token
	CAFile    string   `json:"caFile,omitempty"`
	ReadOnly  bool     `json:"readOnly,omitempty"` // nothing is ever pushed to it
	Only      []string `json:"only,omitempty"`     // defaults of --only and --exclude
	Exclude   []string `json:"exclude,omitempty"`
}

// remotesFile is the file of the user's remotes.
type remotesFile struct {
	Remotes map[string]remote `json:"remotes"`
}

const (
	remotesName = "remotes.json"
	// maxRemotes bounds the file.
	maxRemotes   = 1 << 20
	configFolder = 0o700
	configFile   = 0o600
)

// remotesPath is where the user's remotes are, "" where there is no home folder.
func (a *app) remotesPath() string {
	if path := a.getenv("TRANSFER_REMOTES"); path != "" {
		return path
	}
	const name = "transfer-runner"
	if dir := cmp.Or(a.getenv("XDG_CONFIG_HOME"), a.getenv("AppData")); filepath.IsAbs(dir) {
		return filepath.Join(dir, name, remotesName)
	}
	if home := cmp.Or(a.getenv("HOME"), a.getenv("USERPROFILE")); home != "" {
		return filepath.Join(home, ".config", name, remotesName)
	}
	return ""
}

// remotes reads the user's remotes. No file is no remotes.
func (a *app) remotes() (map[string]remote, error) {
	path := a.remotesPath()
	if path == "" {
		return nil, nil
	}
	text, err := readLimited(path, maxRemotes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: read the remotes: %w", transfer.ErrUsage, err)
	}
	var file remotesFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%w: read the remotes in %s: %w", transfer.ErrUsage, path, err)
	}
	return file.Remotes, nil
}

// saveRemotes writes the user's remotes, all or nothing.
func (a *app) saveRemotes(remotes map[string]remote) error {
	path := a.remotesPath()
	if path == "" {
		return fmt.Errorf("%w: there is no home folder to keep remotes in: set TRANSFER_REMOTES to the path of a file", transfer.ErrUsage)
	}
	text, err := json.MarshalIndent(remotesFile{Remotes: remotes}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the remotes: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), configFolder); err != nil {
		return fmt.Errorf("%w: write the remotes: %w", transfer.ErrUnwritable, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), remotesName+".*")
	if err != nil {
		return fmt.Errorf("%w: write the remotes: %w", transfer.ErrUnwritable, err)
	}
	defer os.Remove(file.Name()) //nolint:errcheck // after the rename there is nothing
	_, err = file.Write(append(text, '\n'))
	err = errors.Join(err, file.Chmod(configFile), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("%w: write the remotes: %w", transfer.ErrUnwritable, err)
	}
	return nil
}

// parse reads an endpoint, which may be the name of a remote. known is that remote.
func (a *app) parse(text string) (e providers.Endpoint, known remote, err error) {
	remotes, err := a.remotes()
	if err != nil {
		return e, known, err
	}
	addresses := make(providers.Remotes, len(remotes))
	for name, r := range remotes {
		addresses[name] = r.URL
	}
	e, err = addresses.Parse(text)
	return e, remotes[e.Name], err
}

// validate reports a remote that cannot be one.
func (r remote) validate(name string) error {
	if !providers.ValidRemote(name) {
		return fmt.Errorf("%w: %q cannot be the name of a remote: letters, digits, - and _, at most 63", transfer.ErrUsage, name)
	}
	e, err := providers.Parse(r.URL)
	if err == nil && !e.Remote() {
		err = fmt.Errorf("%w: it must be a server, such as https://host/admin", transfer.ErrUsage)
	}
	if err != nil {
		return fmt.Errorf("remote %s: %w", name, err)
	}
	if r.TokenFile != "" && r.TokenEnv != "" {
		return fmt.Errorf("%w: remote %s: give a file or a variable that holds the token, not both", transfer.ErrUsage, name)
	}
	for _, part := range slices.Concat(r.Only, r.Exclude) {
		if _, err := transfer.ParseGroup(part); err != nil {
			return fmt.Errorf("remote %s: %w", name, err)
		}
	}
	return nil
}

// source says where the remote's token is.
func (r remote) source() string {
	switch {
	case r.TokenFile != "":
		return "file " + r.TokenFile
	case r.TokenEnv != "":
		return "variable " + r.TokenEnv
	default:
		return "none"
	}
}

// token reads the remote's token; "" where it names no place, or a variable that is not set.
func (a *app) remoteToken(name string, r remote) (providers.Secret, error) {
	s := secretSource{what: "transfer token of " + name, file: r.TokenFile, named: "tokenFile or tokenEnv"}
	if r.TokenEnv != "" {
		s.env = []string{r.TokenEnv}
	}
	return a.secret(s)
}

// remoteAccess is what it takes to open the remote.
func (a *app) remoteAccess(name string, r remote) (providers.Access, error) {
	net := netFlags{CAFile: r.CAFile}
	access, err := net.access(a, nil)
	if err != nil {
		return access, fmt.Errorf("remote %s: %w", name, err)
	}
	if access.Token, err = a.remoteToken(name, r); err != nil {
		return access, err
	}
	if access.Token == "" {
		return access, fmt.Errorf("%w: remote %s has no token: give it a tokenFile or a tokenEnv", transfer.ErrAuth, name)
	}
	return access, nil
}

// names are the names of remotes in order.
func remoteNames(remotes map[string]remote) []string { return slices.Sorted(maps.Keys(remotes)) }
