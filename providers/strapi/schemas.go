package strapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/catalogue"
	"github.com/transfer-runner/runner/transfer"
)

// catalogue finds the schemas of the site and the layout of its tables, as the database is now.
func (s *Site) catalogue(ctx context.Context, db catalogue.Reader) (*catalogue.Catalogue, error) {
	c, err := catalogue.Read(ctx, db, s.db.Quote, catalogue.Options{
		Components: s.opts.Components, ContentTypes: s.opts.ContentTypes, Schemas: s.opts.Schemas,
	})
	if err != nil {
		return nil, fmt.Errorf("the schemas of %s: %w", s.opts.Name, err)
	}
	if len(c.Ahead) > 0 && !s.found.Swap(true) {
		s.ahead.Store(&transfer.Note{Level: transfer.NoteWarning, Message: aheadOf(s.opts.Name, c.Ahead)})
	}
	return c, nil
}

// aheadOf says what the files of a project have and its database does not.
func aheadOf(name string, ahead []string) string {
	const most = 5
	list := strings.Join(ahead[:min(len(ahead), most)], ", ")
	if more := len(ahead) - most; more > 0 {
		list = fmt.Sprintf("%s and %d more", list, more)
	}
	return fmt.Sprintf("the files of %s have what its database does not have yet, and what is left out: %s; start Strapi once to have it", name, list)
}
