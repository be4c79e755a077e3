package main

import (
	"context"
	"errors"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// census is the number of rows at a destination by content type.
type census struct {
	byType  map[string]int64
	known   bool
	partial bool // time was up
}

func (c census) sum(counts func(uid string) bool) (n int64) {
	for uid, rows := range c.byType {
		if counts(uid) {
			n += rows
		}
	}
	return n
}

const (
	// censusTime is how long the rows of a destination are counted. Whoever waits for the plan waits for this, and a Strapi server
	// does little else meanwhile.
	censusTime = 3 * time.Second
	// censusGrace is how long the server may take to hand over what it is at.
	censusGrace = 2 * time.Second
)

// errCensusTime ends a census for which the time is up.
var errCensusTime = errors.New("time is up")

// census counts the rows of the destination by reading them, if its token allows that and it does not take long. A failure means
// only that the numbers are not known.
func (m *move) census(ctx context.Context) (c census) {
	ctx, cancel := context.WithTimeoutCause(ctx, censusTime+censusGrace, errCensusTime)
	defer cancel()
	m.progress.observe("", transfer.Event{Kind: transfer.EventPhase, Time: m.app.now(), Item: "counting the destination"})
	src, err := m.open.OpenSource(ctx, m.to.Endpoint, m.to.access)
	if err != nil {
		return census{}
	}
	defer func() {
		if err := src.Close(); err != nil {
			m.app.log.DebugContext(ctx, "close the census", keyError, err)
		}
	}()
	deadline := m.app.now().Add(censusTime)
	c.byType = make(map[string]int64)
	for item, err := range src.Read(ctx, transfer.StageEntities, 0) {
		if err != nil {
			m.app.log.DebugContext(ctx, "count the destination", keyError, err)
			c.partial = errors.Is(context.Cause(ctx), errCensusTime) && len(c.byType) > 0
			c.known = c.partial
			return c
		}
		c.byType[item.Record.Group()]++
		// Breaking out of the read, unlike an end of ctx, lets the source take its leave politely.
		if m.app.now().After(deadline) {
			c.partial = true
			break
		}
	}
	c.known = true
	return c
}

// Keys of the log.
const keyError = "error"
