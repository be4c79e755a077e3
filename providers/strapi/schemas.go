package strapi

import (
	"context"
	"fmt"

	"github.com/transfer-runner/runner/providers/strapi/catalogue"
)

// catalogue finds the schemas of the site and the layout of its tables, as the database is now.
func (s *Site) catalogue(ctx context.Context, db catalogue.Reader) (*catalogue.Catalogue, error) {
	c, err := catalogue.Read(ctx, db, s.db.Quote, catalogue.Options{Components: s.opts.Components, Schemas: s.opts.Schemas})
	if err != nil {
		return nil, fmt.Errorf("the schemas of %s: %w", s.opts.Name, err)
	}
	return c, nil
}
