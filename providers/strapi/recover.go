package strapi

import (
	"context"
	"errors"

	"github.com/transfer-runner/runner/providers/strapi/database"
)

// Recover finishes or undoes what a transfer that was killed has left of the uploaded files. A transfer that is under way is left alone.
func (s *Site) Recover(ctx context.Context) (err error) {
	if s.opts.Uploads == nil {
		return nil
	}
	lock, err := s.db.TryLock(ctx)
	if errors.Is(err, database.ErrBusy) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Release()) }() //nolint:contextcheck // it is let go of whatever became of ctx
	ids, err := s.opts.Uploads.Recover(ctx, (&Destination{site: s}).committed)
	if err != nil {
		return err
	}
	return s.forgetMarkers(ctx, ids...)
}
