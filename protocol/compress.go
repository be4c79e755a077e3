package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/segmentio/asm/base64"
)

// ErrInvalidCompression marks compressed data that is not readable or too large.
var ErrInvalidCompression = fmt.Errorf("%w: compressed data is not readable", ErrMalformed)

// minCompressed is the shortest data that is worth compressing, in bytes.
const minCompressed = 256

// Compressor writes and reads the data of stream messages and frames under [ExtensionCompression]: a JSON text that is the base64 of
// one zstd frame takes the place of the array. It serves one goroutine at a time. The zero value works.
type Compressor struct {
	enc    *zstd.Encoder
	dec    *zstd.Decoder
	packed []byte
}

// Append appends data in its compressed form to dst, or as it is where that would not be shorter.
func (c *Compressor) Append(dst []byte, data json.RawMessage) ([]byte, error) {
	if len(data) < minCompressed {
		return append(dst, data...), nil
	}
	if c.enc == nil {
		enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
		if err != nil {
			return dst, fmt.Errorf("make a compressor: %w", err)
		}
		c.enc = enc
	}
	c.packed = c.enc.EncodeAll(data, c.packed[:0])
	n := base64.StdEncoding.EncodedLen(len(c.packed))
	if n+2 >= len(data) {
		return append(dst, data...), nil
	}
	dst = append(slices.Grow(dst, n+2), '"')
	start := len(dst)
	dst = dst[:start+n]
	base64.StdEncoding.Encode(dst[start:], c.packed)
	return append(dst, '"'), nil
}

// Expand returns what data stands for, which is data itself when it is not compressed. The error wraps [ErrInvalidCompression].
func (c *Compressor) Expand(data json.RawMessage) (json.RawMessage, error) {
	text, ok := asString(data)
	if !ok {
		return data, nil
	}
	if c.dec == nil {
		dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxMessage), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("make a decompressor: %w", err)
		}
		c.dec = dec
	}
	packed := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(packed, []byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidCompression, err)
	}
	out, err := c.dec.DecodeAll(packed[:n], nil)
	switch {
	case errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return nil, fmt.Errorf("%w: more than %d bytes", ErrInvalidCompression, MaxMessage)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrInvalidCompression, err)
	}
	return out, nil
}

// Close lets go of what the compressor holds.
func (c *Compressor) Close() {
	if c.enc != nil {
		_ = c.enc.Close() // nothing is buffered
	}
	if c.dec != nil {
		c.dec.Close()
	}
	c.enc, c.dec = nil, nil
}
