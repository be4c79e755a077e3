package archive

import (
	"context"

	"github.com/transfer-runner/runner/transfer"
)

// A portion is what is handed from one goroutine to the other at once.
const (
	portionRecords = 64
	portionBytes   = 128 << 10
)

type portion struct {
	items []transfer.Item
	err   error // after them
}

// ahead decodes records on a goroutine of its own while yield is busy with those before, and returns when both have ended. One portion
// waits between them, so that memory stays flat.
func ahead(ctx context.Context, read func(func(transfer.Item, error) bool), yield func(transfer.Item, error) bool) {
	portions := make(chan portion, 1)
	stop := make(chan struct{})
	go func() { // joined below, on every way out
		defer close(portions)
		var next portion
		var size int64
		send := func() bool {
			select {
			case portions <- next:
				next, size = portion{}, 0
				return true
			case <-stop:
				return false
			}
		}
		read(func(item transfer.Item, err error) bool {
			if next.err = err; err == nil {
				next.items = append(next.items, item)
				size += item.Record.Size()
			}
			if err != nil || len(next.items) == portionRecords || size >= portionBytes {
				return send()
			}
			return true
		})
		if len(next.items) > 0 {
			send()
		}
	}()
	defer func() { // also when yield panics
		close(stop)
		for range portions { // what nobody takes any more
		}
	}()
	for p := range portions {
		for _, item := range p.items {
			if err := context.Cause(ctx); err != nil {
				yield(transfer.Item{}, err)
				return
			}
			if !yield(item, nil) {
				return
			}
		}
		if p.err != nil {
			yield(transfer.Item{}, p.err)
			return
		}
	}
}
