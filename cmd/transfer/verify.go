package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// verification is what became of --verify.
type verification struct {
	Same        bool     `json:"same"`
	Differences []string `json:"differences,omitempty"`
}

// canVerify finds out before anything is changed whether the destination can be read back: a token may allow writing only.
func (m *move) canVerify(ctx context.Context) (err error) {
	if !m.opts.Verify || !m.to.Live() {
		return nil
	}
	src, err := m.open.OpenSource(ctx, m.to.Endpoint, m.to.access)
	if err == nil {
		_, err = src.Describe(ctx)
		letGo(&err, src)
	}
	if err != nil {
		return fmt.Errorf("--verify must read the destination, which has not been changed: %w", err)
	}
	return nil
}

// maxDifferences is how many differences are told.
const maxDifferences = 50

// verify reads the destination back and compares it with what was sent.
func (m *move) verify(ctx context.Context, sent *transfer.Digest) (err error) {
	if sent == nil {
		return errors.New("verify the destination: the engine kept no digest")
	}
	m.progress.observe("verify", transfer.Event{Kind: transfer.EventPhase, Time: m.app.now(), Item: "reading the destination back"})
	src, err := m.open.OpenSource(ctx, m.to.Endpoint, m.to.access)
	if err != nil {
		return fmt.Errorf("verify the destination: %w", err)
	}
	defer letGo(&err, src)
	observe := func(e transfer.Event) { m.progress.observe("verify", e) }
	there, err := transfer.Collect(ctx, observed{src, observe, m.app.now}, m.engine.Filter)
	m.progress.stop()
	if err != nil {
		return fmt.Errorf("verify the destination: %w", err)
	}
	diffs := sent.Compare(there, maxDifferences)
	m.verification = &verification{Same: len(diffs) == 0, Differences: diffs}
	if len(diffs) == 0 {
		m.console.say("verified: the destination holds what was sent")
		return nil
	}
	for _, d := range diffs {
		m.console.insist("  differs: %s", d)
	}
	return fmt.Errorf("%w: verification found %s", transfer.ErrDamaged, plural(int64(len(diffs)), "difference", "differences"))
}

// observed is a source that tells how far it was read.
type observed struct {
	transfer.Source

	observe func(transfer.Event)
	now     func() time.Time
}

// observedStep is how many records pass between two events.
const observedStep = 100

// Read implements [transfer.Source].
func (o observed) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		start := o.now()
		e := transfer.Event{Kind: transfer.EventStageStarted, Time: start, Stage: stage}
		if c, ok := o.Source.(transfer.Counter); ok {
			if total, err := c.Count(ctx, stage); err == nil {
				e.Total = &total
			}
		}
		o.observe(e)
		for item, err := range o.Source.Read(ctx, stage, after) {
			if err == nil {
				e.Records++
				e.Bytes += item.Record.Size()
			}
			if !yield(item, err) {
				return
			}
			if e.Records%observedStep == 0 || stage == transfer.StageAssets {
				e.Kind, e.Time = transfer.EventStageProgress, o.now()
				o.observe(e)
			}
		}
		e.Kind, e.Time = transfer.EventStageFinished, o.now()
		e.Elapsed = e.Time.Sub(start)
		o.observe(e)
	}
}
