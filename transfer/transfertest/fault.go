package transfertest

import (
	"context"
	"errors"
	"iter"

	"github.com/transfer-runner/runner/transfer"
)

// ErrPlanted is what the faults of this package return.
var ErrPlanted = errors.New("planted fault")

// FailingDestination fails once a number of calls went well. Begin, Write and Commit count.
type FailingDestination struct {
	transfer.Destination

	left int
}

// FailAfter returns dst with a fault after n calls.
func FailAfter(dst transfer.Destination, n int) *FailingDestination {
	return &FailingDestination{Destination: dst, left: n}
}

func (d *FailingDestination) step() error {
	if d.left--; d.left < 0 {
		return ErrPlanted
	}
	return nil
}

// Begin implements [transfer.Destination].
func (d *FailingDestination) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	if err := d.step(); err != nil {
		return nil, err
	}
	return d.Destination.Begin(ctx, plan)
}

// Write implements [transfer.Destination].
func (d *FailingDestination) Write(ctx context.Context, batch transfer.Batch) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Destination.Write(ctx, batch)
}

// Commit implements [transfer.Destination].
func (d *FailingDestination) Commit(ctx context.Context) error {
	if err := d.step(); err != nil {
		return err
	}
	return d.Destination.Commit(ctx)
}

// FailingSource fails after a number of records of one stage.
type FailingSource struct {
	transfer.Source

	Stage transfer.Stage
	After int
}

// Read implements [transfer.Source].
func (s *FailingSource) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		n := 0
		for item, err := range s.Source.Read(ctx, stage, after) {
			if stage == s.Stage && n == s.After {
				yield(transfer.Item{}, ErrPlanted)
				return
			}
			if n++; !yield(item, err) {
				return
			}
		}
	}
}
