package vault

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"

	"github.com/klauspost/compress/zstd"

	"github.com/transfer-runner/runner/transfer"
)

// How long a segment is, in bytes of JSON lines. Short ones make a change cheap; long ones compress better and are fewer files.
const (
	segmentLeast   = 8 << 10
	segmentAverage = 32 << 10
	segmentMost    = 128 << 10
)

// Where another content type begins, a segment ends too, so that types change independently. A source that mixes its types must not
// make a file of every record by that: small segments are allowed up to a number of them.
const (
	segmentSmall      = 4 << 10
	segmentSmallLimit = 1024
)

// What a segment can be at most: a record is added to one only while that is shorter than segmentMost.
const (
	maxSegment     = segmentMost + transfer.MaxRecord + 1
	maxSegmentFile = maxSegment + 1<<20 // zstd adds a little to what does not compress
)

// zstdWindow is enough for a segment, and keeps the memory of encoders small.
const zstdWindow = 256 << 10

func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true)) // so that short ones tell their length too
}

func newDecoder() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxSegment))
}

// cutter gathers the lines of a stage and cuts them into segments.
type cutter struct {
	emit func(ctx context.Context, lines []byte, records int64) error

	table   *crc32.Table
	lines   []byte
	records int64
	group   string
	end     bool // after the line at the end a segment may end
	made    int
}

func newCutter(emit func(ctx context.Context, lines []byte, records int64) error) *cutter {
	return &cutter{emit: emit, table: crc32.MakeTable(crc32.Castagnoli)}
}

// add appends a line, which fill writes, without its end, for a record of a group.
func (c *cutter) add(ctx context.Context, group string, fill func(dst []byte) []byte) error {
	if c.end || group != c.group && (len(c.lines) >= segmentSmall || c.made < segmentSmallLimit) {
		if err := c.cut(ctx); err != nil {
			return err
		}
	}
	from := len(c.lines)
	c.lines = fill(c.lines)
	line := oneLine(c.lines[from:])
	if len(line) > transfer.MaxRecord {
		return fmt.Errorf("%w: a record of %d bytes, at most %d", transfer.ErrDamaged, len(line), transfer.MaxRecord)
	}
	c.lines = append(c.lines, '\n')
	c.records++
	c.group = group
	c.end = len(c.lines) >= segmentMost || len(c.lines) >= segmentLeast && c.natural(line)
	return nil
}

// natural reports whether a line is one of those that segments end after. That depends on nothing but the line, so that segments
// find back to their old cuts after a change.
func (c *cutter) natural(line []byte) bool {
	h := uint64(crc32.Checksum(line, c.table)) * 0x9e3779b97f4a7c15 >> 32
	return h*segmentAverage < uint64(len(line))<<32
}

// cut ends the segment.
func (c *cutter) cut(ctx context.Context) error {
	c.end = false
	if c.records == 0 {
		return nil
	}
	err := c.emit(ctx, c.lines, c.records)
	c.made++
	c.lines, c.records = c.lines[:0], 0
	if cap(c.lines) > 8*segmentMost {
		c.lines = nil
	}
	return err
}

// oneLine takes line ends out of JSON text. Outside of strings they are blanks, and inside they cannot be.
func oneLine(text []byte) []byte {
	for i, b := range text {
		if b == '\n' || b == '\r' {
			text[i] = ' '
		}
	}
	return text
}

// pack compresses lines.
func pack(enc *zstd.Encoder, lines []byte) []byte {
	return enc.EncodeAll(lines, make([]byte, 0, len(lines)/2+64))
}

// unpack is the reverse of pack for lines of a known length and number, neither of which is believed.
func unpack(dec *zstd.Decoder, data []byte, length, records int64) ([]byte, error) {
	if length <= 0 || length > maxSegment {
		return nil, fmt.Errorf("%w: a segment of %d bytes, at most %d", transfer.ErrDamaged, length, maxSegment)
	}
	var header zstd.Header
	if err := header.Decode(data); err != nil {
		return nil, fmt.Errorf("%w: decompress: %w", transfer.ErrDamaged, err)
	}
	if !header.HasFCS || header.FrameContentSize != uint64(length) {
		return nil, fmt.Errorf("%w: a segment is not as long as the index says", transfer.ErrDamaged)
	}
	lines, err := dec.DecodeAll(data, make([]byte, 0, length))
	if err != nil {
		return nil, fmt.Errorf("%w: decompress: %w", transfer.ErrDamaged, err)
	}
	if int64(len(lines)) != length || lines[len(lines)-1] != '\n' {
		return nil, fmt.Errorf("%w: a segment is not as long as the index says", transfer.ErrDamaged)
	}
	if n := int64(bytes.Count(lines, []byte{'\n'})); n != records {
		return nil, fmt.Errorf("%w: a segment has %d records, not %d", transfer.ErrDamaged, n, records)
	}
	return lines, nil
}

// split yields the lines of a segment without their ends.
func split(lines []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(lines) > 0 {
			n := bytes.IndexByte(lines, '\n')
			if !yield(lines[:n:n]) {
				return
			}
			lines = lines[n+1:]
		}
	}
}

// linesOf reads a segment.
func (v *Vault) linesOf(ctx context.Context, s segment) ([]byte, error) {
	data, err := v.readBlob(ctx, s.blob, s.size)
	if err != nil {
		return nil, err
	}
	lines, err := unpack(v.decoder, data, s.bytes, s.records)
	if err != nil {
		return nil, fmt.Errorf("segment %s: %w", s.blob, err)
	}
	if sha256.Sum256(lines) != s.raw {
		return nil, fmt.Errorf("%w: segment %s: %w", transfer.ErrDamaged, s.blob, errors.New("the lines are not those that the index names"))
	}
	return lines, nil
}
