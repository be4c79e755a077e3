package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// vaultSnapshots are the snapshots of the sites that a server keeps in its vault. It implements [runnerserver.Snapshots] and
// [runnerserver.Pruner].
type vaultSnapshots struct {
	vault *vault.Vault
	sites map[string]string // names in the vault by names at the server
	turns chan struct{}     // those who make an archive hold one
}

// maxExports is how many archives are made at a time. Each needs as much of the disk as a site.
const maxExports = 2

var (
	_ runnerserver.Snapshots = (*vaultSnapshots)(nil)
	_ runnerserver.Pruner    = (*vaultSnapshots)(nil)
)

// newVaultSnapshots serves the snapshots of those sites that are kept in the vault. A site that is one snapshot has no others.
func newVaultSnapshots(v *vault.Vault, sites map[string]runnerserver.Site) *vaultSnapshots {
	s := &vaultSnapshots{vault: v, sites: make(map[string]string), turns: make(chan struct{}, maxExports)}
	for name, site := range sites {
		if kept, ok := site.(vaultSite); ok && kept.ref.Snapshot == "" {
			s.sites[name] = kept.ref.Site
		}
	}
	return s
}

// List implements [runnerserver.Snapshots].
func (s *vaultSnapshots) List(ctx context.Context, site string) ([]runnerserver.Snapshot, error) {
	names := sortedNames(s.sites)
	if site != "" {
		if _, ok := s.sites[site]; !ok {
			return nil, fmt.Errorf("%w: %q is not kept as snapshots", runnerserver.ErrNoSnapshot, site)
		}
		names = []string{site}
	}
	out := []runnerserver.Snapshot{}
	for _, name := range names {
		list, err := s.vault.Snapshots(ctx, s.sites[name])
		if err != nil {
			return nil, err
		}
		for _, snapshot := range slices.Backward(list) {
			out = append(out, serverSnapshot(name, snapshot))
		}
	}
	slices.SortStableFunc(out, func(a, b runnerserver.Snapshot) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return out, nil
}

func serverSnapshot(site string, s vault.Snapshot) runnerserver.Snapshot {
	return runnerserver.Snapshot{
		ID: s.ID, Site: site, CreatedAt: s.CreatedAt, Source: s.Source, SourceKind: s.SourceKind, Version: s.Version,
		SchemasKnown: s.SchemasKnown, Parent: s.Parent, Counts: s.Counts, AddedBytes: s.AddedBytes,
	}
}

// find reads a reference, SITE or SITE@ID, by the server's names.
func (s *vaultSnapshots) find(reference string) (site string, ref vault.Reference, err error) {
	site, _, _ = strings.Cut(reference, "@")
	kept, ok := s.sites[site]
	if !ok {
		return site, ref, fmt.Errorf("%w: %.80q", runnerserver.ErrNoSnapshot, reference)
	}
	ref, err = vault.ParseReference(kept + strings.TrimPrefix(reference, site))
	return site, ref, err
}

// missing tells a snapshot that is not there in the words of the server.
func missing(err error) error {
	if errors.Is(err, vault.ErrNoSnapshot) {
		return fmt.Errorf("%w: %w", runnerserver.ErrNoSnapshot, err)
	}
	return err
}

// Diff implements [runnerserver.Snapshots].
func (s *vaultSnapshots) Diff(ctx context.Context, a, b string, limit int) (runnerserver.SnapshotDiff, error) {
	siteA, refA, err := s.find(a)
	if err != nil {
		return runnerserver.SnapshotDiff{}, err
	}
	siteB, refB, err := s.find(b)
	if err != nil {
		return runnerserver.SnapshotDiff{}, err
	}
	d, err := s.vault.Diff(ctx, refA, refB, limit)
	if err != nil {
		return runnerserver.SnapshotDiff{}, missing(err)
	}
	return runnerserver.SnapshotDiff{
		A: serverSnapshot(siteA, d.A), B: serverSnapshot(siteB, d.B), Same: d.Same, Schemas: d.Schemas, Records: d.Records,
		Added: d.Files.Added, Removed: d.Files.Removed, Changed: d.Files.Changed, Content: d.Content,
	}, nil
}

// exportPrefix begins the names of folders in which archives are made. One that is older than exportAge is of a server that died.
const (
	exportPrefix = "export-"
	exportAge    = 24 * time.Hour
)

// Export implements [runnerserver.Snapshots].
func (s *vaultSnapshots) Export(ctx context.Context, reference string) (_ *runnerserver.Archive, err error) {
	site, ref, err := s.find(reference)
	if err != nil {
		return nil, err
	}
	snapshot, err := s.vault.Resolve(ctx, ref)
	if err != nil {
		return nil, missing(err)
	}
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := sweepExports(s.vault.Dir()); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.vault.Dir(), exportPrefix)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrUnwritable, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	name := site + "-" + snapshot.ID + ".tar.gz"
	path := filepath.Join(dir, name)
	if err := s.write(ctx, snapshot.Reference(), path); err != nil {
		return nil, fmt.Errorf("export %s: %w", reference, err)
	}
	file, err := os.Open(path) //nolint:gosec // made above
	if err != nil {
		return nil, fmt.Errorf("export %s: %w", reference, err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("export %s: %w", reference, err), file.Close())
	}
	return &runnerserver.Archive{ReadSeekCloser: passing{file, dir}, Name: name, Size: info.Size()}, nil
}

// write moves a snapshot into an archive.
func (s *vaultSnapshots) write(ctx context.Context, ref vault.Reference, path string) (err error) {
	src, err := s.vault.Source(ctx, ref.Site, ref.Snapshot)
	if err != nil {
		return missing(err)
	}
	defer letGo(&err, src)
	dst, err := archive.Create(path, archive.Options{})
	if err != nil {
		return err
	}
	defer letGo(&err, dst)
	_, err = transfer.Run(ctx, src, dst, transfer.Options{})
	return err
}

// sweepExports removes what dead servers left.
func sweepExports(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), exportPrefix) || time.Since(info.ModTime()) < exportAge {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// passing is a file that goes with its folder when it is closed.
type passing struct {
	*os.File

	dir string
}

var _ io.ReadSeekCloser = passing{}

// Close implements [io.Closer].
func (p passing) Close() error { return errors.Join(p.File.Close(), os.RemoveAll(p.dir)) }

// Prune implements [runnerserver.Pruner].
func (s *vaultSnapshots) Prune(ctx context.Context, site string, keep jobs.Keep, dryRun bool) ([]string, error) {
	_, ref, err := s.find(site)
	if err != nil {
		return nil, err
	}
	mode := vault.DoIt
	if dryRun {
		mode = vault.DryRun
	}
	decisions, _, err := s.vault.Forget(ctx, ref.Site, vault.Policy{Last: keep.Last, Daily: keep.Daily, Weekly: keep.Weekly}, mode)
	if err != nil {
		return nil, missing(err)
	}
	var removed []string
	for _, d := range decisions {
		if !d.Keep {
			removed = append(removed, d.Snapshot.ID)
		}
	}
	return removed, nil
}
