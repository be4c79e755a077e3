package project

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// readFile reads a file of the project up to a limit.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // in the project that the user named
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: path, Err: os.ErrNotExist}
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return text, err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// environments are those that a project has settings for, but one.
func environments(dir, but string) (names []string) {
	entries, err := os.ReadDir(filepath.Join(dir, "config", "env"))
	if err != nil {
		return nil
	}
	for _, entry := range entries {
		if entry.IsDir() && entry.Name() != but {
			names = append(names, entry.Name())
		}
	}
	return names
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// manifest is what counts of a package.json.
type manifest struct {
	Name            string            `json:"name"`
	Version         string            `json:"version"`
	Dependencies    map[string]string `json:"dependencies"`
	DevDependencies map[string]string `json:"devDependencies"`
}

const maxManifest = 1 << 20

func readManifest(path string) (m manifest, err error) {
	text, err := readFile(path, maxManifest)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%s is not a package.json", path)
	}
	return m, nil
}

const strapiPackage = "@strapi/strapi"

// Is reports whether the folder's package.json depends on Strapi.
func Is(dir string) bool {
	m, err := readManifest(filepath.Join(dir, "package.json"))
	return err == nil && m.wanted() != ""
}

// wanted is the version of Strapi that a project asks for, as it says it.
func (m manifest) wanted() string {
	if v := m.Dependencies[strapiPackage]; v != "" {
		return v
	}
	return m.DevDependencies[strapiPackage]
}

// exactVersion is a version without a range.
var exactVersion = regexp.MustCompile(`^[v=]?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)$`)

// installedVersion is that of the Strapi that Node would load: in node_modules of the project, or of a folder above it.
func installedVersion(dir string) string {
	if dir, err := filepath.Abs(dir); err == nil {
		for ; ; dir = filepath.Dir(dir) {
			for _, name := range []string{"@strapi/core", strapiPackage} {
				m, err := readManifest(filepath.Join(dir, "node_modules", filepath.FromSlash(name), "package.json"))
				if err == nil && m.Version != "" {
					return m.Version
				}
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return ""
}

// version of Strapi, and a note if it is only what the project asks for.
func (p *Project) version(m manifest) {
	if p.Version = installedVersion(p.Dir); p.Version != "" {
		return
	}
	wanted := strings.TrimSpace(m.wanted())
	if exact := exactVersion.FindStringSubmatch(wanted); exact != nil {
		p.Version = exact[1]
		return
	}
	if rest := exactVersion.FindStringSubmatch(strings.TrimLeft(wanted, "^~")); rest != nil {
		p.Version = rest[1]
		p.note("Strapi is not installed in the project: its version is taken to be %s, because package.json asks for %s", p.Version, wanted)
		return
	}
	p.note("Strapi is not installed in the project, and package.json asks for %q: its version is unknown; install it, or give --version-strategy ignore", wanted)
}
