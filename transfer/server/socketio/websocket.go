package socketio

import (
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

// readBuffer is small: clients of this server send little.
const readBuffer = 1 << 10

// closeWait is how long a client may take to answer the closing of a WebSocket.
const closeWait = 5 * time.Second

// upgrade makes a WebSocket of a request.
func (s *Server) upgrade(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	upgrader := websocket.Upgrader{
		HandshakeTimeout: s.options.WriteTimeout,
		ReadBufferSize:   readBuffer,
		WriteBufferSize:  writeBuffer,
		WriteBufferPool:  &s.buffers,
		CheckOrigin:      func(*http.Request) bool { return true }, // has been checked
		Error: func(w http.ResponseWriter, _ *http.Request, status int, _ error) {
			plain(w, status, http.StatusText(status))
		},
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(int64(s.options.MaxPayload))
	return conn, nil
}

// writeBuffer is only for what is cut into frames, and nothing is: messages are written in one piece.
const writeBuffer = 1 << 10

// read takes what comes over the WebSocket that is the transport, until it ends.
func (s *session) read(conn *websocket.Conn) {
	for {
		p, err := readPacket(conn)
		switch {
		case errors.Is(err, errPacket):
			s.server.counters.malformed.Add(1)
			s.shut(ReasonParseError)
			return
		case errors.Is(err, websocket.ErrReadLimit):
			s.server.counters.malformed.Add(1)
			s.shut(ReasonTransportError)
			return
		case err != nil:
			s.gone()
			return
		}
		s.incoming.Lock()
		more := s.handle(p)
		s.incoming.Unlock()
		if !more && s.over() {
			return
		}
	}
}

// gone notes that the connection has ended: as agreed, if the server was closing it.
func (s *session) gone() {
	s.mu.Lock()
	closing := s.state == stateClosing
	s.mu.Unlock()
	if closing {
		s.shut(ReasonForcedClose)
		return
	}
	s.shut(ReasonTransportClose)
}

func (s *session) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateClosed
}

// readPacket reads one message of a WebSocket.
func readPacket(conn *websocket.Conn) (packet, error) {
	kind, r, err := conn.NextReader()
	if err != nil {
		return packet{}, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return packet{}, err
	}
	if kind == websocket.BinaryMessage {
		return packet{kind: packetMessage, binary: true, data: data}, nil
	}
	return decodePacket(data)
}

// write sends what waits, and ends when nothing does.
func (s *session) write() {
	for {
		s.mu.Lock()
		frames, conn := s.take(), s.conn
		if len(frames) == 0 || s.state == stateClosed {
			s.writing = false
			closing := s.state == stateClosing
			s.mu.Unlock()
			if closing {
				s.leave(conn)
			}
			return
		}
		s.mu.Unlock()
		for _, f := range frames {
			if err := s.writeFrame(conn, f); err != nil {
				s.shut(ReasonTransportError)
				return
			}
		}
	}
}

func (s *session) writeFrame(conn *websocket.Conn, f *frame) error {
	if err := conn.SetWriteDeadline(time.Now().Add(s.server.options.WriteTimeout)); err != nil {
		return err
	}
	return f.write(conn)
}

// leave says goodbye on a WebSocket. The reader, which waits for the answer, closes it.
func (s *session) leave(conn *websocket.Conn) {
	deadline := time.Now().Add(closeWait)
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if err := conn.WriteControl(websocket.CloseMessage, text, deadline); err != nil {
		s.shut(ReasonForcedClose)
		return
	}
	if err := conn.SetReadDeadline(deadline); err != nil {
		s.shut(ReasonForcedClose)
	}
}
