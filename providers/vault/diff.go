package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/transfer-runner/runner/transfer"
)

// Diff is what is different between two snapshots.
type Diff struct {
	A    Snapshot `json:"a"`
	B    Snapshot `json:"b"`
	Same bool     `json:"same"` // the content is, whatever the pieces are

	Schemas []transfer.Difference `json:"schemas"`
	Records map[string][2]int64   `json:"records"` // rows by content type, where their numbers differ
	Files   FileDiff              `json:"files"`
	Content []string              `json:"content"` // rows, links and settings, in words; at most as many as asked for, and a last line
}

// FileDiff is what is different between the files of two snapshots.
type FileDiff struct {
	Added        []string `json:"added"`   // only in B
	Removed      []string `json:"removed"` // only in A
	Changed      []string `json:"changed"`
	AddedBytes   int64    `json:"addedBytes"`
	RemovedBytes int64    `json:"removedBytes"`
}

// Diff compares two snapshots. Rows are compared by what identifies them, whatever ids their databases gave them. Files are compared by
// their digests and not read. At most limit differences of rows, links and settings are told; 0 is all of them.
func (v *Vault) Diff(ctx context.Context, a, b Reference, limit int) (d Diff, err error) {
	var sides [2]*Source
	defer func() {
		for _, src := range sides {
			if src != nil {
				err = errors.Join(err, src.Close())
			}
		}
	}()
	for i, ref := range []Reference{a, b} {
		if sides[i], err = v.Source(ctx, ref.Site, ref.Snapshot); err != nil {
			return d, err
		}
	}
	d = Diff{A: sides[0].snap, B: sides[1].snap, Schemas: []transfer.Difference{}, Records: make(map[string][2]int64), Content: []string{}}
	if err := d.schemas(ctx, sides); err != nil {
		return d, err
	}
	d.numbers()
	if err := d.files(ctx, sides); err != nil {
		return d, err
	}
	if err := d.content(ctx, sides, limit); err != nil {
		return d, err
	}
	f := d.Files
	d.Same = len(d.Schemas)+len(d.Records)+len(d.Content)+len(f.Added)+len(f.Removed)+len(f.Changed) == 0
	return d, nil
}

func (d *Diff) schemas(ctx context.Context, sides [2]*Source) error {
	a, err := sides[0].schemas(ctx)
	if err != nil {
		return err
	}
	b, err := sides[1].schemas(ctx)
	if err != nil {
		return err
	}
	diffs, err := transfer.CompareSchemas(a, b, transfer.SchemaExact)
	d.Schemas = append(d.Schemas, diffs...)
	return err
}

func (d *Diff) numbers() {
	a, b := d.A.Counts[transfer.StageEntities].ByType, d.B.Counts[transfer.StageEntities].ByType
	for uid := range a {
		if a[uid] != b[uid] {
			d.Records[uid] = [2]int64{a[uid], b[uid]}
		}
	}
	for uid := range b {
		if a[uid] != b[uid] {
			d.Records[uid] = [2]int64{a[uid], b[uid]}
		}
	}
}

// files compares files by name and digest.
func (d *Diff) files(ctx context.Context, sides [2]*Source) error {
	var lists [2]map[string]piece
	for i, src := range sides {
		lists[i] = make(map[string]piece)
		for line, err := range src.lines(ctx, transfer.StageAssets, 0) {
			if err != nil {
				return err
			}
			a, err := parseAsset(line.text)
			if err != nil {
				return err
			}
			lists[i][a.Name] = piece{a.digest, a.Length}
		}
	}
	f := FileDiff{Added: []string{}, Removed: []string{}, Changed: []string{}}
	for _, name := range slices.Sorted(maps.Keys(lists[0])) {
		was := lists[0][name]
		is, ok := lists[1][name]
		if ok && is == was {
			continue
		}
		f.RemovedBytes += was.size
		if ok {
			f.Changed = append(f.Changed, name)
			f.AddedBytes += is.size
		} else {
			f.Removed = append(f.Removed, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(lists[1])) {
		if _, ok := lists[0][name]; !ok {
			f.Added = append(f.Added, name)
			f.AddedBytes += lists[1][name].size
		}
	}
	d.Files = f
	return nil
}

// content compares everything else. Two snapshots of the same pieces need not be read for that.
func (d *Diff) content(ctx context.Context, sides [2]*Source, limit int) error {
	same, err := samePieces(ctx, sides)
	if err != nil || same {
		return err
	}
	var digests [2]*transfer.Digest
	for i, src := range sides {
		if digests[i], err = transfer.Collect(ctx, src, transfer.Filter{Exclude: []transfer.Group{transfer.GroupFiles}}); err != nil {
			return fmt.Errorf("compare: %w", err)
		}
	}
	d.Content = append(d.Content, digests[0].Compare(digests[1], limit)...)
	return nil
}

// samePieces reports whether both snapshots are made of the same segments, files aside.
func samePieces(ctx context.Context, sides [2]*Source) (bool, error) {
	for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageLinks, transfer.StageConfiguration} {
		n, err := sides[0].v.index.number(ctx, `SELECT count(*) FROM
			(SELECT seq, segment_id FROM snapshot_segments WHERE snapshot_id = ?1 AND stage = ?3) a
			FULL JOIN (SELECT seq, segment_id FROM snapshot_segments WHERE snapshot_id = ?2 AND stage = ?3) b
			ON a.seq = b.seq AND a.segment_id = b.segment_id WHERE a.seq IS NULL OR b.seq IS NULL`,
			sides[0].snap.row, sides[1].snap.row, stage)
		if err != nil || n > 0 {
			return false, err
		}
	}
	return true, nil
}
