package archive

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// rowSpool keeps the rows of the files of an archive in which they do not come right before their files, such as one that was
// packed by hand from an unpacked export. It takes 16 bytes of memory for each and the text on disk.
type rowSpool struct {
	seed  maphash.Seed
	spool *layout.Spool
	at    map[uint64]rowPlace
}

type rowPlace struct {
	start int64
	size  int32
}

// gatherRows fills the rowSpool by a pass of its own.
func (s *Source) gatherRows(ctx context.Context) error {
	if s.rows != nil {
		return nil
	}
	rows := &rowSpool{seed: maphash.MakeSeed(), spool: layout.NewSpool(""), at: make(map[uint64]rowPlace)}
	err := s.readRows(ctx, rows)
	if err != nil {
		return errors.Join(err, rows.Close())
	}
	s.rows = rows
	return nil
}

func (s *Source) readRows(ctx context.Context, rows *rowSpool) error {
	in := s.marks[transfer.StageAssets]
	p, err := s.pass(in.first)
	if err != nil {
		return err
	}
	for p.index < in.last.index {
		e, err := p.next(ctx)
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if e.place.Kind != layout.KindSidecar {
			continue
		}
		text, err := layout.ReadSidecar(p.tar)
		if err != nil {
			return err
		}
		rows.at[maphash.String(rows.seed, e.place.Asset)] = rowPlace{start: rows.spool.Size(), size: int32(len(text))} //nolint:gosec // at most MaxSidecar
		if _, err := rows.spool.Write(text); err != nil {
			return err
		}
	}
	return nil
}

func (r *rowSpool) get(asset string) ([]byte, error) {
	at, ok := r.at[maphash.String(r.seed, asset)]
	if !ok {
		return nil, fmt.Errorf("%w: the file %q has no metadata", transfer.ErrDamaged, asset)
	}
	return r.spool.ReadAt(at.start, int(at.size))
}

// Close lets go of the text.
func (r *rowSpool) Close() error { return r.spool.Close() }
