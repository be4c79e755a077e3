package layout

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// compare holds what was visited against the manifest.
func (s *Survey) compare() error {
	var listed struct {
		parts, assets int
		totals        *manifestLine
	}
	err := readManifest(s.manifest.Open, func(line manifestLine) error {
		switch {
		case line.Part != "":
			listed.parts++
			return s.comparePart(line)
		case line.Asset != "":
			listed.assets++
			return s.compareAsset(line)
		case line.Stages != nil:
			listed.totals = &line
		}
		return nil
	})
	if err != nil {
		return err
	}
	if listed.totals == nil {
		return manifestError("the totals are missing")
	}
	if listed.parts != len(s.parts) {
		return fmt.Errorf("%w: %s was added after the export was written", transfer.ErrDamaged, s.unlistedPart())
	}
	if n := s.tallies.Of(transfer.StageAssets).Records; int64(listed.assets) != n {
		return fmt.Errorf("%w: there are %d files in %s, the manifest lists %d", transfer.ErrDamaged, n, UploadsDir, listed.assets)
	}
	return s.compareTotals(*listed.totals)
}

func (s *Survey) unlistedPart() string {
	for name, p := range s.parts {
		if !p.listed {
			return name
		}
	}
	return "a part"
}

func (s *Survey) comparePart(line manifestLine) error {
	p := s.parts[line.Part]
	switch {
	case p == nil:
		return fmt.Errorf("%w: %s with %d records is missing", transfer.ErrDamaged, shorten(line.Part), line.Records)
	case p.listed:
		return manifestError("%s is listed twice", shorten(line.Part))
	case p.records != line.Records:
		return fmt.Errorf("%w: %s holds %d of %d records", transfer.ErrDamaged, line.Part, p.records, line.Records)
	case p.bytes != line.Bytes || p.sum.String() != line.SHA256:
		return fmt.Errorf("%w: %s is not what was written, its digest differs", transfer.ErrDamaged, line.Part)
	}
	p.listed = true
	return nil
}

func (s *Survey) compareAsset(line manifestLine) error {
	sum := s.assets.get(line.Asset)
	switch {
	case !sum.is(hasUpload):
		return fmt.Errorf("%w: the file %s is missing", transfer.ErrDamaged, shorten(line.Asset))
	case sum.is(isListed):
		return manifestError("%s is listed twice", shorten(line.Asset))
	case !strings.HasPrefix(line.SHA256, hex.EncodeToString(sum.content[:])):
		return fmt.Errorf("%w: the file %s is not what was written, its digest differs", transfer.ErrDamaged, line.Asset)
	case !strings.HasPrefix(line.Sidecar, hex.EncodeToString(sum.row[:])):
		return fmt.Errorf("%w: the metadata of the file %s is not what was written, its digest differs", transfer.ErrDamaged, line.Asset)
	}
	sum.state |= isListed
	return s.assets.put(line.Asset, sum)
}

func (s *Survey) compareTotals(line manifestLine) error {
	if s.metadataSum.String() != line.Metadata {
		return fmt.Errorf("%w: %s is not what was written, its digest differs", transfer.ErrDamaged, MetadataFile)
	}
	for _, stage := range slices.Sorted(maps.Keys(line.Stages)) {
		want, got := line.Stages[stage], s.tallies.Of(stage)
		if got.Records != want.Records || got.Bytes != want.Bytes || !maps.Equal(got.ByType, want.ByType) {
			return fmt.Errorf("%w: the stage %s holds %d records of %d bytes, the manifest says %d of %d",
				transfer.ErrDamaged, stage, got.Records, got.Bytes, want.Records, want.Bytes)
		}
	}
	return nil
}
