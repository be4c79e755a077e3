package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// errStop ends a read because nobody wants more.
var errStop = errors.New("stop")

// reading is one Read of one stage.
type reading struct {
	source *Source
	stage  transfer.Stage
	in     span
	after  transfer.Cursor
	at     transfer.Cursor
	yield  func(transfer.Item, error) bool
	row    []byte // of the asset rowFor
	rowFor string
	lines  *bufio.Reader
}

func (r *reading) run(ctx context.Context) error {
	if r.stage == transfer.StageAssets && r.source.late {
		if err := r.source.gatherRows(ctx); err != nil {
			return err
		}
	}
	p := r.source.live
	if r.source.live = nil; p == nil || p.index >= r.in.first.index {
		var err error
		if p, err = r.source.pass(r.in.first); err != nil {
			return err
		}
	}
	for p.index < r.in.last.index {
		e, err := p.next(ctx)
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		if e.place.Stage != r.stage {
			continue
		}
		switch e.place.Kind {
		case layout.KindPart:
			err = r.part(ctx, p, e)
		case layout.KindSidecar:
			err = r.sidecar(p, e)
		case layout.KindUpload:
			err = r.upload(p, e)
		case layout.KindManifest, layout.KindMetadata, layout.KindOther:
		}
		if err != nil {
			return err
		}
	}
	r.source.live = p
	return nil
}

func (r *reading) part(ctx context.Context, p *pass, e entry) error {
	n := 0
	r.lines.Reset(p.tar)
	for line, err := range layout.Lines(r.lines, transfer.MaxRecord) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		n++
		if r.at++; r.at <= r.after {
			continue
		}
		record, err := transfer.ParseRecord(r.stage, bytes.Clone(line))
		if err != nil {
			return fmt.Errorf("%s, record %d: %w", e.name, n, err)
		}
		if !r.yield(transfer.Item{Record: record, Cursor: r.at}, nil) {
			return errStop
		}
	}
	return nil
}

func (r *reading) sidecar(p *pass, e entry) error {
	if r.source.late {
		return nil
	}
	text, err := layout.ReadSidecar(p.tar)
	r.row, r.rowFor = text, e.place.Asset
	return err
}

func (r *reading) upload(p *pass, e entry) error {
	if r.at++; r.at <= r.after {
		return nil
	}
	row := r.row
	if r.source.late {
		var err error
		if row, err = r.source.rows.get(e.place.Asset); err != nil {
			return err
		}
	} else if r.rowFor != e.place.Asset {
		return fmt.Errorf("%w: the archive was changed while it was read", transfer.ErrDamaged)
	}
	digest := r.source.survey.AssetDigest(e.place.Asset)
	body := layout.NewBody(e.place.Asset, p.tar)
	asset := transfer.Asset{
		Filename: e.place.Asset, Filepath: e.name, Length: e.size,
		Metadata: row, Digest: digest, Content: body.Open,
	}
	more := r.yield(transfer.Item{Record: asset, Cursor: r.at}, nil)
	body.Void()
	if !more {
		return errStop
	}
	return nil
}
