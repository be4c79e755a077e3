package layout

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/transfer-runner/runner/transfer"
)

// ReadSidecar returns the text of an uploaded file's row.
func ReadSidecar(r io.Reader) ([]byte, error) {
	text, err := readShort(r, MaxSidecar)
	return bytes.TrimSpace(text), err
}

// A Body is the content of an uploaded file inside a stream, which can be opened once and only while the stream is there.
type Body struct {
	asset  string
	src    io.Reader
	opened bool
	void   bool
}

// NewBody returns the body of an asset that is read from src.
func NewBody(asset string, src io.Reader) *Body { return &Body{asset: asset, src: src} }

// Open is for [transfer.Asset].Content.
func (b *Body) Open(ctx context.Context) (io.ReadCloser, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	switch {
	case b.void:
		return nil, b.gone()
	case b.opened:
		return nil, fmt.Errorf("%w: the file %s was opened before", transfer.ErrUsage, b.asset)
	}
	b.opened = true
	return b, nil
}

// Void ends the body's time: what it is read from goes on.
func (b *Body) Void() { b.void = true }

func (b *Body) gone() error {
	return fmt.Errorf("%w: the file %s has gone by", transfer.ErrUsage, b.asset)
}

// Read implements [io.Reader].
func (b *Body) Read(p []byte) (int, error) {
	if b.void {
		return 0, b.gone()
	}
	return b.src.Read(p)
}

// Close implements [io.Closer].
func (b *Body) Close() error {
	b.void = true
	return nil
}
