package server

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Snapshots are the snapshots of sites that a server keeps. Its methods may be called concurrently. A reference is SITE@ID, or SITE for
// the newest one. Errors about one that is not there wrap [ErrNoSnapshot].
type Snapshots interface {
	// List returns the snapshots of a site, or of all sites if it is "", newest first.
	List(ctx context.Context, site string) ([]Snapshot, error)
	// Diff compares two snapshots, and tells at most limit differences of rows, links and settings; 0 is all.
	Diff(ctx context.Context, a, b string, limit int) (SnapshotDiff, error)
	// Export writes a snapshot as an archive that "strapi import" reads. What it returns is whole, and must be closed.
	Export(ctx context.Context, reference string) (*Archive, error)
}

// ErrNoSnapshot marks a snapshot that is not there.
var ErrNoSnapshot = errors.New("no such snapshot")

// Snapshot is one complete and immutable version of a site.
type Snapshot struct {
	ID           string    `json:"id"`
	Site         string    `json:"site"`
	CreatedAt    time.Time `json:"createdAt"`
	Source       string    `json:"source,omitempty"` // where it came from, without secrets
	SourceKind   string    `json:"sourceKind,omitempty"`
	Version      string    `json:"version,omitempty"` // of Strapi; "" when unknown
	SchemasKnown bool      `json:"schemasKnown"`
	Parent       string    `json:"parent,omitempty"` // that parts were taken over from

	Counts     map[transfer.Stage]transfer.Count `json:"counts"`
	AddedBytes int64                             `json:"addedBytes"` // on disk, that no snapshot had before
}

// Reference names the snapshot.
func (s Snapshot) Reference() string { return s.Site + "@" + s.ID }

// Bytes is how much content the snapshot holds.
func (s Snapshot) Bytes() (n int64) {
	for _, count := range s.Counts {
		n += count.Bytes
	}
	return n
}

// SnapshotDiff is how one snapshot, B, differs from another, A.
type SnapshotDiff struct {
	A    Snapshot `json:"a"`
	B    Snapshot `json:"b"`
	Same bool     `json:"same"`

	Schemas []transfer.Difference `json:"schemas"`
	Records map[string][2]int64   `json:"records"` // rows by content type, where their numbers differ
	Added   []string              `json:"filesAdded"`
	Removed []string              `json:"filesRemoved"`
	Changed []string              `json:"filesChanged"`
	Content []string              `json:"content"` // rows, links and settings, in words; a last line says how many more there are
}

// Archive is an archive that was made to be downloaded. Closing it removes it.
type Archive struct {
	io.ReadSeekCloser

	Name string // for a file
	Size int64
}

// Doctor finds out why a remote of the configuration cannot be reached.
type Doctor interface {
	// Examine goes the way that a transfer goes. It changes nothing at the remote.
	Examine(ctx context.Context, remote string) (Examination, error)
}

// Examination is what a [Doctor] found.
type Examination struct {
	Address string      `json:"address"` // without secrets
	Checks  []Finding   `json:"checks"`  // in the order in which they were made
	Problem *Diagnosis  `json:"problem,omitempty"`
	Notes   []Diagnosis `json:"notes,omitempty"` // what works here but may not elsewhere
}

// Finding is one thing that was looked at.
type Finding struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Diagnosis is a problem with its one cause and its one fix.
type Diagnosis struct {
	Code   string `json:"code"`
	Cause  string `json:"cause"`
	Fix    string `json:"fix"`
	Detail string `json:"detail,omitempty"`
}
