package remote

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

var (
	_ transfer.Source  = (*Source)(nil)
	_ transfer.Counter = (*Source)(nil)
	_ transfer.Noter   = (*Source)(nil)
	_ transfer.Skipper = (*Source)(nil)
)

// Source pulls from a runner. It connects when it is first asked for something, and again when the connection was lost between two
// reads: a server keeps nothing of a pull.
type Source struct {
	base  string
	opts  Options
	diary *diary

	sess   *session
	desc   *transfer.Description
	totals map[transfer.Stage]transfer.Count
}

// NewSource returns a source for the runner whose admin API is at base, such as https://host/admin.
func NewSource(base string, opts Options) *Source {
	opts = opts.withDefaults()
	return &Source{base: base, opts: opts, diary: &diary{log: opts.Logger}, totals: make(map[transfer.Stage]transfer.Count)}
}

// Name is the runner's address without user name, password and query.
func (s *Source) Name() string { return protocol.RedactURL(s.base) }

// Describe implements [transfer.Source]. The server is asked once.
func (s *Source) Describe(ctx context.Context) (transfer.Description, error) {
	if s.desc != nil {
		return *s.desc, nil
	}
	sess, err := s.session(ctx)
	if err != nil {
		return transfer.Description{Kind: kind, Name: s.Name()}, err
	}
	d, err := sess.describe(ctx)
	if err != nil {
		return d, err
	}
	s.desc = &d
	return d, nil
}

// session returns the open session, or opens one.
func (s *Source) session(ctx context.Context) (*session, error) {
	if s.sess != nil && s.sess.lost() == nil {
		return s.sess, nil
	}
	s.abandon(ctx)
	init := protocol.InitParams{}
	if s.opts.Checksums == ChecksumsOn {
		init = protocol.InitParams{Transfer: protocol.Pull, Checksums: true}
	}
	if offer := s.opts.Offer; offer != (protocol.Extensions{}) {
		offer.Schemas = false // a pull gets them with the description
		init.Transfer, init.Extensions = protocol.Pull, offer
	}
	sess, err := open(ctx, s.base, protocol.Pull, init, s.opts, s.diary)
	if err != nil {
		return nil, err
	}
	s.sess = sess
	return sess, nil
}

// abandon drops the session. The next read opens another one.
func (s *Source) abandon(ctx context.Context) {
	if s.sess != nil {
		s.sess.drop(ctx)
		s.sess = nil
	}
}

// Read implements [transfer.Source]. Breaking out of it costs the server's stage a clean end, and the connection if the server
// does not give it.
func (s *Source) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		var err error
		s.diary.reading(stage)
		switch stage {
		case transfer.StageSchemas:
			err = s.readSchemas(ctx, after, yield)
		case transfer.StageAssets:
			err = s.readAssets(ctx, after, yield)
		case transfer.StageEntities, transfer.StageLinks, transfer.StageConfiguration:
			err = s.readRecords(ctx, stage, after, yield)
		}
		if err != nil {
			yield(transfer.Item{}, err)
		}
	}
}

// readSchemas yields what the server answered when it was asked for a description.
func (s *Source) readSchemas(ctx context.Context, after transfer.Cursor, yield func(transfer.Item, error) bool) error {
	d, err := s.Describe(ctx)
	if err != nil {
		return err
	}
	for i, uid := range slices.Sorted(maps.Keys(d.Schemas)) {
		cursor := transfer.Cursor(i + 1)
		if cursor > after && !yield(transfer.Item{Record: d.Schemas[uid], Cursor: cursor}, nil) {
			return nil
		}
	}
	return nil
}

// Count implements [transfer.Counter]. A server tells the totals of its files with the first of them, and of nothing else.
func (s *Source) Count(_ context.Context, stage transfer.Stage) (transfer.Count, error) {
	if stage == transfer.StageSchemas && s.desc != nil {
		return transfer.Count{Records: int64(len(s.desc.Schemas))}, nil
	}
	count, ok := s.totals[stage]
	if !ok {
		return count, errNoTotals
	}
	return count, nil
}

// Skipped implements [transfer.Skipper]: what the server said that it lacks.
func (s *Source) Skipped() []transfer.Skip { return s.diary.leftOut() }

// Notes implements [transfer.Noter].
func (s *Source) Notes() []transfer.Note { return s.diary.take() }

// Close implements [transfer.Source]. It ends the transfer at the server, as far as that answers in time.
func (s *Source) Close() error {
	if s.sess == nil {
		return nil
	}
	sess := s.sess
	s.sess = nil
	if err := sess.conclude(); err != nil {
		s.diary.note(transfer.NoteInfo, "the server did not take leave: "+err.Error())
	}
	return nil
}
