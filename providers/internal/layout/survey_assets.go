package layout

import (
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// maxWhy bounds the reasons and names that are kept for messages.
const maxWhy = 1000

// assetIndex remembers of each file as much as must be compared later, by 64 bits of its name (see nameSet).
type assetIndex struct {
	seed maphash.Seed
	sums map[uint64]assetSum
	why  map[uint64]string // names of files without a row, reasons against rows
	lone int64             // files whose row has not come
}

type assetSum struct {
	content Digest
	row     [8]byte // of the row's digest
	size    int64
	upload  bool // the file was there
	sidecar bool // its row was there
	refused bool // and cannot be used
	listed  bool // in the manifest
}

func (a *assetIndex) get(asset string) assetSum { return a.sums[maphash.String(a.seed, asset)] }

func (a *assetIndex) put(asset string, sum assetSum) { a.sums[maphash.String(a.seed, asset)] = sum }

func (a *assetIndex) remember(asset, text string) {
	if len(a.why) < maxWhy {
		a.why[maphash.String(a.seed, asset)] = text
	}
}

func (s *Survey) visitSidecar(asset string, r io.Reader) error {
	text, err := readShort(r, MaxSidecar)
	if err != nil {
		return err
	}
	sum := s.assets.get(asset)
	if sum.sidecar {
		return errTwice()
	}
	digest := sha256.Sum256(text)
	sum.sidecar, sum.row = true, [8]byte(digest[:8])
	// Strapi ignores the rows of files that are not there, whatever they look like.
	if err := CheckSidecar(asset, text); err != nil {
		if sum.upload {
			return err
		}
		sum.refused = true
		s.assets.remember(asset, err.Error())
	}
	if sum.upload {
		s.assets.lone--
		delete(s.assets.why, maphash.String(s.assets.seed, asset))
	}
	s.assets.put(asset, sum)
	return nil
}

func (s *Survey) visitUpload(asset string, r io.Reader) error {
	if err := (transfer.Asset{Filename: asset, Metadata: []byte("{}")}).Validate(); err != nil {
		return err
	}
	sum := s.assets.get(asset)
	switch {
	case sum.upload:
		return errTwice()
	case sum.refused:
		why := s.assets.why[maphash.String(s.assets.seed, asset)]
		return fmt.Errorf("%w: %s", transfer.ErrDamaged, strings.TrimPrefix(why, transfer.ErrDamaged.Error()+": "))
	case !sum.sidecar:
		s.assets.lone++
		s.assets.remember(asset, asset)
	}
	if s.buffer == nil {
		s.buffer = make([]byte, copyBuffer)
	}
	h := sha256.New()
	n, err := io.CopyBuffer(h, r, s.buffer)
	if err != nil {
		return err
	}
	sum.upload, sum.size, sum.content = true, n, Digest(h.Sum(nil))
	s.assets.put(asset, sum)
	s.tallies.Add(transfer.StageAssets, transfer.Asset{Filename: asset}.Group(), n)
	return nil
}

// finish reports files without a row: Strapi would stop at them midway.
func (a *assetIndex) finish() error {
	if a.lone == 0 {
		return nil
	}
	var names []string
	for h, name := range a.why {
		if sum := a.sums[h]; sum.upload && !sum.sidecar {
			names = append(names, fmt.Sprintf("%q", shorten(name)))
		}
	}
	slices.Sort(names)
	const most = 5
	if len(names) > most {
		names = names[:most]
	}
	return fmt.Errorf("%w: %d files come without their metadata (%s/NAME%s), such as %s",
		transfer.ErrDamaged, a.lone, SidecarsDir, sidecarExt, strings.Join(names, ", "))
}
