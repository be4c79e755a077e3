package vault

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/transfer-runner/runner/transfer"
)

// Digest is a SHA-256.
type Digest [sha256.Size]byte //nolint:recvcheck // only Scan changes one

// ParseDigest reads a digest in lower-case hex.
func ParseDigest(text string) (d Digest, err error) {
	if len(text) != 2*len(d) {
		return d, fmt.Errorf("%w: a SHA-256 of %d characters", transfer.ErrDamaged, len(text))
	}
	n, err := hex.Decode(d[:], []byte(text))
	if err != nil || n != len(d) || d.String() != text {
		return d, fmt.Errorf("%w: %q is no SHA-256 in lower-case hex", transfer.ErrDamaged, text)
	}
	return d, nil
}

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Scan implements [database/sql.Scanner].
func (d *Digest) Scan(value any) error {
	text, ok := value.([]byte)
	if !ok || len(text) != len(d) {
		return errors.New("not a SHA-256")
	}
	copy(d[:], text)
	return nil
}

// folder and name say where a piece is.
func (d Digest) folder() string { return hex.EncodeToString(d[:1]) }
func (d Digest) name() string   { return hex.EncodeToString(d[1:]) }

// readBlob returns a piece that is small enough to be held, after checking it.
func (v *Vault) readBlob(ctx context.Context, d Digest, size int64) ([]byte, error) {
	if size < 0 || size > maxSegmentFile {
		return nil, fmt.Errorf("%w: a segment of %d bytes, at most %d", transfer.ErrDamaged, size, maxSegmentFile)
	}
	file, err := v.pieces.open(ctx, d, size)
	if err != nil {
		return nil, err
	}
	data := make([]byte, size)
	_, err = io.ReadFull(file, data)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("read piece %s: %w", d, err)
	}
	if sha256.Sum256(data) != d {
		return nil, fmt.Errorf("%w: the piece %s was changed", transfer.ErrDamaged, d)
	}
	return data, nil
}
