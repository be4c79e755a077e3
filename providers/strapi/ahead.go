package strapi

import (
	"context"

	"github.com/transfer-runner/runner/providers/strapi/read"
	"github.com/transfer-runner/runner/transfer"
)

// ahead runs produce while take is busy with what it has produced before, and returns when both have ended. One portion waits
// between them, so that memory stays flat. An error of take ends produce at its next portion; produce's queries are not cut off, which
// would cost the connection.
func ahead(ctx context.Context, produce func(read.Visit) error, take func([]transfer.Record) error) error {
	portions := make(chan []transfer.Record, 1)
	stop := make(chan struct{})
	var failed error // of produce; to be read when portions is closed
	go func() {      // joined below, on every way out
		defer close(portions)
		failed = produce(func(records []transfer.Record) error {
			select {
			case portions <- records:
				return nil
			case <-stop:
				return errBroken
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		})
	}()
	defer func() { // also when take has failed, or panicked
		close(stop)
		for range portions { // what nobody takes any more
		}
	}()
	for records := range portions {
		if err := take(records); err != nil {
			return err
		}
	}
	return failed
}
