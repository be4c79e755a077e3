package layout

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"

	"github.com/transfer-runner/runner/transfer"
)

const (
	// manifestFormat is the number of the manifest's form. Readers refuse any other.
	manifestFormat = 1

	// maxManifestLine is the longest line of a manifest: the totals, with maxGroups headings for each stage.
	maxManifestLine = 16 << 20

	// MaxManifest is the longest manifest, in bytes: a line of some 500 for each of MaxFiles.
	MaxManifest = 512 << 20
)

// Digest is a SHA-256 sum.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// A manifest is JSON lines: the form, one line for each part and each asset, the totals, and last the digest of all lines
// before it, so that a damaged manifest is not mistaken for damaged content.
type manifestLine struct {
	Format int    `json:"transferManifest,omitempty"`
	Part   string `json:"part,omitempty"`
	Asset  string `json:"asset,omitempty"`

	Bytes   int64  `json:"bytes,omitempty"`
	Records int64  `json:"records,omitempty"`
	SHA256  string `json:"sha256,omitempty"`
	Sidecar string `json:"sidecar,omitempty"` // digest of the asset's row

	Stages   map[transfer.Stage]transfer.Count `json:"stages,omitempty"`
	Metadata string                            `json:"metadata,omitempty"` // digest of metadata.json
}

// manifestWriter gathers a manifest while an export is written.
type manifestWriter struct {
	spool *Spool
	sum   hash.Hash
}

func newManifestWriter(dir string) *manifestWriter {
	return &manifestWriter{spool: NewSpool(dir), sum: sha256.New()}
}

func (m *manifestWriter) add(line manifestLine) error {
	if m.spool.Size() == 0 && line.Format == 0 {
		if err := m.add(manifestLine{Format: manifestFormat}); err != nil {
			return err
		}
	}
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("encode manifest: %w", err)
	}
	text = append(text, '\n')
	m.sum.Write(text)
	if _, err := m.spool.Write(text); err != nil {
		return Unwritable(fmt.Errorf("write manifest: %w", err))
	}
	return nil
}

// finish adds the totals and the digest, and returns the manifest.
func (m *manifestWriter) finish(tallies Tallies, metadata Digest) (io.Reader, int64, error) {
	if err := m.add(manifestLine{Stages: totals(tallies), Metadata: metadata.String()}); err != nil {
		return nil, 0, err
	}
	if _, err := m.spool.Write(lastLine(m.sum)); err != nil {
		return nil, 0, Unwritable(fmt.Errorf("write manifest: %w", err))
	}
	r, err := m.spool.Open()
	return r, m.spool.Size(), err
}

func totals(t Tallies) map[transfer.Stage]transfer.Count {
	all := make(map[transfer.Stage]transfer.Count, len(t))
	for _, stage := range transfer.Stages() {
		all[stage] = t.Of(stage)
	}
	return all
}

func lastLine(sum hash.Hash) []byte {
	return fmt.Appendf(nil, "{\"digest\":%q}\n", hex.EncodeToString(sum.Sum(nil)))
}

// readManifest calls visit for each line between the first and the last after it has found the digest to be right.
func readManifest(open func() (io.Reader, error), visit func(manifestLine) error) error {
	if err := proveManifest(open); err != nil {
		return err
	}
	r, err := open()
	if err != nil {
		return err
	}
	first := true
	for text, err := range Lines(bufio.NewReaderSize(r, lineBuffer), maxManifestLine) {
		if err != nil {
			return fmt.Errorf("read %s: %w", ManifestFile, err)
		}
		var line manifestLine
		if err := json.Unmarshal(text, &line); err != nil {
			return manifestError("line %q: %v", shorten(string(text)), err)
		}
		if first && line.Format != manifestFormat {
			return fmt.Errorf("%w: %s is of form %d, this program knows %d", transfer.ErrIncompatible, ManifestFile, line.Format, manifestFormat)
		}
		if !first {
			if err := visit(line); err != nil {
				return err
			}
		}
		first = false
	}
	return nil
}

// proveManifest compares the digest in the last line with the lines before it.
func proveManifest(open func() (io.Reader, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	sum := sha256.New()
	var held []byte
	for line, err := range Lines(bufio.NewReaderSize(r, lineBuffer), maxManifestLine) {
		if err != nil {
			return fmt.Errorf("read %s: %w", ManifestFile, err)
		}
		sum.Write(held)
		held = append(append(held[:0], line...), '\n')
	}
	if !bytes.Equal(held, lastLine(sum)) {
		return manifestError("it is not what was written, its digest is wrong")
	}
	return nil
}

func manifestError(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", transfer.ErrDamaged, ManifestFile, fmt.Sprintf(format, args...))
}
