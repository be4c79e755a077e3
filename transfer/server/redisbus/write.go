package redisbus

import (
	"context"
	"strconv"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Fields of an entry in the stream.
const (
	fieldNode    = "node"
	fieldNumber  = "number"
	fieldMessage = "message"
	fieldLost    = "lost" // instead of a message: something before this is missing
)

// idlePing is how often a connection that has nothing to do is tried.
const idlePing = 15 * time.Second

// write appends what waits, one after the other, until the connection fails.
func (b *Bus) write(ctx context.Context, conn redis.Conn) error {
	ticker := time.NewTicker(idlePing)
	defer ticker.Stop()
	for {
		if err := b.flush(ctx, conn); err != nil {
			return err
		}
		select {
		case <-b.wake:
		case <-ticker.C:
			if _, err := redis.DoContext(conn, ctx, "PING"); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *Bus) flush(ctx context.Context, conn redis.Conn) error {
	for {
		next, lost, ok := b.first()
		if !ok {
			return nil
		}
		field, value := fieldMessage, next.message
		if lost {
			field, value = fieldLost, []byte("1")
		}
		_, err := redis.DoContext(conn, ctx, "XADD", b.options.Stream, "MAXLEN", "~", b.options.Length, "*",
			fieldNode, b.node, fieldNumber, strconv.FormatUint(next.number, 10), field, value)
		if err != nil {
			return err
		}
		b.done(next.number, lost)
	}
}

// first returns what is to be appended next: a message, or the word that some are missing, which goes by the number before it.
func (b *Bus) first() (next entry, lost, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.line) == 0 {
		return entry{}, false, false
	}
	if b.lost {
		return entry{number: b.line[0].number - 1}, true, true
	}
	return b.line[0], false, true
}

// done takes what has been appended off the line, if it still is in it.
func (b *Bus) done(number uint64, lost bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case lost:
		b.lost = len(b.line) > 0 && b.line[0].number-1 > number // more was given up meanwhile
	case len(b.line) > 0 && b.line[0].number == number:
		b.line[0] = entry{}
		b.line = b.line[1:]
	}
}
