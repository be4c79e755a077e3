package redisbus

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/gomodule/redigo/redis"
	"golang.org/x/sync/errgroup"
)

// Defaults of [Options].
const (
	DefaultStream  = "transfer:broadcasts"
	DefaultLength  = 10_000
	DefaultWaiting = 10_000

	connectTimeout = 5 * time.Second
	writeTimeout   = 5 * time.Second
	blockFor       = 5 * time.Second // how long one read waits for messages
	readCount      = 100
	maxPause       = 5 * time.Second // between attempts to reach Redis
	maxMessage     = 4 << 20
)

// Options of a [Bus]. The zero value works.
type Options struct {
	Stream  string // key of the stream. Default "transfer:broadcasts"
	Length  int    // about how many messages the stream keeps. Default 10,000
	Waiting int    // how many messages may wait while Redis is away. Default 10,000
	Logger  *slog.Logger
}

// Bus is one server's end. Make one with [New]; it works while Subscribe runs.
type Bus struct {
	address string
	options Options
	log     *slog.Logger
	node    string

	mu     sync.Mutex // guards what follows
	line   []entry    // to be appended
	number uint64     // of the last message
	lost   bool       // something that waited was given up; the others are to be told
	wake   chan struct{}
}

// entry is a message that waits.
type entry struct {
	number  uint64
	message []byte
}

// Errors of Publish.
var (
	ErrTooLong = errors.New("the message is too long")
	ErrFull    = errors.New("too many messages wait for Redis")
)

// New returns an end of the bus at a redis:// or rediss:// address. It connects when Subscribe runs.
func New(address string, options Options) (*Bus, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" {
		return nil, errors.New("the address of Redis is not like redis://[:PASSWORD@]HOST[:PORT][/DATABASE]")
	}
	options.Stream = cmp.Or(options.Stream, DefaultStream)
	options.Length = cmp.Or(max(options.Length, 0), DefaultLength)
	options.Waiting = cmp.Or(max(options.Waiting, 0), DefaultWaiting)
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // it never returns an error
	return &Bus{address: address, options: options, log: options.Logger, node: hex.EncodeToString(id[:]), wake: make(chan struct{}, 1)}, nil
}

// Publish puts a message in line for the other servers. It does not wait. If too many wait already, the oldest are given up and the others
// are told that something is missing.
func (b *Bus) Publish(_ context.Context, message []byte) error {
	if len(message) > maxMessage {
		return fmt.Errorf("publish %d bytes, at most %d: %w", len(message), maxMessage, ErrTooLong)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.number++
	b.line = append(b.line, entry{number: b.number, message: message})
	var err error
	if excess := len(b.line) - b.options.Waiting; excess > 0 {
		b.line = append([]entry(nil), b.line[excess:]...)
		b.lost, err = true, ErrFull
	}
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return err
}

// Subscribe appends what is published and calls deliver for what the others have appended since it was called, from one goroutine,
// until ctx ends; missed is called when something of it was lost. While Redis is away it tries to reach it, and returns nil at the end.
func (b *Bus) Subscribe(ctx context.Context, deliver func(message []byte), missed func()) error {
	group, ctx := errgroup.WithContext(ctx)
	r := &reader{bus: b, deliver: deliver, missed: missed, seen: make(map[string]uint64)}
	group.Go(func() error { b.persist(ctx, "append to", b.write); return nil })
	group.Go(func() error { b.persist(ctx, "read from", r.read); return nil })
	return group.Wait()
}

// persist does something with a connection to Redis, again and again until ctx ends.
func (b *Bus) persist(ctx context.Context, what string, do func(context.Context, redis.Conn) error) {
	pause := backoff.NewExponentialBackOff(backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(maxPause), backoff.WithMaxElapsedTime(0))
	down := false
	for ctx.Err() == nil {
		began := time.Now()
		err := b.connected(ctx, func(ctx context.Context, conn redis.Conn) error {
			if down {
				b.log.InfoContext(ctx, "Redis is back", slog.String(keyStream, b.options.Stream))
				down = false
			}
			return do(ctx, conn)
		})
		if ctx.Err() != nil {
			return
		}
		if !down {
			b.log.WarnContext(ctx, "Redis is away: trying again", slog.String(keyStream, b.options.Stream), slog.String(keyWhat, what), slog.Any(keyError, err))
			down = true
		}
		if time.Since(began) > maxPause {
			pause.Reset()
		}
		timer := time.NewTimer(pause.NextBackOff())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// connected runs do with a connection, which ends with it, and at once when ctx does.
func (b *Bus) connected(ctx context.Context, do func(context.Context, redis.Conn) error) error {
	conn, err := redis.DialURLContext(ctx, b.address,
		redis.DialConnectTimeout(connectTimeout), redis.DialWriteTimeout(writeTimeout), redis.DialReadTimeout(blockFor+writeTimeout))
	if err != nil {
		return withoutAddress(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // wakes whoever waits for an answer
	defer func() {
		stop()
		_ = conn.Close() // whatever it says, it is closed
	}()
	return do(ctx, conn)
}

// withoutAddress drops what an error may repeat of the address, which holds a password.
func withoutAddress(err error) error {
	if parse, ok := errors.AsType[*url.Error](err); ok {
		return parse.Err
	}
	return err
}

// Names of log attributes.
const (
	keyError  = "error"
	keyStream = "stream"
	keyWhat   = "what"
)
