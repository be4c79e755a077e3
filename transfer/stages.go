package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// How much one batch holds at most. The figures are those by which Strapi's own client cuts its messages (since 5.43), so that a batch
// becomes one message.
const (
	batchRecords = 100
	batchBytes   = 512 << 10
	batchAge     = 450 * time.Millisecond
)

// progressEvery is how many bytes of one asset pass between two events.
const progressEvery = 1 << 20

// stageRun is the state of one stage.
type stageRun struct {
	*run
	report StageReport
	batch  Batch
	bytes  int64     // of the batch
	opened time.Time // when the batch got its first record
	start  time.Time
	total  *Count
}

// moveStage moves one stage.
func (r *run) moveStage(ctx context.Context, stage Stage) (err error) {
	s := &stageRun{run: r, start: time.Now(), report: StageReport{Stage: stage, ByType: make(map[string]int64)}, batch: Batch{Stage: stage}}
	if t, ok := r.totals[stage]; ok {
		s.total = &t
	}
	s.event(EventStageStarted, "")
	defer func() {
		s.report.Elapsed = time.Since(s.start)
		s.report.Skipped, s.report.Excluded = r.skipped.stage(stage), r.excluded.stage(stage)
		r.report.Stages = append(r.report.Stages, s.report)
		if err == nil {
			s.event(EventStageFinished, "")
		}
	}()
	for item, err := range r.src.Read(ctx, stage, 0) {
		if err != nil {
			return &Error{Side: FromSource, Stage: stage, Op: "read", Err: err}
		}
		if err := s.take(ctx, item); err != nil {
			return err
		}
	}
	if err := s.flush(ctx, true); err != nil {
		return err
	}
	r.notes()
	return nil
}

// take filters one record and puts what is left into the batch.
func (s *stageRun) take(ctx context.Context, item Item) error {
	s.report.Read++
	if s.total == nil && s.report.Read == 1 {
		s.countTotal(ctx)
	}
	if s.opts.Throttle > 0 {
		if err := sleep(ctx, s.opts.Throttle); err != nil {
			return err
		}
	}
	record, err := s.admit(item.Record)
	if err != nil {
		return &Error{Side: FromSource, Stage: s.batch.Stage, Op: "read", Err: err}
	}
	s.batch.Cursor = item.Cursor
	if record == nil {
		return nil
	}
	if s.run.report.Digest != nil && s.batch.Stage != StageAssets {
		if err := s.run.report.Digest.Add(ctx, record); err != nil {
			return &Error{Side: FromSource, Stage: s.batch.Stage, Op: "read", Err: err}
		}
	}
	if a, ok := record.(Asset); ok {
		return s.sendAsset(ctx, a)
	}
	if err := s.limit(ctx, record.Size()); err != nil {
		return err
	}
	if len(s.batch.Records) > 0 && time.Since(s.opened) > batchAge {
		if err := s.flush(ctx, false); err != nil {
			return err
		}
	}
	if len(s.batch.Records) == 0 {
		s.opened = time.Now()
	}
	s.batch.Records = append(s.batch.Records, record)
	s.bytes += record.Size()
	if len(s.batch.Records) >= batchRecords || s.bytes >= batchBytes {
		return s.flush(ctx, false)
	}
	return nil
}

// countTotal asks the source for its total, now that it has begun to read: some know it only then.
func (s *stageRun) countTotal(ctx context.Context) {
	if c, ok := s.src.(Counter); ok {
		if t, err := c.Count(ctx, s.batch.Stage); err == nil {
			s.total = &t
		}
	}
}

// flush hands the batch over.
func (s *stageRun) flush(ctx context.Context, last bool) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if len(s.batch.Records) == 0 && !last {
		return nil
	}
	s.batch.Last = last
	if err := s.dst.Write(ctx, s.batch); err != nil {
		return &Error{Side: FromDestination, Stage: s.batch.Stage, Op: "write", Err: err}
	}
	for _, record := range s.batch.Records {
		s.sent(record.Group(), 1, record.Size())
	}
	s.batch.Records, s.bytes = s.batch.Records[:0], 0
	s.event(EventStageProgress, "")
	return nil
}

func (s *stageRun) sent(group string, records, bytes int64) {
	s.report.Sent += records
	s.report.Acknowledged += records
	s.report.Stored += records
	s.report.Bytes += bytes
	s.report.ByType[group] += records
}

// sendAsset hands over one asset, counting its bytes as they pass.
func (s *stageRun) sendAsset(ctx context.Context, a Asset) error {
	if err := a.Validate(); err != nil {
		return &Error{Side: FromSource, Stage: StageAssets, Op: "read", Err: err}
	}
	var m *meter
	var digest func() string
	content := a.Content
	a.Content = func(ctx context.Context) (io.ReadCloser, error) {
		if content == nil {
			return nil, fmt.Errorf("%w: asset %s has no content", ErrDamaged, a.Filename)
		}
		body, err := content(ctx)
		if err != nil {
			return nil, err
		}
		m = &meter{ReadCloser: body, ctx: func() context.Context { return ctx }, stage: s, name: a.Filename}
		if known, ok := body.(Digester); ok {
			digest = known.Digest
			return knownMeter{m, known}, nil
		}
		if s.run.report.Digest != nil {
			m.digest = newHash()
			digest = m.digest.hex
		}
		return m, nil
	}
	err := s.dst.Write(ctx, Batch{Stage: StageAssets, Records: []Record{a}, Cursor: s.batch.Cursor})
	if err == nil && m != nil && !m.ended && a.Length != 0 {
		err = fmt.Errorf("%w: asset %s was not read to its end", ErrDamaged, a.Filename)
	}
	if err != nil {
		return &Error{Side: FromDestination, Stage: StageAssets, Op: "write", Err: err}
	}
	if s.run.report.Digest != nil && digest != nil {
		s.run.report.Digest.addAsset(a.Filename, digest())
	}
	s.sent(a.Group(), 1, 0)
	s.event(EventStageProgress, a.Filename)
	return nil
}

// limit waits until n more bytes may pass.
func (s *stageRun) limit(ctx context.Context, n int64) error {
	if s.limiter == nil {
		return nil
	}
	for n > 0 {
		k := min(n, int64(s.limiter.Burst()))
		if err := s.limiter.WaitN(ctx, int(k)); err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		n -= k
	}
	return nil
}

func (s *stageRun) event(kind EventKind, item string) {
	s.opts.Observe(Event{
		Kind: kind, Time: time.Now(), Stage: s.report.Stage, Records: s.report.Sent, Bytes: s.report.Bytes,
		Total: s.total, Item: item, Elapsed: time.Since(s.start),
	})
}

// admit decides what becomes of a record: nil when it is not to be sent.
func (s *stageRun) admit(r Record) (Record, error) {
	switch r := r.(type) {
	case Entity:
		return s.admitEntity(r)
	case Link:
		return s.admitLink(r), nil
	case Asset:
		return s.admitAsset(r), nil
	case Schema, Setting:
	}
	return r, nil
}

func (r *run) admitEntity(e Entity) (Record, error) {
	switch {
	case Protected(e.Type):
		r.excluded.add(StageEntities, e.Type, "never transferred by Strapi", e.Key(), true)
		return nil, nil
	case !r.opts.Filter.HasType(e.Type):
		r.excluded.add(StageEntities, e.Type, "left out by the filters", e.Key(), true)
		if resolver, ok := r.dst.(LinkResolver); ok && resolver.ResolvesLinks(e.Type) {
			return nil, resolver.Recognise(e)
		}
		return nil, nil
	case r.targetModels != nil && !r.knows(e.Type):
		r.skipped.add(StageEntities, e.Type, "the destination has no such content type", e.Key(), true)
		return nil, nil
	}
	if !e.parsed && r.targetModels != nil {
		if err := checkJSON(e.Data); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, e.Key(), err)
		}
	}
	if r.targetModels != nil {
		fit, dropped, err := fitEntity(r.targetModels, e)
		if err != nil {
			return nil, err
		}
		for _, field := range dropped {
			if r.fields == nil {
				r.fields = make(map[string]int64)
			}
			r.fields[e.Type+"."+field]++
		}
		e = fit
	}
	if r.destination.Blank && !r.opts.Filter.partial() {
		return e, nil // nobody will ask which rows there were: see admitLink and admitAsset
	}
	r.rows.add(e.Type, e.ID)
	err := components(r.sourceModels, e.Type, e.Data, func(in instance) error {
		r.rows.add(in.uid, in.id)
		return nil
	})
	return e, err
}

func (r *run) knows(uid string) bool {
	_, ok := r.targetModels[uid]
	return ok
}

// LinkResolver is a [Destination] that can attach links to rows that are not part of the transfer.
type LinkResolver interface {
	// ResolvesLinks reports whether it can for a link's right side of the given type.
	ResolvesLinks(uid string) bool
	// Recognise is told of the rows that the filters leave out, so that the destination knows its own ones again when links lead
	// there. It may be called before Begin too, when it is of no use.
	Recognise(e Entity) error
}

func (r *run) admitLink(l Link) Record {
	left, right := l.Left, l.Right
	switch {
	case Protected(left.Type) || Protected(right.Type):
		r.excluded.add(StageLinks, left.Type, "never transferred by Strapi", l.Key(), true)
		return nil
	case r.opts.Filter.excludesEnd(left.Type):
		r.excluded.add(StageLinks, left.Type, "left out by the filters", l.Key(), true)
		return nil
	case r.targetModels != nil && (!r.knows(left.Type) || !r.knows(right.Type)):
		r.skipped.add(StageLinks, left.Type, "the destination has no such content type", l.Key(), true)
		return nil
	case r.opts.Filter.partial() && (!r.carries(left) || !isContentType(right.Type) && !r.carries(right)):
		// Of components only the rows tell to whom they belong.
		r.excluded.add(StageLinks, left.Type, "left out by the filters", l.Key(), true)
		return nil
	case r.opts.Filter.excludesEnd(right.Type):
		if resolver, ok := r.dst.(LinkResolver); ok && resolver.ResolvesLinks(right.Type) {
			return l
		}
		r.excluded.add(StageLinks, left.Type, "leads to a content type that the filters leave out", l.Key(), true)
		return nil
	case r.destination.Blank:
		return l // a copy keeps what the original has; who restores it decides
	case !r.carries(left) || !r.carries(right):
		r.skipped.add(StageLinks, left.Type, "leads to or from a row that the source does not have", l.Key(), r.opts.Orphans == OrphansSkip)
		return nil
	}
	return l
}

// carries reports whether the row on one side of a link was sent. Without schemas components cannot be found in their rows.
func (r *run) carries(e End) bool {
	return r.rows.has(e.Type, e.Ref) || r.sourceModels == nil || len(r.sourceModels) == 0
}

func (r *run) admitAsset(a Asset) Record {
	if r.destination.Blank || !r.plan.Has(StageEntities) {
		return a
	}
	var id Ref
	if err := eachMember(a.Metadata, func(name string, value jsontext.Value) error {
		if name == "id" && value.Kind() == '0' {
			id = Ref(value)
		}
		return nil
	}); err != nil || r.rows.has(typeUploadFile, id) {
		return a // bad metadata is reported where the asset is sent
	}
	if !r.opts.Filter.HasType(typeUploadFile) {
		r.excluded.add(StageAssets, a.Group(), "its row is left out by the filters", a.Key(), true)
		return nil
	}
	r.skipped.add(StageAssets, a.Group(), "no row of the media library belongs to it", a.Key(), r.opts.Orphans == OrphansSkip)
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
