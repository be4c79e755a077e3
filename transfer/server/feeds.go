package server

import (
	"context"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer/server/live"
)

const (
	socketIOPath = "/socket.io"
	progressPath = "/ws/progress"
	// ticketQuery is where an EventSource, which can send no header, has its ticket.
	ticketQuery = "authToken"
)

// prepareFeeds makes what tells of jobs while they run.
func (s *Server) prepareFeeds() error {
	authenticate := func(ctx context.Context, text string) (live.Viewer, error) {
		ctx, cancel := context.WithTimeout(ctx, headerTimeout)
		defer cancel()
		return s.Viewer(ctx, text)
	}
	var err error
	s.feeds, err = live.New(live.Config{
		Feed: s.jobs.Feed(), Authenticate: authenticate, AuthenticateRequest: s.listener, Get: s.jobs.Get, Cancel: s.jobs.Cancel,
		Origins: s.config.Origins, Adapter: s.config.Jobs.Broadcasts, Logger: s.log,
	})
	if err == nil {
		s.metrics.watchLive(s.feeds)
	}
	return err
}

// listener returns who wants to hear a feed. A ticket may stand in the query; a token may not, for queries are logged.
func (s *Server) listener(r *http.Request) (live.Viewer, error) {
	text := r.URL.Query().Get(ticketQuery)
	if text == "" {
		return s.ViewerOfRequest(r)
	}
	if _, _, ok := s.openTicket(text); !ok {
		return nil, token.ErrInvalid
	}
	ctx, cancel := context.WithTimeout(r.Context(), headerTimeout)
	defer cancel()
	return s.Viewer(ctx, text)
}

// feed answers a request for a feed that is not below /api, if it is one.
func (s *Server) feed(w http.ResponseWriter, r *http.Request) bool {
	switch {
	case s.feeds == nil:
		return false
	case strings.TrimSuffix(r.URL.Path, "/") == socketIOPath:
		s.feeds.ServeSocketIO(w, r)
	case r.URL.Path == progressPath:
		s.feeds.ServeProgress(w, r)
	default:
		return false
	}
	return true
}

// watchLive makes the figures of the feeds metrics.
func (m *metrics) watchLive(feeds *live.Live) {
	for _, figure := range []struct {
		name, help string
		counter    bool
		value      func(live.Stats) float64
	}{
		{"streams", "Open server-sent event streams and WebSockets.", false, func(s live.Stats) float64 { return float64(s.Streams) }},
		{"streams_opened_total", "Streams so far.", true, func(s live.Stats) float64 { return float64(s.Opened) }},
		{"sent_total", "Events sent to streams.", true, func(s live.Stats) float64 { return float64(s.Sent) }},
		{"slow_total", "Streams dropped because they were not read.", true, func(s live.Stats) float64 { return float64(s.Slow) }},
		{"socketio_sessions", "Open Socket.IO connections.", false, func(s live.Stats) float64 { return float64(s.SocketIO.Sessions) }},
		{"socketio_sockets", "Authenticated Socket.IO clients.", false, func(s live.Stats) float64 { return float64(s.SocketIO.Sockets) }},
		{"socketio_opened_total", "Socket.IO connections so far.", true, func(s live.Stats) float64 { return float64(s.SocketIO.Opened) }},
		{"socketio_received_total", "Packets from Socket.IO clients.", true, func(s live.Stats) float64 { return float64(s.SocketIO.Received) }},
		{"socketio_sent_total", "Packets to Socket.IO clients.", true, func(s live.Stats) float64 { return float64(s.SocketIO.Sent) }},
		{"socketio_refused_total", "Refused Socket.IO requests.", true, func(s live.Stats) float64 { return float64(s.SocketIO.Refused) }},
		{"socketio_malformed_total", "Socket.IO clients dropped for what they sent.", true, func(s live.Stats) float64 { return float64(s.SocketIO.Malformed) }},
		{"socketio_slow_total", "Socket.IO clients dropped because they did not read.", true, func(s live.Stats) float64 { return float64(s.SocketIO.Slow) }},
	} {
		value := func() float64 { return figure.value(feeds.Stats()) }
		if figure.counter {
			m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
				Namespace: "transfer", Subsystem: "live", Name: figure.name, Help: figure.help,
			}, value))
			continue
		}
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "transfer", Subsystem: "live", Name: figure.name, Help: figure.help,
		}, value))
	}
}
