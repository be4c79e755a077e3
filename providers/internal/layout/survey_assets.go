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

const (
	// maxWhy bounds the reasons and names that are kept for messages.
	maxWhy = 1000

	// maxDigests bounds the digests that are kept whole, to be handed out with the files.
	maxDigests = 100_000

	// maxAssets bounds the files that are told apart. Each comes with its row.
	maxAssets = MaxFiles / 2
)

// assetIndex remembers of each file as much as must be compared later, by 64 bits of its name (see nameSet) and 64 of its
// digest: a hostile export has as many as it may.
type assetIndex struct {
	seed    maphash.Seed
	sums    map[uint64]assetSum
	digests map[uint64]Digest // of the first files
	why     map[uint64]string // names of files without a row, reasons against rows
	lone    int64             // files whose row has not come
}

type assetSum struct {
	content [8]byte // of the file's digest
	row     [7]byte // of the row's digest
	state   assetState
}

type assetState uint8

const (
	hasUpload    assetState = 1 << iota // the file was there
	hasSidecar                          // its row was there
	rowIsRefused                        // and cannot be used
	isListed                            // in the manifest
)

func (s assetSum) is(state assetState) bool { return s.state&state != 0 }

func (a *assetIndex) get(asset string) assetSum { return a.sums[maphash.String(a.seed, asset)] }

func (a *assetIndex) put(asset string, sum assetSum) error {
	h := maphash.String(a.seed, asset)
	if _, known := a.sums[h]; !known && len(a.sums) >= maxAssets {
		return fmt.Errorf("%w: more than %d uploaded files", transfer.ErrDamaged, maxAssets)
	}
	a.sums[h] = sum
	return nil
}

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
	if sum.is(hasSidecar) {
		return errTwice()
	}
	digest := sha256.Sum256(text)
	sum.row = [7]byte(digest[:])
	sum.state |= hasSidecar
	// Strapi ignores the rows of files that are not there, whatever they look like.
	if err := CheckSidecar(asset, text); err != nil {
		if sum.is(hasUpload) {
			return err
		}
		sum.state |= rowIsRefused
		s.assets.remember(asset, err.Error())
	}
	if sum.is(hasUpload) {
		s.assets.lone--
		delete(s.assets.why, maphash.String(s.assets.seed, asset))
	}
	return s.assets.put(asset, sum)
}

func (s *Survey) visitUpload(asset string, r io.Reader) error {
	if err := (transfer.Asset{Filename: asset, Metadata: []byte("{}")}).Validate(); err != nil {
		return err
	}
	sum := s.assets.get(asset)
	switch {
	case sum.is(hasUpload):
		return errTwice()
	case sum.is(rowIsRefused):
		why, ok := s.assets.why[maphash.String(s.assets.seed, asset)]
		if !ok {
			return sidecarError(asset, "it is not what Strapi writes")
		}
		return fmt.Errorf("%w: %s", transfer.ErrDamaged, strings.TrimPrefix(why, transfer.ErrDamaged.Error()+": "))
	case !sum.is(hasSidecar):
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
	digest := h.Sum(nil)
	sum.content = [8]byte(digest)
	sum.state |= hasUpload
	if err := s.assets.put(asset, sum); err != nil {
		return err
	}
	if len(s.assets.digests) < maxDigests {
		s.assets.digests[maphash.String(s.assets.seed, asset)] = Digest(digest)
	}
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
		if sum := a.sums[h]; sum.is(hasUpload) && !sum.is(hasSidecar) {
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
