package providers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/project"
	"github.com/transfer-runner/runner/transfer"
)

// passwordVariables are where the password of a database is looked for whose address has none.
func passwordVariables() []string { return []string{"TRANSFER_DATABASE_PASSWORD", "DATABASE_PASSWORD"} }

// OpenSite opens a Strapi project or a database of one. Whoever opens it closes it.
func (r *Registry) OpenSite(ctx context.Context, e Endpoint, a Access) (*strapi.Site, error) {
	choices := strapi.Choices{
		Name: e.String(), Env: a.Env, Zone: a.Zone, Database: a.Database.Reveal(), Uploads: a.Uploads, Schemas: a.Schemas, Logger: r.config.Logger,
	}
	switch e.Kind {
	case KindProject:
		return strapi.OpenProject(ctx, e.Location, choices)
	case KindDatabase:
		address := Secret(e.Location)
		if e.address != nil {
			address = *e.address
		}
		config, err := project.ParseDatabase(address.Reveal())
		if err != nil {
			return nil, err
		}
		for _, name := range passwordVariables() {
			config.Password = cmp.Or(config.Password, os.Getenv(name))
		}
		return strapi.OpenDatabase(ctx, config, choices)
	case KindServer, KindArchive, KindDirectory, KindVault:
	}
	return nil, fmt.Errorf("%w: %s is not a Strapi project", transfer.ErrUsage, e)
}

func (r *Registry) openSiteSource(ctx context.Context, e Endpoint, a Access) (transfer.Source, error) {
	site, err := r.OpenSite(ctx, e, a)
	if err != nil {
		return nil, err
	}
	src, err := site.Source(ctx)
	if err != nil {
		return nil, errors.Join(err, site.Close())
	}
	return &siteSource{src, site}, nil
}

// OpenSiteDestination is OpenDestination for what OpenSite opens, on behalf of who.
func (r *Registry) OpenSiteDestination(ctx context.Context, e Endpoint, a Access, who string) (*SiteDestination, error) {
	opts := strapi.WriteOptions{Merge: a.Merge, Conflict: strapi.Conflict(a.Conflict)}
	site, err := r.OpenSite(ctx, e, a)
	if err != nil {
		return nil, err
	}
	dst, err := site.Destination(who, opts)
	if err != nil {
		return nil, errors.Join(err, site.Close())
	}
	return &SiteDestination{dst, site}, nil
}

// siteSource closes its site with itself.
type siteSource struct {
	*strapi.Source

	site *strapi.Site
}

func (s *siteSource) Close() error { return errors.Join(s.Source.Close(), s.site.Close()) }

// Place names the database, to tell whether both sides of a transfer are the same.
func (s *siteSource) Place() string { return s.site.Place() }

// SiteDestination closes its site with itself.
type SiteDestination struct {
	*strapi.Destination

	site *strapi.Site
}

// Close implements [transfer.Destination].
func (d *SiteDestination) Close() error { return errors.Join(d.Destination.Close(), d.site.Close()) }

// Place names the database, to tell whether both sides of a transfer are the same.
func (d *SiteDestination) Place() string { return d.site.Place() }
