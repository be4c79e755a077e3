package vault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/transfer-runner/runner/transfer"
)

// Source reads a snapshot. It implements [transfer.Source], [transfer.Counter] and [transfer.Checker].
type Source struct {
	v    *Vault
	snap Snapshot
	lock holding // nil when whoever made it holds one, and once closed
}

var (
	_ transfer.Source  = (*Source)(nil)
	_ transfer.Counter = (*Source)(nil)
	_ transfer.Checker = (*Source)(nil)
)

// Source opens a snapshot for reading; snapshot is the beginning of an id, and "" is the newest. Until it is closed nothing is
// removed from the vault.
func (v *Vault) Source(ctx context.Context, site, snapshot string) (*Source, error) {
	lock, err := v.locks.share(ctx)
	if err != nil {
		return nil, err
	}
	snap, err := v.Resolve(ctx, Reference{Site: site, Snapshot: snapshot})
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &Source{v: v, snap: snap, lock: lock}, nil
}

// Snapshot returns the snapshot that is read.
func (s *Source) Snapshot() Snapshot { return s.snap }

// Describe implements [transfer.Source].
func (s *Source) Describe(ctx context.Context) (transfer.Description, error) {
	d := transfer.Description{Kind: kind, Name: scheme + s.snap.Reference().String(), Version: s.snap.Version, CreatedAt: s.snap.SourceCreatedAt}
	if d.CreatedAt.IsZero() {
		d.CreatedAt = s.snap.CreatedAt
	}
	var err error
	d.Schemas, err = s.schemas(ctx)
	return d, err
}

// How a vault calls itself.
const (
	kind   = "vault"
	scheme = "vault:"
)

// schemas returns the snapshot's schemas, nil if it does not know them.
func (s *Source) schemas(ctx context.Context) (transfer.Schemas, error) {
	if !s.snap.SchemasKnown {
		return nil, nil //nolint:nilnil // nil is what unknown schemas are
	}
	out := make(transfer.Schemas)
	for item, err := range s.Read(ctx, transfer.StageSchemas, 0) {
		if err != nil {
			return nil, err
		}
		if schema, ok := item.Record.(transfer.Schema); ok {
			out[schema.UID] = schema
		}
	}
	return out, nil
}

// Count implements [transfer.Counter].
func (s *Source) Count(_ context.Context, stage transfer.Stage) (transfer.Count, error) {
	n := s.snap.Counts[stage]
	if n.ByType == nil {
		n.ByType = map[string]int64{}
	}
	return n, nil
}

// Check implements [transfer.Checker]. It reads every piece of the snapshot.
func (s *Source) Check(ctx context.Context) error {
	for _, stage := range transfer.Stages() {
		for item, err := range s.Read(ctx, stage, 0) {
			if err != nil {
				return err
			}
			a, ok := item.Record.(transfer.Asset)
			if !ok {
				continue
			}
			if err := readThrough(ctx, a); err != nil {
				return err
			}
		}
	}
	return nil
}

// readThrough proves a file whole.
func readThrough(ctx context.Context, a transfer.Asset) error {
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, endsWith(ctx, body), make([]byte, copyBuffer))
	return errors.Join(err, body.Close())
}

// copyBuffer is how much of a file is read at once.
const copyBuffer = 256 << 10

// endsWith is r until ctx ends.
func endsWith(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Read implements [transfer.Source].
func (s *Source) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		for line, err := range s.lines(ctx, stage, int64(after)) {
			var item transfer.Item
			if err == nil {
				item.Cursor = transfer.Cursor(line.index + 1)
				item.Record, err = s.record(stage, line.text)
			}
			if err != nil {
				item, err = transfer.Item{}, fmt.Errorf("snapshot %s: %w", s.snap.Reference(), err)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// numbered is a line and the number of lines before it in its stage.
type numbered struct {
	text  []byte
	index int64
}

// lines yields the lines of a stage after a number of them. They may be kept.
func (s *Source) lines(ctx context.Context, stage transfer.Stage, after int64) iter.Seq2[numbered, error] {
	return func(yield func(numbered, error) bool) {
		if after >= s.snap.Counts[stage].Records {
			return
		}
		next, seq := after, int64(-1)
		for {
			page, err := s.v.index.segments(ctx, s.snap.row, stage, seq, after)
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			if err != nil {
				yield(numbered{}, err)
				return
			}
			for _, p := range page {
				if next, err = s.segmentLines(ctx, p, next, yield); err != nil {
					return
				}
				seq = p.seq
			}
			if len(page) < segmentPage {
				break
			}
		}
		if want := s.snap.Counts[stage].Records; next != want {
			yield(numbered{}, fmt.Errorf("%w: %s holds %d records, not %d", transfer.ErrDamaged, stage, next, want))
		}
	}
}

var errStop = errors.New("stop")

// segmentLines yields the lines of a segment from the one with number next on. Its error has been yielded, or is errStop.
func (s *Source) segmentLines(ctx context.Context, p placed, next int64, yield func(numbered, error) bool) (int64, error) {
	lines, err := s.v.linesOf(ctx, p.segment)
	if err == nil && p.first > next {
		err = fmt.Errorf("%w: records %d to %d are missing", transfer.ErrDamaged, next, p.first)
	}
	if err != nil {
		yield(numbered{}, err)
		return next, err
	}
	at := p.first
	for text := range split(lines) {
		if at++; at <= next {
			continue
		}
		if err := context.Cause(ctx); err != nil {
			yield(numbered{}, err)
			return next, err
		}
		if !yield(numbered{text: text, index: next}, nil) {
			return next, errStop
		}
		next = at
	}
	return next, nil
}

func (s *Source) record(stage transfer.Stage, line []byte) (transfer.Record, error) {
	if stage != transfer.StageAssets {
		return transfer.ParseRecord(stage, line)
	}
	a, err := parseAsset(line)
	if err != nil {
		return nil, err
	}
	return transfer.Asset{
		Filename: a.Name, Filepath: a.Path, Length: a.Length, Metadata: a.Metadata, Digest: a.digest.String(),
		Content: func(ctx context.Context) (io.ReadCloser, error) { return s.v.pieces.open(ctx, a.digest, a.Length) },
	}, nil
}

// Close implements [transfer.Source].
func (s *Source) Close() error {
	if s.lock == nil {
		return nil
	}
	err := s.lock.Close()
	s.lock = nil
	return err
}
