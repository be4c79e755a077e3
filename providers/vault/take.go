package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// smallAsset is up to which length a file is held until its digest is known, so that a file that is there already costs no writing.
const smallAsset = 1 << 20

// addSegment stages a segment, unless some snapshot has it.
func (d *Destination) addSegment(ctx context.Context, stage transfer.Stage, lines []byte, records int64) error {
	s, err := d.stageSegment(ctx, stage, lines, records)
	if err != nil {
		return err
	}
	d.segments[stage] = append(d.segments[stage], s)
	d.v.opts.fault("segment")
	return nil
}

func (d *Destination) stageSegment(ctx context.Context, stage transfer.Stage, lines []byte, records int64) (segment, error) {
	raw := Digest(sha256.Sum256(lines))
	s, known, err := d.v.index.knownSegment(ctx, stage, raw)
	if err != nil {
		return s, err
	}
	if known {
		// A piece that has got lost is written again.
		if there, err := d.v.pieces.present(ctx, s.blob, s.size); there || err != nil {
			return s, err
		}
	}
	data := pack(d.encoder, lines)
	packed := Digest(sha256.Sum256(data))
	if known && packed != s.blob {
		return s, fmt.Errorf("%w: the piece %s is missing and cannot be made again; forget the snapshots that \"transfer snapshot check\" names",
			transfer.ErrDamaged, s.blob)
	}
	s = segment{raw: raw, blob: packed, size: int64(len(data)), records: records, bytes: int64(len(lines))}
	return s, d.staging.put(ctx, packed, data)
}

// takeAsset stages a file and adds its line.
func (d *Destination) takeAsset(ctx context.Context, a transfer.Asset) error {
	if err := a.Validate(); err != nil {
		return err
	}
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	digest, err := d.storeBody(ctx, a, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return fmt.Errorf("asset %s: %w", a.Filename, err)
	}
	line := assetLine{Name: a.Filename, Path: a.Filepath, Length: body.Size(), Metadata: a.Metadata, digest: digest}
	if err := d.cutter.add(ctx, "", line.appendTo); err != nil {
		return fmt.Errorf("asset %s: %w", a.Filename, err)
	}
	d.count(transfer.StageAssets, a.Group(), body.Size())
	d.v.opts.fault("asset")
	return nil
}

// storeBody stages a file, which is read to its end in any case: only that proves it to be what it is said to be.
func (d *Destination) storeBody(ctx context.Context, a transfer.Asset, body *transfer.Body) (Digest, error) {
	in := endsWith(ctx, body)
	if a.Digest != "" && a.Length >= 0 {
		if want, err := ParseDigest(a.Digest); err == nil {
			if there, err := d.staging.has(ctx, want, a.Length); err != nil || there {
				_, err = copyTo(io.Discard, in)
				return want, err
			}
		}
	}
	head := bytes.NewBuffer(make([]byte, 0, min(smallAsset, max(a.Length, 0))+bytes.MinRead))
	if _, err := head.ReadFrom(io.LimitReader(in, smallAsset+1)); err != nil {
		return Digest{}, err
	}
	if head.Len() <= smallAsset {
		digest, err := ParseDigest(body.Digest())
		if err != nil {
			return digest, err
		}
		return digest, d.staging.put(ctx, digest, head.Bytes())
	}
	return d.storeLarge(ctx, io.MultiReader(head, in), body)
}

func (d *Destination) storeLarge(ctx context.Context, in io.Reader, body *transfer.Body) (Digest, error) {
	file, err := d.staging.create()
	if err != nil {
		return Digest{}, err
	}
	size, err := copyTo(file, in)
	if err = errors.Join(err, layout.Unwritable(file.Close())); err != nil {
		return Digest{}, err
	}
	digest, err := ParseDigest(body.Digest())
	if err != nil {
		return digest, err
	}
	return digest, d.staging.adopt(ctx, digest, size)
}

// copyTo copies and tells errors of the writer from those of the reader.
func copyTo(w io.Writer, r io.Reader) (int64, error) {
	return io.CopyBuffer(mediumWriter{w}, r, make([]byte, copyBuffer))
}

type mediumWriter struct{ w io.Writer }

func (m mediumWriter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	return n, layout.Unwritable(err)
}
