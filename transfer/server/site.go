package server

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Site is a content set that a server serves. Its methods may be called concurrently; what they return is used by one session.
type Site interface {
	// Source opens the site for reading. What it yields does not change while it is open.
	Source(ctx context.Context) (transfer.Source, error)
	// Destination opens the site for writing by who, a name for people. A site that is only read returns [ErrReadOnly].
	Destination(ctx context.Context, who string) (transfer.Destination, error)
}

// MergeSite is a [Site] that can take a push without losing what only it has.
type MergeSite interface {
	// Merge opens the site for writing by who, as Destination does. conflict says which side wins where both have a row, in the words of
	// the command; "" is the site's default. One that it does not know is [transfer.ErrUsage].
	Merge(ctx context.Context, who, conflict string) (transfer.Destination, error)
}

var (
	// ErrReadOnly marks a push to a site that can only be pulled from.
	ErrReadOnly = errors.New("this site can only be pulled from")
	// ErrEmpty marks a pull from a site that has no content yet.
	ErrEmpty = errors.New("the site has no content yet")
	// ErrBusy marks a push to a site that another push is writing to.
	ErrBusy = errors.New("the site is being written to")
)

// place is a site as the server knows it: with its name and who is writing to it.
type place struct {
	Site
	name string

	mu     sync.Mutex // guards what follows
	holder string     // who writes, "" when nobody does
	since  time.Time
}

// busy returns an error that says who writes to the site, nil when nobody does.
func (p *place) busy() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holder == "" {
		return nil
	}
	return fmt.Errorf("%w by %s since %s; wait until that transfer has ended", ErrBusy, p.holder, p.since.UTC().Format(time.RFC3339))
}

// take makes who the one writer.
func (p *place) take(who string) (release func(), err error) {
	if err := p.busy(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.holder != "" {
		return nil, fmt.Errorf("%w by %s; wait until that transfer has ended", ErrBusy, p.holder)
	}
	p.holder, p.since = who, time.Now()
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.holder = ""
	}), nil
}
