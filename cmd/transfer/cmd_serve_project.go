package main

import (
	"context"
	"fmt"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// projectSite serves a Strapi project from its own database and files.
func (o *serveOptions) projectSite(ctx context.Context, a *app, registry *providers.Registry, name string, e providers.Endpoint) (namedSite, error) {
	served := &end{Endpoint: e, reads: true}
	if err := o.applySites([]*end{served}, make([]siteFlags, 1)); err != nil {
		return namedSite{}, err
	}
	site := liveSite{endpointSite{registry: registry, endpoint: e, access: served.access}}
	if err := probeSite(ctx, site); err != nil {
		return namedSite{}, err
	}
	opened, err := registry.OpenSite(ctx, e, served.access)
	if err != nil {
		return namedSite{}, err
	}
	tokens := &siteTokens{name: name, site: opened, now: a.now, known: make(map[string]token.Token)}
	return namedSite{site, fmt.Sprintf("%s (%s)", e, opened.Place()), tokens}, nil
}

// liveSite is a Strapi project. It is opened anew for each session, because its developers change it.
type liveSite struct{ endpointSite }

// Destination implements [runnerserver.Site].
func (s liveSite) Destination(ctx context.Context, who string) (transfer.Destination, error) {
	return s.registry.OpenSiteDestination(ctx, s.endpoint, s.access, who)
}
