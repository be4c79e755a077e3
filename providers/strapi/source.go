package strapi

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/transfer-runner/runner/providers/strapi/catalogue"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/read"
	"github.com/transfer-runner/runner/transfer"
)

// Source reads a site. Everything that it reads after the schemas is of one moment: from the first stage on it keeps one view of
// the database. It implements [transfer.Source], [transfer.Counter], [transfer.Skipper] and [transfer.Noter].
type Source struct {
	site   *Site
	closed bool

	described *catalogue.Catalogue
	snap      *database.Snapshot // nil until the first stage is read
	reader    *read.Reader

	mu      sync.Mutex
	skipped map[transfer.Stage]*skips // of the last read of each stage
	notes   []transfer.Note
	told    int64 // repaired texts that a note was made of
}

var (
	_ transfer.Source  = (*Source)(nil)
	_ transfer.Counter = (*Source)(nil)
	_ transfer.Skipper = (*Source)(nil)
	_ transfer.Noter   = (*Source)(nil)
)

// Source opens the site for reading.
func (s *Site) Source(ctx context.Context) (*Source, error) {
	src := &Source{site: s, skipped: make(map[transfer.Stage]*skips)}
	if _, err := src.Describe(ctx); err != nil {
		return nil, err
	}
	return src, nil
}

// Describe implements [transfer.Source]. Until the first stage is read it keeps no view of the database, so that a user may take as
// long as they like to think it over without being in anybody's way.
func (s *Source) Describe(ctx context.Context) (transfer.Description, error) {
	if s.closed {
		return transfer.Description{}, errSourceClosed()
	}
	if s.described == nil {
		snap, err := s.site.db.Snapshot(ctx)
		if err != nil {
			return transfer.Description{}, fmt.Errorf("describe %s: %w", s.site.opts.Name, err)
		}
		c, err := s.site.catalogue(ctx, snap)
		if err := errors.Join(err, snap.Close()); err != nil {
			return transfer.Description{}, err
		}
		s.described = c
	}
	o := s.site.opts
	return transfer.Description{Kind: o.Kind, Name: o.Name, Version: o.Version, CreatedAt: o.Now().UTC(), Schemas: s.described.Schemas}, nil
}

func errSourceClosed() error { return fmt.Errorf("%w: the source is closed", transfer.ErrUsage) }

// open takes the view of the database that all stages are read from.
func (s *Source) open(ctx context.Context) error {
	if _, err := s.Describe(ctx); err != nil || s.snap != nil {
		return err
	}
	snap, err := s.site.db.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.site.opts.Name, err)
	}
	now, err := s.site.catalogue(ctx, snap)
	if err == nil && !now.Same(s.described) {
		err = fmt.Errorf("%w: the schemas of %s have changed since they were looked at: start again", transfer.ErrIncompatible, s.site.opts.Name)
	}
	if err != nil {
		return errors.Join(err, snap.Close())
	}
	s.snap, s.reader = snap, read.New(s.site.db, snap, now)
	return nil
}

// Read implements [transfer.Source]. While the caller is busy with one portion of records the next is read.
func (s *Source) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		if err := s.open(ctx); err != nil {
			yield(transfer.Item{}, err)
			return
		}
		s.forget(stage)
		cursor := after
		early := newPrefetch(ctx, s.site.opts.Uploads)
		defer early.close()
		err := ahead(ctx, func(visit read.Visit) error { return s.produce(ctx, stage, after, early, visit) }, func(records []transfer.Record) error {
			for _, record := range records {
				if err := context.Cause(ctx); err != nil {
					return err
				}
				cursor++
				if !yield(transfer.Item{Record: record, Cursor: cursor}, nil) {
					return errBroken
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errBroken) {
			yield(transfer.Item{}, err)
		}
	}
}

var errBroken = errors.New("nobody wants more")

// produce hands over the records of a stage that come after a cursor.
func (s *Source) produce(ctx context.Context, stage transfer.Stage, after transfer.Cursor, early *prefetch, visit read.Visit) error {
	if stage == transfer.StageEntities {
		return s.reader.Entities(ctx, int64(after), visit)
	}
	left := int(after)
	rest := func(records []transfer.Record) error {
		n := min(left, len(records))
		left -= n
		if n == len(records) {
			return nil
		}
		return visit(records[n:])
	}
	switch stage {
	case transfer.StageSchemas:
		return rest(s.schemas())
	case transfer.StageAssets:
		return s.assets(ctx, early, rest)
	case transfer.StageLinks:
		return s.reader.Links(ctx, func(o read.Orphan) {
			s.skip(transfer.StageLinks, o.Left, reasonDangling, o.String())
		}, rest)
	case transfer.StageConfiguration:
		return s.settings(ctx, rest)
	case transfer.StageEntities:
	}
	return nil
}

// schemas are in the order in which Strapi has them.
func (s *Source) schemas() []transfer.Record {
	var records []transfer.Record
	for _, t := range s.described.Model.Types {
		records = append(records, s.described.Schemas[t.UID])
	}
	return records
}

// Count implements [transfer.Counter]. Links to rows that are gone, and files that are, are counted as if they were there.
func (s *Source) Count(ctx context.Context, stage transfer.Stage) (transfer.Count, error) {
	if err := s.open(ctx); err != nil {
		return transfer.Count{}, err
	}
	var c transfer.Count
	var err error
	switch stage {
	case transfer.StageSchemas:
		c.Records = int64(len(s.described.Schemas))
	case transfer.StageEntities:
		c.ByType, err = s.reader.CountEntities(ctx)
		for _, n := range c.ByType {
			c.Records += n
		}
	case transfer.StageLinks:
		c.Records, err = s.reader.CountLinks(ctx)
	case transfer.StageConfiguration:
		c.Records, err = s.reader.CountSettings(ctx, markerKey)
	case transfer.StageAssets:
		c, err = s.countAssets(ctx)
	}
	return c, err
}

// Skipped implements [transfer.Skipper].
func (s *Source) Skipped() []transfer.Skip {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []transfer.Skip
	for _, stage := range transfer.Stages() {
		if skips := s.skipped[stage]; skips != nil {
			out = append(out, skips.all()...)
		}
	}
	return out
}

func (s *Source) forget(stage transfer.Stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped[stage] = &skips{}
}

func (s *Source) skip(stage transfer.Stage, group, reason, key string) {
	s.mu.Lock()
	skips := s.skipped[stage]
	s.mu.Unlock()
	skips.add(stage, group, reason, key, false)
}

// Notes implements [transfer.Noter].
func (s *Source) Notes() []transfer.Note {
	notes := s.site.notes()
	s.mu.Lock()
	defer s.mu.Unlock()
	notes = append(notes, s.notes...)
	s.notes = nil
	if s.reader != nil {
		if n := s.reader.Repaired(); n > s.told {
			notes = append(notes, transfer.Note{Level: transfer.NoteWarning, Message: fmt.Sprintf("%d values were not UTF-8: what could not be read was replaced, as Strapi does", n-s.told)})
			s.told = n
		}
	}
	return slices.Clip(notes)
}

func (s *Source) note(level transfer.NoteLevel, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, transfer.Note{Level: level, Message: fmt.Sprintf(format, args...)})
}

// Close implements [transfer.Source].
func (s *Source) Close() error {
	s.closed = true
	if s.snap == nil {
		return nil
	}
	err := s.snap.Close()
	s.snap, s.reader = nil, nil
	return err
}
