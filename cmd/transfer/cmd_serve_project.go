package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
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
	if err := opened.Recover(ctx); err != nil {
		// Who only reads needs no more than a note of it.
		a.log.WarnContext(ctx, "what a transfer that was killed has left is not cleared away", keyError, err)
	}
	tokens := &siteTokens{name: name, site: opened, now: a.now, known: make(map[string]token.Token)}
	return namedSite{site, fmt.Sprintf("%s (%s)", e, opened.Place()), tokens}, nil
}

// liveSite is a Strapi project. It is opened anew for each session, because its developers change it.
type liveSite struct{ endpointSite }

// Destination implements [runnerserver.Site].
func (s liveSite) Destination(ctx context.Context, who string) (transfer.Destination, error) {
	return s.writer(ctx, s.access, who)
}

// Merge implements [runnerserver.MergeSite].
func (s liveSite) Merge(ctx context.Context, who, conflict string) (transfer.Destination, error) {
	access := s.access
	access.Merge, access.Conflict = true, conflict
	return s.writer(ctx, access, who)
}

func (s liveSite) writer(ctx context.Context, access providers.Access, who string) (transfer.Destination, error) {
	dst, err := s.registry.OpenSiteDestination(ctx, s.endpoint, access, who)
	if err != nil {
		return nil, err
	}
	return liveWriter{dst}, nil
}

// liveWriter tells the server that another process writes the site.
type liveWriter struct {
	*providers.SiteDestination
}

// Begin implements [transfer.Destination].
func (w liveWriter) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	cursors, err := w.SiteDestination.Begin(ctx, plan)
	if errors.Is(err, database.ErrBusy) || errors.Is(err, uploads.ErrBusy) {
		err = fmt.Errorf("%w: %w", runnerserver.ErrBusy, err)
	}
	return cursors, err
}
