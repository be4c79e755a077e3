package server

import (
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Bounds of polling: so many requests of one token for one job in such a time.
const (
	maxPolls   = 30
	pollWindow = time.Minute
	// maxPollers is how many pairs of token and job are counted at a time.
	maxPollers = 20_000
)

// polls counts how often each token asks for each job.
type polls struct {
	mu    sync.Mutex // guards known
	known map[string]*pollCount
}

type pollCount struct {
	since time.Time
	n     int
}

var errPolls = errors.New("too many requests for this job: 30 a minute; follow its stream instead")

// allow counts a request.
func (p *polls) allow(key string, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.known[key]
	if c == nil || now.Sub(c.since) >= pollWindow {
		if c == nil && len(p.known) >= maxPollers {
			p.sweep(now)
		}
		c = &pollCount{since: now}
		p.known[key] = c
	}
	if c.n++; c.n <= maxPolls {
		return nil
	}
	wait := int((pollWindow - now.Sub(c.since) + time.Second - 1) / time.Second)
	return problem{
		error: errPolls, status: http.StatusTooManyRequests, name: "RateLimitError",
		header: http.Header{"Retry-After": {strconv.Itoa(max(1, wait))}},
	}
}

// sweep forgets what is over; if that is not enough, everything. p.mu must be held.
func (p *polls) sweep(now time.Time) {
	for key, c := range p.known {
		if now.Sub(c.since) >= pollWindow {
			delete(p.known, key)
		}
	}
	if len(p.known) >= maxPollers {
		clear(p.known)
	}
}
