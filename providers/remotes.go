package providers

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// Remotes are servers that a configuration file knows by name: their addresses. The zero value knows none.
type Remotes map[string]string

// remoteName is what a name may look like. It has nothing that a path, an archive or a URL has.
var remoteName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$`)

// ValidRemote reports whether name can be the name of a remote.
func ValidRemote(name string) bool { return remoteName.MatchString(name) }

// Parse reads an endpoint as [Parse] does, or the name of a remote. A remote goes before a file or folder of its name, which ./NAME
// stands for.
func (r Remotes) Parse(endpoint string) (Endpoint, error) {
	name := strings.TrimSpace(endpoint)
	address, ok := r[name]
	if !ok {
		e, err := Parse(endpoint)
		if err != nil && ValidRemote(name) && len(r) > 0 {
			err = fmt.Errorf("%w; the remotes are %s", err, strings.Join(slices.Sorted(maps.Keys(r)), ", "))
		}
		return e, err
	}
	e, err := Parse(address)
	if err == nil && e.Kind != KindServer {
		err = fmt.Errorf("%w: it must be a server", transfer.ErrUsage)
	}
	if err != nil {
		return Endpoint{}, fmt.Errorf("the address of remote %s: %w", name, err)
	}
	e.Name = name
	return e, nil
}
