package vault

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Snapshot is one complete and immutable version of a site.
type Snapshot struct {
	ID        string    `json:"id"`
	Site      string    `json:"site"`
	CreatedAt time.Time `json:"createdAt"`

	Source          string    `json:"source,omitempty"` // where it came from, without secrets
	SourceKind      string    `json:"sourceKind,omitempty"`
	SourceCreatedAt time.Time `json:"sourceCreatedAt,omitzero"`
	Version         string    `json:"version,omitempty"` // of Strapi; "" when unknown
	SchemasKnown    bool      `json:"schemasKnown"`

	// Parent is the snapshot that parts were taken over from, because the transfer did not replace them. "" if there are none.
	Parent string `json:"parent,omitempty"`

	Counts     map[transfer.Stage]transfer.Count `json:"counts"`
	AddedBlobs int64                             `json:"addedBlobs"` // pieces that no snapshot had before
	AddedBytes int64                             `json:"addedBytes"` // of those, on disk

	row int64
}

// Reference names the snapshot.
func (s Snapshot) Reference() Reference { return Reference{Site: s.Site, Snapshot: s.ID} }

const snapshotColumns = `SELECT s.id, s.name, t.name, s.created, s.source, s.source_kind, s.source_created, s.version, s.parent,
	s.schemas_known, s.counts, s.added_blobs, s.added_bytes FROM snapshots s JOIN sites t ON t.id = s.site_id WHERE s.forgotten IS NULL`

func scanSnapshot(row interface{ Scan(dest ...any) error }) (s Snapshot, err error) {
	var created int64
	var sourceCreated sql.NullInt64
	var counts string
	if err := row.Scan(&s.row, &s.ID, &s.Site, &created, &s.Source, &s.SourceKind, &sourceCreated, &s.Version, &s.Parent,
		&s.SchemasKnown, &counts, &s.AddedBlobs, &s.AddedBytes); err != nil {
		return s, damaged(err)
	}
	s.CreatedAt = time.UnixMilli(created).UTC()
	if sourceCreated.Valid {
		s.SourceCreatedAt = time.UnixMilli(sourceCreated.Int64).UTC()
	}
	if err := json.Unmarshal([]byte(counts), &s.Counts); err != nil {
		return s, damaged(fmt.Errorf("counts of snapshot %s: %w", s.ID, err))
	}
	return s, nil
}

// Snapshots returns the snapshots of a site, oldest first, or of all sites, by site, if it is "".
func (v *Vault) Snapshots(ctx context.Context, site string) ([]Snapshot, error) {
	out := []Snapshot{}
	err := v.index.rows(ctx, func(row *sql.Rows) error {
		s, err := scanSnapshot(row)
		out = append(out, s)
		return err
	}, snapshotColumns+" AND (? = '' OR t.name = ?) ORDER BY t.name, s.id", site, site)
	return out, err
}

// Sites returns the names of the sites that have a snapshot.
func (v *Vault) Sites(ctx context.Context) ([]string, error) {
	out := []string{}
	err := v.index.rows(ctx, func(row *sql.Rows) error {
		var name string
		err := row.Scan(&name)
		out = append(out, name)
		return err
	}, "SELECT DISTINCT t.name FROM sites t JOIN snapshots s ON s.site_id = t.id WHERE s.forgotten IS NULL ORDER BY t.name")
	return out, err
}

// Resolve finds the snapshot that a reference names. If there is none, or more than one, the error says which there are; it wraps
// [ErrNoSnapshot] if there is none.
func (v *Vault) Resolve(ctx context.Context, r Reference) (Snapshot, error) {
	if err := checkSite(r.Site); err != nil {
		return Snapshot{}, err
	}
	if err := checkSnapshot(r.Snapshot); err != nil {
		return Snapshot{}, err
	}
	list, err := v.Snapshots(ctx, r.Site)
	if err != nil {
		return Snapshot{}, err
	}
	if len(list) == 0 {
		return Snapshot{}, fmt.Errorf("%w: %w: the vault has no site %q%s", transfer.ErrUsage, ErrNoSnapshot, r.Site, v.hint(ctx))
	}
	if r.Snapshot == "" || r.Snapshot == Latest {
		return list[len(list)-1], nil
	}
	var found []Snapshot
	for _, s := range list {
		if s.ID == r.Snapshot {
			return s, nil
		}
		if strings.HasPrefix(s.ID, r.Snapshot) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return Snapshot{}, fmt.Errorf("%w: %w: no snapshot of %s begins with %q: there are %s", transfer.ErrUsage, ErrNoSnapshot,
			r.Site, r.Snapshot, listed(list))
	case 1:
		return found[0], nil
	}
	return Snapshot{}, fmt.Errorf("%w: %d snapshots of %s begin with %q: %s", transfer.ErrUsage, len(found), r.Site, r.Snapshot, listed(found))
}

// hint says which sites there are.
func (v *Vault) hint(ctx context.Context) string {
	sites, err := v.Sites(ctx)
	if err != nil || len(sites) == 0 {
		return ""
	}
	return "; it has " + strings.Join(sites[:min(len(sites), 10)], ", ")
}

// listed names the newest of some snapshots.
func listed(list []Snapshot) string {
	const most = 5
	var ids []string
	for i := len(list) - 1; i >= 0 && len(ids) < most; i-- {
		ids = append(ids, list[i].ID)
	}
	if n := len(list) - len(ids); n > 0 {
		ids = append(ids, fmt.Sprintf("and %d older ones", n))
	}
	return strings.Join(ids, ", ")
}
