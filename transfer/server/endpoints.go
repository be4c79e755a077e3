package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// Endpoint is what the configuration knows by a name, and jobs may be between.
type Endpoint struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`           // EndpointSite or EndpointRemote
	What      string `json:"what,omitempty"` // for people, without secrets
	Reads     bool   `json:"reads"`          // content can come from it
	Writes    bool   `json:"writes"`         // content can go to it
	Snapshots bool   `json:"snapshots"`      // it can be read as it was, by NAME@SNAPSHOT
	Path      string `json:"path,omitempty"` // where clients find a site
	Busy      string `json:"busy,omitempty"` // who is writing to it
}

// The kinds of endpoints.
const (
	EndpointSite   = "site"
	EndpointRemote = "remote"
)

// ReadOnlySite is a [Site] that knows that it has no destination.
type ReadOnlySite interface {
	ReadOnly() bool
}

// Endpoints are all that jobs may name, sites first.
func (s *Server) Endpoints() []Endpoint {
	var list []Endpoint
	for name, p := range s.places {
		e := Endpoint{Name: name, Kind: EndpointSite, Reads: true, Writes: !readOnly(p.Site), Path: "/" + name + "/admin"}
		if name == DefaultSite {
			e.Path = "/admin"
		}
		if what, ok := p.Site.(fmt.Stringer); ok {
			e.What = what.String()
		}
		_, e.Snapshots = p.Site.(Reverter)
		p.mu.Lock()
		e.Busy = p.holder
		p.mu.Unlock()
		list = append(list, e)
	}
	for name, r := range s.config.Jobs.Remotes {
		list = append(list, Endpoint{Name: name, Kind: EndpointRemote, What: r.Address, Reads: true, Writes: !r.ReadOnly && !readOnly(r.Site)})
	}
	slices.SortFunc(list, func(a, b Endpoint) int {
		return cmp.Or(-strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	return list
}

func readOnly(site Site) bool {
	r, ok := site.(ReadOnlySite)
	return ok && r.ReadOnly()
}

// named is an endpoint that a job names.
type named struct {
	Site

	name     string
	snapshot string
	place    *place // nil of a remote
	readOnly bool
}

// find looks a name up. It is a key into the configuration and nothing else: no address that a client sends is ever connected to.
func (s *Server) find(name string) (named, error) {
	base, snapshot, cut := strings.Cut(name, "@")
	if p, ok := s.places[base]; ok && (!cut || snapshot != "") {
		return named{Site: p.Site, name: base, snapshot: snapshot, place: p, readOnly: readOnly(p.Site)}, nil
	}
	if r, ok := s.config.Jobs.Remotes[name]; ok {
		return named{Site: r.Site, name: name, readOnly: r.ReadOnly || readOnly(r.Site)}, nil
	}
	return named{}, s.unknown(name)
}

// errUnknownName marks a name that is not in the configuration.
var errUnknownName = errors.New("neither a site nor a remote of this server")

func (s *Server) unknown(name string) error {
	names := make([]string, 0, len(s.places))
	for _, e := range s.Endpoints() {
		if e.Kind == EndpointSite {
			names = append(names, e.Name)
		}
	}
	return fmt.Errorf("%w: %q is %w; its sites are %s, and GET /api/remotes tells the others", transfer.ErrUsage, clip(name), errUnknownName,
		strings.Join(names, ", "))
}

// source opens an endpoint for reading.
func (n named) source(ctx context.Context) (transfer.Source, error) {
	if n.snapshot == "" {
		return n.Source(ctx)
	}
	r, ok := n.Site.(Reverter)
	if !ok {
		return nil, fmt.Errorf("%w: %s has no snapshots", transfer.ErrUsage, n.name)
	}
	return r.SourceAt(ctx, n.snapshot)
}
