package socketio

import (
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// probeText is what a WebSocket is tried with before it takes over from polling.
const probeText = "probe"

// change answers a WebSocket that wants to take over from polling.
func (s *Server) change(w http.ResponseWriter, r *http.Request, sess *session) {
	conn, err := s.upgrade(w, r)
	if err != nil {
		return // has been answered
	}
	sess.mu.Lock()
	taken := sess.state != stateOpen || sess.conn != nil || sess.probe != nil
	if !taken {
		sess.probe = conn
	}
	sess.mu.Unlock()
	if taken {
		_ = conn.Close() // it never was of use
		return
	}
	s.spawn(func() { sess.tryOut(conn) })
}

// tryOut probes a WebSocket, and goes on as its reader when it has become the transport.
func (s *session) tryOut(conn *websocket.Conn) {
	if !s.agree(conn) {
		s.mu.Lock()
		if s.probe == conn {
			s.probe, s.probed = nil, false
		}
		s.mu.Unlock()
		_ = conn.Close() // it never was of use
		return
	}
	s.read(conn)
}

// agree goes through the three steps of a change of transport: a ping, its pong, and the client's word.
func (s *session) agree(conn *websocket.Conn) bool {
	deadline := time.Now().Add(s.server.options.UpgradeTimeout)
	if conn.SetReadDeadline(deadline) != nil || conn.SetWriteDeadline(deadline) != nil {
		return false
	}
	p, err := readPacket(conn)
	if err != nil || p.binary || p.kind != packetPing || string(p.data) != probeText {
		return false
	}
	s.mu.Lock()
	s.probed = true
	if s.poll != nil {
		s.poll.signal()
	}
	s.mu.Unlock()
	if textFrame(string(packetPong)+probeText).write(conn) != nil {
		return false
	}
	p, err = readPacket(conn)
	if err != nil || p.binary || p.kind != packetUpgrade || conn.SetReadDeadline(time.Time{}) != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		return false
	}
	s.conn, s.probe, s.probed = conn, nil, false
	if s.poll != nil {
		s.poll.signal()
	}
	if len(s.queue) > 0 || s.state == stateClosing {
		s.flush()
	}
	s.server.counters.upgrades.Add(1)
	return true
}
