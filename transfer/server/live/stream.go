package live

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// retryAfter is when a browser may come back, in milliseconds.
const retryAfter = "retry: 2000\n\n"

// sendBuffer is how much of a stream the system may hold for a client that does not read, in bytes: without it, megabytes.
const sendBuffer = 64 << 10

// comment is what a quiet stream carries, against proxies that end those.
const comment = ":\n\n"

// stream is one connection with server-sent events. A shard writes to it.
type stream struct {
	live         *Live
	viewer       Viewer
	jobs         []jobs.ID // nil is all that may be seen
	subscription *jobs.Subscription
	shard        atomic.Pointer[shard] // nil before it begins
	opened       time.Time
	queued       atomic.Bool // on the shard's list

	mu      sync.Mutex // guards what follows; held while events are taken and written, so that they are in order
	conn    net.Conn   // nil before it begins
	first   []byte     // to be written before anything else
	going   []jobs.ID  // of jobs, those that have not ended
	written time.Time
	busy    bool // a goroutine of its own writes
	closed  bool
}

// wake puts the stream on its shard's list. Whoever publishes calls it.
func (s *stream) wake() {
	if shard := s.shard.Load(); shard != nil && !s.queued.Swap(true) {
		shard.push(s)
	}
}

// prepare works out what is told to begin with.
func (s *stream) prepare() {
	var b bytes.Buffer
	b.WriteString(retryAfter)
	b.WriteString(comment)
	for i := range s.subscription.Snapshot {
		j := &s.subscription.Snapshot[i]
		if s.jobs != nil && !j.State.Ended() {
			s.going = append(s.going, j.ID)
		}
		if !s.subscription.Recovered {
			appendEvent(&b, snapshotOf(j, s.subscription.Position), s.subscription.Position.String())
		}
	}
	s.first = b.Bytes()
}

// nothingMore reports whether the client has heard everything that there will ever be.
func (s *stream) nothingMore() bool {
	if !s.over() || !s.subscription.Recovered {
		return false
	}
	missed, err := s.subscription.Take()
	for _, e := range missed {
		s.append(e)
	}
	return len(missed) == 0 && err == nil
}

// append adds an event that was taken early to what is written first.
func (s *stream) append(e *jobs.Event) {
	b := bytes.NewBuffer(s.first)
	appendMessage(b, e)
	s.first = b.Bytes()
}

// over reports whether all jobs that the stream is about have ended.
func (s *stream) over() bool { return s.jobs != nil && len(s.going) == 0 }

// abandon ends a stream that never began.
func (s *stream) abandon() {
	s.subscription.Close()
	s.live.leave()
}

// begin takes the connection over from the HTTP server, whose buffers and goroutine are larger than all that a stream needs.
func (s *stream) begin(w http.ResponseWriter) {
	head := w.Header().Clone()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.abandon()
		s.live.log.Error("stream not begun", slog.Any(keyError, err))
		refuse(w, http.StatusHTTPVersionNotSupported, "HTTPVersionNotSupportedError", "streams need HTTP/1.1")
		return
	}
	head.Set("Content-Type", "text/event-stream; charset=utf-8")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would keep events until it has a page of them
	head.Set("Connection", "close")
	head.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\n")
	_ = head.Write(&b) // a buffer takes all
	b.WriteString("\r\n")
	b.Write(s.first)
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(sendBuffer) // as large as it was, otherwise
	}
	if err := conn.SetDeadline(time.Time{}); err != nil {
		_ = conn.Close() // was broken before
		s.abandon()
		return
	}
	s.mu.Lock()
	s.conn, s.first = conn, b.Bytes()
	s.mu.Unlock()
	s.live.adopt(s)
	s.live.guard.add(s.viewer, s)
	go s.watch(conn) // ends when the connection does; Close waits for it
	s.wake()
}

// watch waits for the end of the connection. A client has nothing to say.
func (s *stream) watch(conn net.Conn) {
	var b [1]byte
	_, _ = conn.Read(b[:]) // the end, or something that nobody asked for
	s.close()
	s.live.leave()
}

// close ends the stream. It may be called twice.
func (s *stream) close() {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	conn := s.conn
	s.mu.Unlock()
	if already {
		return
	}
	s.subscription.Close()
	s.live.guard.remove(s.viewer, s)
	s.shard.Load().remove(s)
	_ = conn.Close() // whatever it says, it is closed
}

// end tells the client why it has to go, if it can be told at once, and closes the stream.
func (s *stream) end(why end) {
	s.mu.Lock()
	if !s.closed && !s.busy {
		var b bytes.Buffer
		appendTimeout(&b, why)
		_, _ = s.write(b.Bytes()) // may be too late
	}
	s.mu.Unlock()
	if why == endSlow {
		s.live.slow.Add(1)
	}
	s.close()
}

// serve writes what there is, as far as the connection takes it at once. The shard calls it.
func (s *stream) serve(cache *encodings) {
	s.queued.Store(false)
	s.mu.Lock()
	if s.closed || s.busy {
		s.mu.Unlock()
		return
	}
	text, last := s.gather(cache)
	if len(text) == 0 && last == "" {
		s.mu.Unlock()
		return
	}
	s.put(text, last)
}

// put writes text: what the connection does not take at once is left to a goroutine of its own. It unlocks s.mu.
func (s *stream) put(text []byte, last end) {
	n, err := s.write(text)
	rest := text[n:]
	if err == nil && len(rest) > 0 {
		s.busy = true
		rest = bytes.Clone(rest) // the buffer is the shard's
		s.live.goroutines.Go(func() { s.insist(rest, last) })
	}
	s.mu.Unlock()
	switch {
	case err != nil:
		s.close()
	case len(rest) == 0:
		s.finish(last)
	}
}

// insist writes to a connection that did not take everything at once, until it has caught up or is given up.
func (s *stream) insist(rest []byte, last end) {
	var cache encodings
	for {
		if err := s.conn.SetWriteDeadline(time.Now().Add(s.live.config.WriteTimeout)); err != nil {
			s.close()
			return
		}
		if _, err := s.conn.Write(rest); err != nil {
			if errors.Is(err, errDeadline) {
				s.live.slow.Add(1)
				s.live.log.Info("stream dropped: it reads too slowly", slog.String(keyViewer, s.viewer.Name()))
			}
			s.close()
			return
		}
		if last != "" {
			s.finish(last)
			return
		}
		s.mu.Lock()
		text, why := s.gather(&cache)
		rest, last = bytes.Clone(text), why
		if s.closed || len(rest) == 0 && last == "" {
			s.busy = false
			err := s.conn.SetWriteDeadline(time.Time{})
			s.mu.Unlock()
			if err != nil {
				s.close()
			}
			return
		}
		s.mu.Unlock()
	}
}

// finish ends a stream after its last event.
func (s *stream) finish(last end) {
	switch last {
	case "":
		return
	case endSlow:
		s.live.slow.Add(1)
		s.live.log.Info("stream dropped: too many events waited", slog.String(keyViewer, s.viewer.Name()))
	case endDone, endRevoked, endShutdown, endAge, endLost:
	}
	s.close()
}

// gather returns what is to be written now, and why that is the last, if it is. s.mu is held.
func (s *stream) gather(cache *encodings) (text []byte, last end) {
	b := &cache.buffer
	b.Reset()
	b.Write(s.first)
	s.first = nil
	events, err := s.subscription.Take()
	for _, e := range events {
		b.Write(cache.of(e))
		if e.Job != nil && e.Job.State.Ended() && s.jobs != nil {
			s.going = slices.DeleteFunc(s.going, func(id jobs.ID) bool { return id == e.JobID })
		}
	}
	s.live.sent.Add(int64(len(events)))
	switch {
	case s.over():
		last = endDone
	case errors.Is(err, jobs.ErrSlow):
		last = endSlow
	case err != nil && s.live.isClosing():
		last = endShutdown
	case err != nil:
		last = endLost
	}
	if last != "" && last != endDone {
		appendTimeout(b, last)
	}
	return b.Bytes(), last
}

// write writes what the connection takes without waiting. s.mu is held.
func (s *stream) write(text []byte) (int, error) {
	s.written = time.Now()
	return writeNow(s.conn, text)
}

// tick keeps a quiet stream open, and ends one that is old.
func (s *stream) tick(now time.Time) {
	if now.Sub(s.opened) > s.live.config.MaxAge {
		s.end(endAge)
		return
	}
	s.mu.Lock()
	if s.closed || s.busy || len(s.first) > 0 || now.Sub(s.written) < s.live.config.Heartbeat {
		s.mu.Unlock()
		return
	}
	s.put([]byte(comment), "")
}
