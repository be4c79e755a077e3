package live

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"sync"
	"time"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// shard writes to its share of the streams, from one goroutine.
type shard struct {
	heartbeat time.Duration
	signal    chan struct{}

	mu    sync.Mutex // guards what follows
	ready []*stream
	all   map[*stream]struct{}
}

// makeShards makes as many as there are processors, for none ever waits.
func makeShards(l *Live) []*shard {
	shards := make([]*shard, runtime.GOMAXPROCS(0))
	for i := range shards {
		shards[i] = &shard{heartbeat: l.config.Heartbeat, signal: make(chan struct{}, 1), all: make(map[*stream]struct{})}
	}
	return shards
}

// adopt gives a stream to the next shard.
func (l *Live) adopt(s *stream) {
	h := l.shards[l.next.Add(1)%uint64(len(l.shards))]
	s.shard.Store(h)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[s] = struct{}{}
}

func (l *Live) isClosing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing
}

func (h *shard) push(s *stream) {
	h.mu.Lock()
	h.ready = append(h.ready, s)
	h.mu.Unlock()
	select {
	case h.signal <- struct{}{}:
	default:
	}
}

func (h *shard) remove(s *stream) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, s)
}

// run writes until ctx ends.
func (h *shard) run(ctx context.Context) {
	ticker := time.NewTicker(max(h.heartbeat/heartbeatParts, time.Millisecond))
	defer ticker.Stop()
	var cache encodings
	var batch []*stream
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			for _, s := range h.streams() {
				s.tick(now)
			}
		case <-h.signal:
			h.mu.Lock()
			batch, h.ready = h.ready, batch[:0]
			h.mu.Unlock()
			for i, s := range batch {
				s.serve(&cache)
				batch[i] = nil
			}
		}
	}
}

// heartbeatParts is how often streams are looked at within a heartbeat.
const heartbeatParts = 15

func (h *shard) streams() []*stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*stream, 0, len(h.all))
	for s := range h.all {
		all = append(all, s)
	}
	return all
}

func (h *shard) closeAll(why end) {
	for _, s := range h.streams() {
		s.end(why)
	}
}

// encodings remembers how the last events read, since most streams want the same.
type encodings struct {
	buffer bytes.Buffer // for one stream at a time
	events [32]*jobs.Event
	texts  [32][]byte
	next   int
}

// of returns an event as it is written to a stream.
func (c *encodings) of(e *jobs.Event) []byte {
	for i, known := range c.events {
		if known == e {
			return c.texts[i]
		}
	}
	var b bytes.Buffer
	appendMessage(&b, e)
	c.events[c.next], c.texts[c.next] = e, b.Bytes()
	c.next = (c.next + 1) % len(c.events)
	return b.Bytes()
}

// appendMessage writes what an event tells. Items are not for streams.
func appendMessage(b *bytes.Buffer, e *jobs.Event) {
	if m := messageOf(e); m.kind != kindItem {
		appendEvent(b, m, e.Position().String())
	}
}

// appendEvent writes one server-sent event. JSON has no line breaks.
func appendEvent(b *bytes.Buffer, m message, id string) {
	name := m.kind
	if name == kindError {
		name = kindProgress // the job goes on
	}
	if id != "" {
		b.WriteString("id: ")
		b.WriteString(id)
		b.WriteByte('\n')
	}
	b.WriteString("event: ")
	b.WriteString(string(name))
	b.WriteString("\ndata: ")
	b.Write(m.encode())
	b.WriteString("\n\n")
}

// appendTimeout writes that the stream ends before the jobs do. It has no id: the client comes back to where it was.
func appendTimeout(b *bytes.Buffer, why end) {
	text, err := json.Marshal(struct {
		Reason  end    `json:"reason"`
		Message string `json:"message"`
	}{why, why.message()})
	if err != nil {
		return // strings always have a form
	}
	b.WriteString("event: timeout\ndata: ")
	b.Write(text)
	b.WriteString("\n\n")
}
