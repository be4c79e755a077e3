package jobs

import (
	"context"
	"slices"
	"sync"
)

// Subscription is one subscriber of a [Feed].
type Subscription struct {
	// Recovered reports whether everything after Subscribe.After comes, once and in order. Without it Snapshot is where to start.
	Recovered bool
	// Snapshot are the jobs as they were at Position: those that were asked for, or all that have not ended.
	Snapshot []Job
	// Position is how far the log had been told when the subscription began.
	Position Position

	feed    *Feed
	jobs    []ID
	visible *Visible
	wake    func()
	ready   chan struct{}
	max     int

	mu      sync.Mutex // guards what follows
	begun   bool       // what was missed is in line
	line    []*Event
	durable int // of line
	err     error
}

// begin sets the snapshot and puts what was missed before what has come meanwhile.
func (s *Subscription) begin(snapshot map[ID]*Job, end Position, missed []*Event) {
	s.Position = end
	for _, j := range snapshot {
		if s.visible.Sees(j) {
			s.Snapshot = append(s.Snapshot, *j)
		}
	}
	slices.SortFunc(s.Snapshot, func(a, b Job) int { return compareIDs(a.ID, b.ID) })
	s.mu.Lock()
	defer s.mu.Unlock()
	var first []*Event
	for _, e := range missed {
		if s.wants(e) {
			first = append(first, e)
		}
	}
	s.line, s.begun = append(first, s.line...), true
	s.max += len(first)
	s.durable += len(first)
	if len(s.line) > 0 || s.err != nil {
		s.signal()
	}
}

// forget drops what has come before the subscription began.
func (s *Subscription) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.line, s.durable = nil, 0
}

func compareIDs(a, b ID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func (s *Subscription) wants(e *Event) bool {
	return (s.jobs == nil || slices.Contains(s.jobs, e.JobID)) && (e.Job == nil || s.visible.Sees(e.Job))
}

// put puts an event in line. Progress takes the place of older progress of the same job.
func (s *Subscription) put(e *Event) {
	if e.Job != nil && !s.visible.Sees(e.Job) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.feed.sent.Add(1)
	if !e.Durable {
		for i := len(s.line) - 1; i >= 0; i-- {
			if s.line[i].JobID != e.JobID {
				continue
			}
			if s.line[i].Durable {
				break
			}
			if s.line[i].Type == e.Type {
				s.line[i] = e
				s.feed.merged.Add(1)
				return
			}
		}
	} else if s.durable++; s.durable > s.max {
		s.feed.dropped.Add(1)
		s.drop(ErrSlow)
		return
	}
	s.line = append(s.line, e)
	s.signal()
}

// end ends the subscription with an error, after what is in line.
func (s *Subscription) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		s.signal()
	}
}

// drop forgets what is in line. s.mu must be held.
func (s *Subscription) drop(err error) {
	s.err, s.line = err, nil
	s.signal()
}

// signal tells whoever waits. s.mu must be held.
func (s *Subscription) signal() {
	switch {
	case !s.begun:
	case s.wake != nil:
		s.wake()
	default:
		select {
		case s.ready <- struct{}{}:
		default:
		}
	}
}

// Take returns what is in line, without waiting; nothing is no error. After the last event of a subscription that has ended it returns
// why: [ErrSlow] or [ErrClosed].
func (s *Subscription) Take() ([]*Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.line) == 0 {
		return nil, s.err
	}
	line := s.line
	s.line, s.durable = nil, 0
	return line, nil
}

// Ready is signalled when there is something to take. It is nil with Subscribe.Wake.
func (s *Subscription) Ready() <-chan struct{} { return s.ready }

// Wait waits until there is something to take and takes it. It must not be used with Subscribe.Wake.
func (s *Subscription) Wait(ctx context.Context) ([]*Event, error) {
	for {
		events, err := s.Take()
		if len(events) > 0 || err != nil {
			return events, err
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// Close ends the subscription. It may be called twice.
func (s *Subscription) Close() {
	s.feed.remove(s)
	s.end(ErrClosed)
}
