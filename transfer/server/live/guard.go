package live

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// end says why a connection is ended from this side.
type end string

const (
	endRevoked  end = "revoked"  // the token is not good any more
	endShutdown end = "shutdown" // the server is going
	endSlow     end = "slow"     // the client did not read
	endAge      end = "age"      // the stream is old
	endLost     end = "lost"     // the log of jobs began anew
	endDone     end = "done"     // all jobs of the stream have ended
)

func (e end) message() string {
	switch e {
	case endRevoked:
		return "the token is not good any more"
	case endShutdown:
		return "the server is shutting down: come back with the last event's id"
	case endSlow:
		return "events were not read in time: come back with the last event's id"
	case endAge:
		return "the stream has been open for long: come back with the last event's id"
	case endLost:
		return "the log of jobs has begun anew: come back"
	case endDone:
	}
	return "all has been told"
}

// guarded is a connection that ends when its token does.
type guarded interface {
	end(why end)
}

// guard checks the tokens of all connections, each token once.
type guard struct {
	log     *slog.Logger
	revoked func(id string) // tells other servers at once

	mu      sync.Mutex // guards what follows
	viewers map[string]*watched
}

type watched struct {
	viewer  Viewer
	members map[guarded]struct{}
}

func newGuard(log *slog.Logger, revoked func(id string)) *guard {
	return &guard{log: log, revoked: revoked, viewers: make(map[string]*watched)}
}

func (g *guard) add(v Viewer, member guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.viewers[v.ID()]
	if !ok {
		w = &watched{viewer: v, members: make(map[guarded]struct{})}
		g.viewers[v.ID()] = w
	}
	w.members[member] = struct{}{}
}

func (g *guard) remove(v Viewer, member guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.viewers[v.ID()]
	if !ok {
		return
	}
	delete(w.members, member)
	if len(w.members) == 0 {
		delete(g.viewers, v.ID())
	}
}

// run checks until ctx ends.
func (g *guard) run(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			g.check(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (g *guard) check(ctx context.Context) {
	g.mu.Lock()
	viewers := make([]Viewer, 0, len(g.viewers))
	for _, w := range g.viewers {
		viewers = append(viewers, w.viewer)
	}
	g.mu.Unlock()
	for _, v := range viewers {
		err := v.Check(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		members := g.members(v.ID())
		g.log.InfoContext(ctx, "subscribers disconnected: their token is not good any more",
			slog.String(keyViewer, v.Name()), slog.Int(keyCount, len(members)), slog.Any(keyError, err))
		for _, m := range members {
			m.end(endRevoked)
		}
		g.revoked(v.ID())
	}
}

func (g *guard) members(id string) []guarded {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.viewers[id]
	if !ok {
		return nil
	}
	members := make([]guarded, 0, len(w.members))
	for m := range w.members {
		members = append(members, m)
	}
	return members
}

// closeAll ends every connection.
func (g *guard) closeAll(why end) {
	g.mu.Lock()
	ids := make([]string, 0, len(g.viewers))
	for id := range g.viewers {
		ids = append(ids, id)
	}
	g.mu.Unlock()
	for _, id := range ids {
		for _, m := range g.members(id) {
			m.end(why)
		}
	}
}
