package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Feed tells what happens to jobs, to any number of subscribers. Whoever publishes never waits for one that listens.
type Feed struct {
	store Store

	advance sync.Mutex // held by the one that reads the log

	mu     sync.Mutex  // guards what follows
	end    Position    // of the last durable event that was published
	known  map[ID]*Job // that have not ended
	past   map[ID]*Job // some that have
	byJob  map[ID]map[*Subscription]struct{}
	every  map[*Subscription]struct{}
	closed bool

	count, sent, merged, dropped atomic.Int64
}

// FeedStats are figures of a feed.
type FeedStats struct {
	Subscribers int64 `json:"subscribers"`
	Sent        int64 `json:"sent"`    // events put in line for a subscriber
	Merged      int64 `json:"merged"`  // of progress, that took the place of an older one
	Dropped     int64 `json:"dropped"` // subscribers that were too slow
}

// Subscribe says what a subscriber wants to hear.
type Subscribe struct {
	Jobs    []ID     // nil is every job
	Visible *Visible // nil is everything
	After   Position // hear first what came after; the zero Position begins with what is
	// Wake, unless nil, is called when there is something to take, from whoever publishes: it must not block, nor call the feed. It
	// spares a goroutine that waits in Next.
	Wake func()
	// MaxWaiting is how many durable events may wait for the subscriber before it is dropped. 0 is [DefaultWaiting].
	MaxWaiting int
}

// DefaultWaiting is how many durable events may wait for a subscriber.
const DefaultWaiting = 256

// maxReplay is how many events are read of the log for one subscriber. Who missed more gets a snapshot.
const maxReplay = 10_000

func newFeed(store Store) *Feed {
	return &Feed{
		store: store, known: make(map[ID]*Job), past: make(map[ID]*Job), byJob: make(map[ID]map[*Subscription]struct{}),
		every: make(map[*Subscription]struct{}),
	}
}

// start learns where the log ends and which jobs have not.
func (f *Feed) start(ctx context.Context) error {
	_, end, _, err := f.store.Events(ctx, Position{}, 0)
	if err != nil {
		return fmt.Errorf("read the log of jobs: %w", err)
	}
	f.mu.Lock()
	if f.end == (Position{}) {
		f.end = end
	}
	f.mu.Unlock()
	for offset := 0; ; offset += MaxPage {
		list, _, err := f.store.List(ctx, Query{States: []State{StatePending, StateProcessing}, Limit: MaxPage, Offset: offset})
		if err != nil {
			return fmt.Errorf("list jobs: %w", err)
		}
		f.mu.Lock()
		for _, j := range list {
			f.learn(&j)
		}
		f.mu.Unlock()
		if len(list) < MaxPage {
			return nil
		}
	}
}

// maxPast is how many jobs that have ended are known without asking the store.
const maxPast = 1000

// learn keeps the newest picture of a job. f.mu must be held.
func (f *Feed) learn(j *Job) {
	switch old := f.known[j.ID]; {
	case old != nil && old.Revision > j.Revision:
	case j.State.Ended():
		delete(f.known, j.ID)
		if len(f.past) >= maxPast {
			clear(f.past)
		}
		f.past[j.ID] = j
	default:
		f.known[j.ID] = j
	}
}

// Job returns the newest picture of a job, if this server knows it without asking the store.
func (f *Feed) Job(id ID) (Job, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.known[id]
	if j == nil {
		j = f.past[id]
	}
	if j == nil {
		return Job{}, false
	}
	return *j, true
}

// waiting reports whether a job waits, as far as this server knows.
func (f *Feed) waiting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.known {
		if j.State == StatePending {
			return true
		}
	}
	return false
}

// Position is how far the feed has told the log.
func (f *Feed) Position() Position {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end
}

// Stats returns figures.
func (f *Feed) Stats() FeedStats {
	return FeedStats{Subscribers: f.count.Load(), Sent: f.sent.Load(), Merged: f.merged.Load(), Dropped: f.dropped.Load()}
}

// watched reports whether anybody listens to a job.
func (f *Feed) watched(id ID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.every) > 0 || len(f.byJob[id]) > 0
}

// publish tells events that have been saved. Those of other servers that are missing in between are read first, so that everybody
// hears the log in its order.
func (f *Feed) publish(ctx context.Context, events ...Event) error {
	for i := range events {
		e := &events[i]
		if e.Durable && f.Position().Seq+1 < e.Seq {
			return f.catchUp(ctx)
		}
		f.tell(e)
	}
	return nil
}

// catchUp tells what the log holds beyond what was told.
func (f *Feed) catchUp(ctx context.Context) error {
	f.advance.Lock()
	defer f.advance.Unlock()
	for {
		after := f.Position()
		events, _, ok, err := f.store.Events(ctx, after, MaxPage)
		if err != nil {
			return fmt.Errorf("read the log of jobs: %w", err)
		}
		if !ok {
			return f.restart(ctx)
		}
		for i := range events {
			f.tell(&events[i])
		}
		if len(events) < MaxPage {
			return nil
		}
	}
}

// follow tells progress of another server. It may be faster than the log: what the job had in that before comes first.
func (f *Feed) follow(ctx context.Context, e *Event) error {
	if e.Job != nil && e.Job.Seq > f.Position().Seq {
		if err := f.catchUp(ctx); err != nil {
			return err
		}
	}
	f.tell(e)
	return nil
}

// restart begins anew after the log was lost, or this server was away for so long that it has been cut. Subscribers have to as well.
func (f *Feed) restart(ctx context.Context) error {
	f.mu.Lock()
	for s := range f.subscriptions() {
		s.end(ErrClosed)
	}
	clear(f.known)
	clear(f.past)
	f.end = Position{}
	f.mu.Unlock()
	return f.start(ctx)
}

// tell hands one event to everybody that wants it.
func (f *Feed) tell(e *Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	if e.Durable {
		if e.Epoch == f.end.Epoch && e.Seq <= f.end.Seq {
			return
		}
		f.end = e.Position()
	} else {
		e.Epoch, e.Seq = f.end.Epoch, f.end.Seq
		if old := f.known[e.JobID]; old == nil || e.Job == nil || old.Revision > e.Job.Revision {
			return // of a job that has ended, or older than what was told
		}
	}
	if e.Job != nil {
		f.learn(e.Job)
	}
	for s := range f.byJob[e.JobID] {
		s.put(e)
	}
	for s := range f.every {
		s.put(e)
	}
}

// Subscribe begins to listen. What happens from now on is not lost, and what After asks for comes first; [Subscription.Recovered] tells
// whether all of it could be had. The subscription must be closed.
func (f *Feed) Subscribe(ctx context.Context, want Subscribe) (*Subscription, error) {
	s := &Subscription{feed: f, jobs: slices.Clone(want.Jobs), visible: want.Visible, wake: want.Wake, max: want.MaxWaiting}
	if s.max <= 0 {
		s.max = DefaultWaiting
	}
	if s.wake == nil {
		s.ready = make(chan struct{}, 1)
	}
	if err := f.begin(ctx, s, want.After); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// begin counts a subscription in and puts before what comes from now on what it missed, or a snapshot. Neither may be ahead of what is
// told here: an entry of the log that another server made, and this one has yet to read, would come to the subscriber a second time.
func (f *Feed) begin(ctx context.Context, s *Subscription, after Position) error {
	if end := f.Position(); after.Epoch == end.Epoch && after.Seq > end.Seq {
		if err := f.catchUp(ctx); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		snapshot, end, err := f.add(s)
		if err != nil {
			return err
		}
		ahead, err := f.read(ctx, s.jobs, snapshot, end)
		switch {
		case err != nil:
			return err
		case ahead && try < maxTries: // once is enough, but for a job that is forgotten here at this very moment
			f.remove(s)
			s.forget()
			if err := f.catchUp(ctx); err != nil {
				return err
			}
			continue
		}
		missed, recovered, err := f.missed(ctx, after, end)
		if err != nil {
			return err
		}
		s.Recovered = recovered
		s.begin(snapshot, end, missed)
		return nil
	}
}

// maxTries bounds how often a subscription begins anew. A store whose jobs and log do not belong together must not hold it up.
const maxTries = 3

// read adds to a snapshot the jobs that are not known here, most of them long over, and reports whether one is ahead of end.
func (f *Feed) read(ctx context.Context, ids []ID, snapshot map[ID]*Job, end Position) (ahead bool, err error) {
	for _, id := range ids {
		if snapshot[id] != nil {
			continue
		}
		j, err := f.store.Get(ctx, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("read job %s: %w", id, err)
		}
		ahead = ahead || j.Seq > end.Seq
		j = j.Public()
		snapshot[id] = &j
	}
	return ahead, nil
}

// add counts a subscription in, and returns what is at this moment.
func (f *Feed) add(s *Subscription) (snapshot map[ID]*Job, end Position, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, f.end, ErrClosed
	}
	f.count.Add(1)
	if s.jobs == nil {
		f.every[s] = struct{}{}
		return maps.Clone(f.known), f.end, nil
	}
	snapshot = make(map[ID]*Job, len(s.jobs))
	for _, id := range s.jobs {
		if f.byJob[id] == nil {
			f.byJob[id] = make(map[*Subscription]struct{})
		}
		f.byJob[id][s] = struct{}{}
		if j := f.known[id]; j != nil {
			snapshot[id] = j
		}
	}
	return snapshot, f.end, nil
}

// missed reads the log from after to end.
func (f *Feed) missed(ctx context.Context, after, end Position) (events []*Event, recovered bool, err error) {
	if after == (Position{}) || after.Epoch != end.Epoch || after.Seq > end.Seq || end.Seq-after.Seq > maxReplay {
		return nil, false, nil
	}
	for after.Seq < end.Seq {
		page, _, ok, err := f.store.Events(ctx, after, MaxPage)
		if err != nil {
			return nil, false, fmt.Errorf("read the log of jobs: %w", err)
		}
		if !ok || len(page) == 0 {
			return nil, false, nil
		}
		for i := range page {
			if page[i].Seq <= end.Seq {
				events = append(events, &page[i])
			}
		}
		after.Seq = page[len(page)-1].Seq
	}
	return events, true, nil
}

// remove counts a subscription out.
func (f *Feed) remove(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.jobs == nil {
		if _, in := f.every[s]; in {
			delete(f.every, s)
			f.count.Add(-1)
		}
		return
	}
	in := false
	for _, id := range s.jobs {
		if _, ok := f.byJob[id][s]; ok {
			in = true
			delete(f.byJob[id], s)
		}
		if len(f.byJob[id]) == 0 {
			delete(f.byJob, id)
		}
	}
	if in {
		f.count.Add(-1)
	}
}

// close ends all subscriptions.
func (f *Feed) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for s := range f.subscriptions() {
		s.end(ErrClosed)
	}
}

// subscriptions are all there are. f.mu must be held.
func (f *Feed) subscriptions() map[*Subscription]struct{} {
	all := maps.Clone(f.every)
	for _, set := range f.byJob {
		maps.Copy(all, set)
	}
	return all
}
