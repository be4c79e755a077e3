package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// namedSite is a site that is served and a word for what it is.
type namedSite struct {
	runnerserver.Site

	what   string
	tokens *siteTokens // of a project, nil for other sites
}

// servedSites are what is served, by name.
func (o *serveOptions) servedSites(ctx context.Context, a *app, v *vault.Vault, registry *providers.Registry) (map[string]namedSite, error) {
	c := &console{w: a.err, quiet: o.Quiet}
	sites := map[string]namedSite{
		runnerserver.DefaultSite: {vaultSite{vault: v, ref: vault.Reference{Site: runnerserver.DefaultSite}}, "the vault's site " + runnerserver.DefaultSite, nil},
	}
	var names []string
	for _, text := range o.Sites {
		name, endpoint := splitSite(text)
		if !runnerserver.ValidSite(name) {
			return nil, fmt.Errorf("%w: --site: %q cannot be the name of a site: letters, digits, - and _", transfer.ErrUsage, name)
		}
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("%w: --site: two sites are called %q", transfer.ErrUsage, name)
		}
		names = append(names, name)
		parsed, err := providers.Parse(endpoint)
		if err != nil {
			return nil, fmt.Errorf("site %s: %w", name, err)
		}
		site, err := o.site(ctx, a, v, registry, name, parsed)
		if err != nil {
			return nil, fmt.Errorf("site %s: %w", name, err)
		}
		for _, note := range parsed.Notes {
			c.say("note: site %s: %s", name, note)
		}
		sites[name] = site
	}
	return sites, nil
}

// splitSite divides NAME=ENDPOINT. An endpoint alone is that of the default site; it may hold an equals sign, but not before whatever
// else tells an endpoint from a name.
func splitSite(text string) (name, endpoint string) {
	name, endpoint, named := strings.Cut(text, "=")
	if !named || strings.ContainsAny(name, "./:") {
		return runnerserver.DefaultSite, text
	}
	return name, endpoint
}

// site makes a site of an endpoint.
func (o *serveOptions) site(ctx context.Context, a *app, v *vault.Vault, registry *providers.Registry, name string, e providers.Endpoint) (namedSite, error) {
	none := namedSite{}
	switch e.Kind {
	case providers.KindVault:
		ref, err := vault.ParseReference(e.Location)
		if err != nil {
			return none, err
		}
		return namedSite{vaultSite{vault: v, ref: ref}, e.String(), nil}, nil
	case providers.KindProject, providers.KindDatabase:
		return o.projectSite(ctx, a, registry, name, e)
	case providers.KindServer:
		return none, fmt.Errorf("%w: a server cannot be served; pull from it into the vault instead", transfer.ErrUsage)
	case providers.KindArchive, providers.KindDirectory:
	}
	end := &end{Endpoint: e, reads: true}
	if err := o.apply(ctx, a, end); err != nil {
		return none, err
	}
	site := endpointSite{registry: registry, endpoint: e, access: end.access}
	// So that a wrong path or key shows at the start.
	return namedSite{site, e.String(), nil}, probeSite(ctx, site)
}

// probeSite opens a site once.
func probeSite(ctx context.Context, site runnerserver.Site) error {
	src, err := site.Source(ctx)
	if err != nil {
		return err
	}
	_, err = src.Describe(ctx)
	return errors.Join(err, src.Close())
}

// vaultSite is a site of the vault, or one snapshot of it.
type vaultSite struct {
	vault *vault.Vault
	ref   vault.Reference
}

// Source implements [runnerserver.Site].
func (s vaultSite) Source(ctx context.Context) (transfer.Source, error) {
	src, err := s.vault.Source(ctx, s.ref.Site, s.ref.Snapshot)
	if errors.Is(err, vault.ErrNoSnapshot) {
		return nil, runnerserver.ErrEmpty
	}
	if err != nil {
		return nil, err
	}
	return src, nil
}

// SourceAt implements [runnerserver.Reverter].
func (s vaultSite) SourceAt(ctx context.Context, snapshot string) (transfer.Source, error) {
	if s.ref.Snapshot != "" && s.ref.Snapshot != snapshot {
		return nil, fmt.Errorf("%w: only %s is served", transfer.ErrUsage, s.ref)
	}
	src, err := s.vault.Source(ctx, s.ref.Site, snapshot)
	if err != nil {
		return nil, err
	}
	return src, nil
}

// ReadOnly implements [runnerserver.ReadOnlySite].
func (s vaultSite) ReadOnly() bool { return s.ref.Snapshot != "" }

// String says what the site is.
func (s vaultSite) String() string { return "vault:" + s.ref.String() }

// Destination implements [runnerserver.Site].
func (s vaultSite) Destination(_ context.Context, who string) (transfer.Destination, error) {
	if s.ref.Snapshot != "" {
		return nil, fmt.Errorf("%w: it is a snapshot", runnerserver.ErrReadOnly)
	}
	dst, err := s.vault.Destination(s.ref.Site, vault.WriteOptions{Who: who})
	if err != nil {
		return nil, err
	}
	return vaultWriter{dst}, nil
}

// vaultWriter tells the server that another process writes the site.
type vaultWriter struct {
	*vault.Destination
}

// SnapshotID is the snapshot that was made.
func (w vaultWriter) SnapshotID() string { return w.Snapshot().ID }

// Begin implements [transfer.Destination].
func (w vaultWriter) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	cursors, err := w.Destination.Begin(ctx, plan)
	if busy, ok := errors.AsType[*vault.BusyError](err); ok {
		err = fmt.Errorf("%w by %s; wait until that transfer has ended", runnerserver.ErrBusy, busy.Holder)
	}
	return cursors, err
}

// endpointSite is an archive or a folder, to be pulled from.
type endpointSite struct {
	registry *providers.Registry
	endpoint providers.Endpoint
	access   providers.Access
}

// Source implements [runnerserver.Site].
func (s endpointSite) Source(ctx context.Context) (transfer.Source, error) {
	return s.registry.OpenSource(ctx, s.endpoint, s.access)
}

// Destination implements [runnerserver.Site].
func (s endpointSite) Destination(context.Context, string) (transfer.Destination, error) {
	return nil, runnerserver.ErrReadOnly
}

// ReadOnly implements [runnerserver.ReadOnlySite].
func (s endpointSite) ReadOnly() bool { return true }

// String says what the site is.
func (s endpointSite) String() string { return s.endpoint.String() }
