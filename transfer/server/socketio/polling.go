package socketio

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// noopAfter is how long a poll waits, once a WebSocket has been probed, before it is ended so that the client can change over.
const noopAfter = 100 * time.Millisecond

// fetch answers a request for packets.
func (s *session) fetch(w http.ResponseWriter, r *http.Request) {
	p := &poll{wake: make(chan struct{}, 1)}
	s.mu.Lock()
	switch {
	case s.state == stateClosed:
		s.mu.Unlock()
		failCode(w, codeUnknownSID)
		return
	case s.silent():
		s.mu.Unlock()
		s.shut(ReasonPingTimeout)
		failCode(w, codeUnknownSID)
		return
	case s.conn != nil:
		s.mu.Unlock()
		failCode(w, codeBadRequest)
		return
	case s.poll != nil:
		s.mu.Unlock()
		s.shut(ReasonTransportError)
		failCode(w, codeBadRequest)
		return
	}
	s.poll = p
	s.mu.Unlock()

	body, last, ok := s.await(r, p)
	if !ok {
		failCode(w, codeBadRequest)
		return
	}
	if err := s.reply(w, body); err != nil {
		s.shut(ReasonTransportError)
		return
	}
	if last {
		s.shut(ReasonForcedClose)
	}
}

// await returns what the poll is to be answered with, and whether that is the end. It returns false if polling is over.
func (s *session) await(r *http.Request, p *poll) (body []byte, last, ok bool) {
	var noop <-chan time.Time
	late := false
	for {
		s.mu.Lock()
		switch {
		case s.state == stateClosed:
			s.poll = nil
			farewell := s.farewell
			s.mu.Unlock()
			return []byte{farewell}, false, true
		case s.conn != nil:
			s.poll = nil
			s.mu.Unlock()
			return nil, false, false
		case len(s.queue) > 0:
			frames := s.take()
			s.poll = nil
			s.mu.Unlock()
			return encodePayload(frames), false, true
		case s.state == stateClosing: // by itself: a client that finds it beside messages forgets those
			s.poll = nil
			s.mu.Unlock()
			return []byte{packetClose}, true, true
		case s.probed && late:
			s.poll = nil
			s.mu.Unlock()
			return []byte{packetNoop}, false, true
		case s.probed && noop == nil:
			timer := time.NewTimer(noopAfter)
			defer timer.Stop()
			noop = timer.C
		}
		s.mu.Unlock()
		select {
		case <-p.wake:
		case <-noop:
			late = true
		case <-r.Context().Done():
			s.mu.Lock()
			s.poll = nil
			s.mu.Unlock()
			s.shut(ReasonTransportError)
			return nil, false, false
		}
	}
}

// reply writes the payload that a poll was waiting for.
func (s *session) reply(w http.ResponseWriter, body []byte) error {
	control := http.NewResponseController(w)
	if err := control.SetWriteDeadline(time.Now().Add(s.server.options.WriteTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if _, err := w.Write(body); err != nil { //nolint:gosec // plain text, which no browser takes for a page
		return err
	}
	return control.Flush()
}

// deliver takes the packets that a request brings.
func (s *session) deliver(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	state, conn, overlap := s.state, s.conn, s.posting
	s.posting = true
	s.mu.Unlock()
	switch {
	case state == stateClosed:
		failCode(w, codeUnknownSID)
		return
	case conn != nil:
		failCode(w, codeBadRequest)
		return
	case overlap, r.Header.Get("Content-Type") == "application/octet-stream":
		s.shut(ReasonTransportError)
		failCode(w, codeBadRequest)
		return
	}
	defer func() {
		s.mu.Lock()
		s.posting = false
		s.mu.Unlock()
	}()
	body, err := s.body(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		plain(w, http.StatusRequestEntityTooLarge, "")
		return
	case err != nil:
		s.shut(ReasonTransportError)
		failCode(w, codeBadRequest)
		return
	}
	if !s.consume(body) {
		failCode(w, codeBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(w, "ok") // whoever asked has gone
}

// body reads what a request brings, in the time that it may take.
func (s *session) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(s.server.options.WriteTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.server.options.MaxPayload)))
	if err != nil {
		return nil, err
	}
	if err := control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return nil, err
	}
	return body, nil
}

// consume handles the packets of a payload, and reports whether they all were packets.
func (s *session) consume(body []byte) bool {
	s.incoming.Lock()
	defer s.incoming.Unlock()
	for p, err := range decodePayload(body) {
		if err != nil {
			s.server.counters.malformed.Add(1)
			s.shut(ReasonParseError)
			return false
		}
		if !s.handle(p) {
			return true
		}
	}
	return true
}
