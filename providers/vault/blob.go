package vault

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

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

func (v *Vault) blobPath(d Digest) string { return v.path(blobFolder, d.folder(), d.name()) }

// present reports whether a piece of this size is in its place. Its bytes are not looked at.
func (v *Vault) present(d Digest, size int64) (bool, error) {
	info, err := os.Stat(v.blobPath(d))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at piece %s: %w", d, err)
	}
	return info.Mode().IsRegular() && info.Size() == size, nil
}

// openBlob opens a piece of a known size.
func (v *Vault) openBlob(d Digest, size int64) (*os.File, error) {
	file, err := os.Open(v.blobPath(d))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: the piece %s is missing", transfer.ErrDamaged, d)
	}
	if err != nil {
		return nil, fmt.Errorf("open piece %s: %w", d, err)
	}
	info, err := file.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("%w: the piece %s has %d bytes, not %d", transfer.ErrDamaged, d, info.Size(), size)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// readBlob returns a piece that is small enough to be held, after checking it.
func (v *Vault) readBlob(d Digest, size int64) ([]byte, error) {
	if size < 0 || size > maxSegmentFile {
		return nil, fmt.Errorf("%w: a segment of %d bytes, at most %d", transfer.ErrDamaged, size, maxSegmentFile)
	}
	file, err := v.openBlob(d, size)
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
