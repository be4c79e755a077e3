package strapi

import (
	"context"
	"encoding/json"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/providers/strapi/read"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

var _ transfer.AssetKnower = (*Destination)(nil)

// hasFile reports whether the destination has a file that is still what its row says. Then it is not even opened.
//
// Strapi gives each upload a name of its own, so that a file of the same name and length, whose row has not changed, is the same. The
// file of a row that stays as the destination has it stays too.
func (m *merger) hasFile(ctx context.Context, id int64, meta metadata, length int64) bool {
	if in(m.stay, typeFile, id) {
		return true
	}
	if length < 0 || m.files.Has(id) {
		return false
	}
	size, err := m.stat(ctx, meta.file)
	return err == nil && size == length
}

// stat returns the size of a file that this site keeps itself, wherever its row says that it came from.
func (m *merger) stat(ctx context.Context, f uploads.File) (int64, error) {
	f.URL, f.Provider = "", m.d.site.opts.Uploads.Provider()
	return m.d.site.opts.Uploads.Stat(ctx, f)
}

// KnownAssets implements [transfer.AssetKnower]: when merging, the files of those rows that the source has too, and that were not
// written, as far as they are there.
func (d *Destination) KnownAssets(ctx context.Context, limit int) ([]transfer.KnownAsset, error) {
	if d.merge == nil || d.change == nil || d.queue == nil || d.closed || d.merge.seen[typeFile] == nil {
		return nil, nil
	}
	found := &knownFiles{m: d.merge, limit: limit, sizes: make(map[string]int64), written: make(map[string]struct{})}
	err := d.queue.do(ctx, func(ctx context.Context) error {
		if err := d.writer.flush(ctx); err != nil {
			return err
		}
		return read.New(d.site.db, d.tx, d.catalogue).Files(ctx, func(rows []json.RawMessage) error { return found.look(ctx, rows) })
	})
	if err != nil {
		return nil, err
	}
	return found.list(), nil
}

// knownFiles gathers files that are there.
type knownFiles struct {
	m       *merger
	limit   int
	written map[string]struct{} // names that rows have which were written

	mu    sync.Mutex // guards sizes
	sizes map[string]int64
}

// look looks for the files of some rows, many at a time: storage elsewhere takes its time for each.
func (k *knownFiles) look(ctx context.Context, rows []json.RawMessage) error {
	groups, err := uploadsOf(rows)
	if err != nil {
		return err
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(lookups)
	for _, group := range groups {
		var row struct{ ID int64 }
		if err := json.Unmarshal(group[0].metadata, &row); err != nil {
			return err
		}
		switch {
		case k.m.files.Has(row.ID):
			for _, u := range group {
				k.written[u.name()] = struct{}{}
			}
			continue
		case !in(k.m.seen, typeFile, row.ID) || k.full():
			continue
		}
		for _, u := range group {
			work.Go(func() error { return k.find(ctx, u) })
		}
	}
	return work.Wait()
}

// find looks for one file. One that cannot be found is sent.
func (k *knownFiles) find(ctx context.Context, u upload) error {
	size, err := k.m.stat(ctx, u.file)
	if err != nil || size < 0 {
		return context.Cause(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sizes[u.name()] = size
	return nil
}

func (k *knownFiles) full() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.sizes) >= k.limit
}

// list leaves out the files that a row shares with one that was written: they are handed over with that.
func (k *knownFiles) list() []transfer.KnownAsset {
	known := make([]transfer.KnownAsset, 0, len(k.sizes))
	for name, size := range k.sizes {
		if _, ok := k.written[name]; !ok && len(known) < k.limit {
			known = append(known, transfer.KnownAsset{Filename: name, Length: size})
		}
	}
	return known
}
