package layout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/transfer-runner/runner/transfer"
)

// copyBuffer is the piece in which files are copied. ctx is looked at between pieces.
const copyBuffer = 64 << 10

// maxSkipExamples bounds what is told of skipped files.
const maxSkipExamples = 10

// writeAsset adds a file and, immediately before it, its row.
func (e *Exporter) writeAsset(ctx context.Context, asset transfer.Asset) error {
	if err := e.closePart(); err != nil {
		return err
	}
	if err := asset.Validate(); err != nil {
		return err
	}
	row := asset.AppendJSON(nil)
	if len(row) > MaxSidecar {
		return fmt.Errorf("%w: the metadata of %s is %d bytes long, at most %d", transfer.ErrDamaged, asset.Filename, len(row), MaxSidecar)
	}
	if err := e.names.add(asset.Filename); err != nil {
		return err
	}
	if err := e.countFiles(2); err != nil {
		return err
	}
	body, err := asset.Open(ctx)
	if err != nil {
		return err
	}
	if CheckSidecar(asset.Filename, row) != nil {
		// It is read all the same: a file that cannot be had is an error, whatever its row says.
		err = e.copyAsset(ctx, io.Discard, body, asset.Filename)
		e.skip(asset.Filename)
	} else {
		err = e.writeFile(ctx, asset, row, body)
	}
	return errors.Join(err, body.Close())
}

func (e *Exporter) writeFile(ctx context.Context, asset transfer.Asset, row []byte, body *transfer.Body) error {
	if err := e.put(SidecarName(asset.Filename), int64(len(row)), bytes.NewReader(row)); err != nil {
		return err
	}
	name := UploadName(asset.Filename)
	out, err := e.sink.Create(name, max(asset.Length, -1))
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	err = e.copyAsset(ctx, out, body, asset.Filename)
	// A writer that was promised more complains on Close; the error that came first says why.
	if closed := out.Close(); err == nil && closed != nil {
		err = fmt.Errorf("write %s: %w", name, closed)
	}
	if err != nil {
		return err
	}
	e.tallies.Add(transfer.StageAssets, asset.Group(), body.Size())
	side := Digest(sha256.Sum256(row))
	return e.manifest.add(manifestLine{Asset: asset.Filename, Bytes: body.Size(), SHA256: body.Digest(), Sidecar: side.String()})
}

// copyAsset copies a file, which holds itself against what its source promised.
func (e *Exporter) copyAsset(ctx context.Context, out io.Writer, body io.Reader, name string) error {
	if e.buffer == nil {
		e.buffer = make([]byte, copyBuffer)
	}
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n, end := body.Read(e.buffer)
		if _, err := out.Write(e.buffer[:n]); err != nil && (end == nil || errors.Is(end, io.EOF)) {
			return fmt.Errorf("write asset %s: %w", name, err)
		}
		if errors.Is(end, io.EOF) {
			return nil
		}
		if end != nil {
			return fmt.Errorf("read asset %s: %w", name, end)
		}
	}
}

// skip notes a file that Strapi's importer would refuse, and with it the whole export.
func (e *Exporter) skip(asset string) {
	const reason = "the file's metadata lacks what strapi import insists on"
	for i := range e.skipped {
		if e.skipped[i].Reason == reason {
			e.skipped[i].Count++
			if len(e.skipped[i].Examples) < maxSkipExamples {
				e.skipped[i].Examples = append(e.skipped[i].Examples, asset)
			}
			return
		}
	}
	e.skipped = append(e.skipped, transfer.Skip{Stage: transfer.StageAssets, Reason: reason, Count: 1, Examples: []string{asset}})
}
