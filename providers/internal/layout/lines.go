package layout

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/transfer-runner/runner/transfer"
)

const (
	lineBuffer = 64 << 10
	keepLine   = 1 << 20 // a longer line's memory is given back
)

// NewLineBuffer returns a buffer for [Lines], to be reset to each file in turn.
func NewLineBuffer() *bufio.Reader { return bufio.NewReaderSize(nil, lineBuffer) }

// Lines yields the lines of r without their ends and without the empty ones: the parts that Strapi writes begin with a line
// feed from the second on and do not end with one. A line is valid until the next is asked for, and is at most limit bytes
// long. The sequence ends after the first error.
func Lines(r *bufio.Reader, limit int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var long []byte
		for {
			line, err := r.ReadSlice('\n')
			if len(long) > 0 || errors.Is(err, bufio.ErrBufferFull) {
				long = append(long, line...)
				line = long
			}
			if len(bytes.TrimRight(line, "\r\n")) > limit {
				yield(nil, fmt.Errorf("%w: a line is longer than %d bytes", transfer.ErrDamaged, limit))
				return
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if err != nil && !errors.Is(err, io.EOF) {
				yield(nil, err)
				return
			}
			if line = trimEnd(line); len(line) > 0 && !yield(line, nil) {
				return
			}
			if err != nil {
				return
			}
			if long = long[:0]; cap(long) > keepLine {
				long = nil
			}
		}
	}
}

// trimEnd takes one line end off.
func trimEnd(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'})
}
