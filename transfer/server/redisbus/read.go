package redisbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gomodule/redigo/redis"
)

// reader reads what other servers have appended. It lives as long as Subscribe and knows how far it has come.
type reader struct {
	bus     *Bus
	deliver func([]byte)
	missed  func()
	last    position          // up to which everything was read
	begun   bool              // last is known
	seen    map[string]uint64 // number of the last message of each server
}

// maxSeen is how many servers are remembered; more than ever are up at a time.
const maxSeen = 10_000

// read reads until the connection fails.
func (r *reader) read(ctx context.Context, conn redis.Conn) error {
	if err := r.find(ctx, conn); err != nil {
		return err
	}
	for {
		reply, err := redis.Values(redis.DoContext(conn, ctx, "XREAD", "COUNT", readCount, "BLOCK", blockFor.Milliseconds(),
			"STREAMS", r.bus.options.Stream, r.last.String()))
		if errors.Is(err, redis.ErrNil) { // nothing new
			continue
		}
		if err != nil {
			return err
		}
		if err := r.take(reply); err != nil {
			return err
		}
	}
}

// find finds the place to read from: the end of the stream at first, later where the reader was. It tells if the stream does not go back
// that far, or is another one.
func (r *reader) find(ctx context.Context, conn redis.Conn) error {
	info, err := redis.Values(redis.DoContext(conn, ctx, "XINFO", "STREAM", r.bus.options.Stream))
	var unknown redis.Error
	if err != nil && (!errors.As(err, &unknown) || !strings.Contains(string(unknown), "no such key")) {
		return err
	}
	s, err := describe(info)
	if err != nil {
		return err
	}
	switch {
	case !r.begun:
		r.last, r.begun = s.end, true
	case s.end.before(r.last): // Redis came back without it
		r.last = position{}
		r.missed()
	case s.lacks(r.last):
		r.missed()
	}
	return nil
}

// state is what XINFO STREAM tells of a stream.
type state struct {
	first, end    position
	length, added int64
}

// lacks reports whether entries after last may have been cut off, or lost with a Redis that came back empty and has got new ones since: the one
// at last, which was read, is not there any more.
func (s state) lacks(last position) bool {
	return last.before(s.end) && last.before(s.first) && (s.added > s.length || last != position{})
}

// describe reads the answer of XINFO STREAM.
func describe(info []any) (s state, err error) {
	for i := 0; i+1 < len(info); i += 2 {
		name, err := redis.String(info[i], nil)
		if err != nil {
			return s, err
		}
		switch name {
		case "last-generated-id":
			s.end, err = readPosition(info[i+1])
		case "first-entry":
			if entry, ok := info[i+1].([]any); ok && len(entry) > 0 {
				s.first, err = readPosition(entry[0])
			}
		case "length":
			s.length, err = redis.Int64(info[i+1], nil)
		case "entries-added":
			s.added, err = redis.Int64(info[i+1], nil)
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	return s, nil
}

func readPosition(value any) (position, error) {
	text, err := redis.String(value, nil)
	if err != nil {
		return position{}, err
	}
	return parsePosition(text)
}

// take delivers what one XREAD has brought: a list of streams, of which there is one, each with its entries.
func (r *reader) take(reply []any) error {
	for _, stream := range reply {
		parts, err := redis.Values(stream, nil)
		if err != nil || len(parts) != 2 {
			return fmt.Errorf("not a stream: %w", err)
		}
		entries, err := redis.Values(parts[1], nil)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := r.entry(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) entry(e any) error {
	parts, err := redis.Values(e, nil)
	if err != nil || len(parts) != 2 {
		return fmt.Errorf("not an entry: %w", err)
	}
	id, err := redis.String(parts[0], nil)
	if err != nil {
		return err
	}
	at, err := parsePosition(id)
	if err != nil {
		return err
	}
	fields, err := redis.StringMap(parts[1], nil)
	if err != nil {
		return err
	}
	r.last = at
	node := fields[fieldNode]
	number, err := strconv.ParseUint(fields[fieldNumber], 10, 64)
	if err != nil || node == "" || node == r.bus.node {
		return nil //nolint:nilerr // somebody else's entry, which is not for us
	}
	if message, ok := fields[fieldMessage]; ok && number > r.seen[node] {
		r.note(node, number)
		r.deliver([]byte(message))
	}
	if _, lost := fields[fieldLost]; lost {
		r.missed()
	}
	return nil
}

func (r *reader) note(node string, number uint64) {
	if len(r.seen) >= maxSeen {
		clear(r.seen)
	}
	r.seen[node] = number
}

// position is the id of an entry: milliseconds and a number.
type position struct{ ms, seq uint64 }

func (p position) String() string {
	return strconv.FormatUint(p.ms, 10) + "-" + strconv.FormatUint(p.seq, 10)
}

func (p position) before(other position) bool {
	return p.ms < other.ms || p.ms == other.ms && p.seq < other.seq
}

func parsePosition(text string) (position, error) {
	ms, seq, ok := strings.Cut(text, "-")
	major, err := strconv.ParseUint(ms, 10, 64)
	minor, minorErr := strconv.ParseUint(seq, 10, 64)
	if err != nil || minorErr != nil || !ok {
		return position{}, fmt.Errorf("%.40q is not the id of an entry", text)
	}
	return position{ms: major, seq: minor}, nil
}
