package socketio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"iter"
	"sync"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// Types of Engine.IO packets, as they stand on the wire.
const (
	packetOpen    = '0'
	packetClose   = '1'
	packetPing    = '2'
	packetPong    = '3'
	packetMessage = '4'
	packetUpgrade = '5'
	packetNoop    = '6'
)

// separator stands between the packets of a payload.
const separator = 0x1e

// binaryMark opens a binary packet in a payload, which is text.
const binaryMark = 'b'

// packet is one Engine.IO packet from a client.
type packet struct {
	kind   byte // one of the types above; a binary packet is a message
	binary bool
	data   []byte
}

var errPacket = errors.New("not a packet")

// decodePacket reads a packet from a text frame.
func decodePacket(text []byte) (packet, error) {
	if len(text) == 0 || text[0] < packetOpen || text[0] > packetNoop || !utf8.Valid(text) {
		return packet{}, errPacket
	}
	return packet{kind: text[0], data: text[1:]}, nil
}

// decodePayload yields the packets of a payload up to the first that is none.
func decodePayload(body []byte) iter.Seq2[packet, error] {
	return func(yield func(packet, error) bool) {
		for more := true; more; {
			var text []byte
			text, body, more = bytes.Cut(body, []byte{separator})
			p, err := decodePart(text)
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}

func decodePart(text []byte) (packet, error) {
	if len(text) == 0 || text[0] != binaryMark {
		return decodePacket(text)
	}
	data, err := base64.StdEncoding.AppendDecode(nil, text[1:])
	if err != nil {
		return packet{}, errPacket
	}
	return packet{kind: packetMessage, binary: true, data: data}, nil
}

// frame is a packet on its way to clients. A broadcast is one frame in the queues of many, so it is never changed.
type frame struct {
	data   []byte // of text with the type, of a binary packet bare
	binary bool
	shared bool // goes to many clients

	once     sync.Once
	prepared *websocket.PreparedMessage
	err      error
}

func textFrame(text string) *frame { return &frame{data: []byte(text)} }

// write sends the frame as one WebSocket message.
func (f *frame) write(conn *websocket.Conn) error {
	kind := websocket.TextMessage
	if f.binary {
		kind = websocket.BinaryMessage
	}
	if !f.shared {
		return conn.WriteMessage(kind, f.data)
	}
	f.once.Do(func() { f.prepared, f.err = websocket.NewPreparedMessage(kind, f.data) })
	if f.err != nil {
		return f.err
	}
	return conn.WritePreparedMessage(f.prepared)
}

// encodePayload joins frames for a poll.
func encodePayload(frames []*frame) []byte {
	size := 0
	for _, f := range frames {
		size += 2 + base64.StdEncoding.EncodedLen(len(f.data))
	}
	body := make([]byte, 0, size)
	for i, f := range frames {
		if i > 0 {
			body = append(body, separator)
		}
		if f.binary {
			body = append(body, binaryMark)
			body = base64.StdEncoding.AppendEncode(body, f.data)
			continue
		}
		body = append(body, f.data...)
	}
	return body
}
