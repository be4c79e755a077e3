package protocol

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
)

// A message that carries bytes of files under [ExtensionBinaryAssets] travels in a binary frame of WebSocket:
//
//	0, as in no JSON text | length of the text, 4 bytes, big-endian | text | bytes of files | CRC-32C of all that, 4 bytes, big-endian
//
// The text is the message as it would be without the extension, but its items name how many of the bytes are theirs, in order.
const (
	binaryHead = 1 + 4
	binaryTail = 4
)

// ErrInvalidBinary marks a binary message that is not in that form.
var ErrInvalidBinary = fmt.Errorf("%w: not a message with bytes of files", ErrMalformed)

// IsBinary reports whether a message travels in a binary frame.
func IsBinary(message []byte) bool { return len(message) > 0 && message[0] == 0 }

// appendBinary appends a message whose text is what write appends.
func appendBinary(dst []byte, write func(dst []byte) []byte, payload []byte) []byte {
	start := len(dst)
	dst = write(append(dst, make([]byte, binaryHead)...))
	binary.BigEndian.PutUint32(dst[start+1:], uint32(len(dst)-start-binaryHead)) //nolint:gosec // at most MaxMessage, or it is never sent
	dst = append(slices.Grow(dst, len(payload)+binaryTail), payload...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], crc32.MakeTable(crc32.Castagnoli)))
}

// BinaryParts returns what comes before and after the text and the payload of a binary message, for whoever writes the four one after the
// other instead of copying them into one.
func BinaryParts(text, payload []byte) (head [binaryHead]byte, tail [binaryTail]byte) {
	binary.BigEndian.PutUint32(head[1:], uint32(len(text))) //nolint:gosec // as above
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Update(crc32.Checksum(head[:], table), table, text), table, payload)
	binary.BigEndian.PutUint32(tail[:], sum)
	return head, tail
}

// splitBinary returns the text of a message and the bytes that follow it, both parts of message.
func splitBinary(message []byte) (text, payload []byte, err error) {
	if len(message) < binaryHead+binaryTail {
		return nil, nil, ErrInvalidBinary
	}
	rest := message[binaryHead : len(message)-binaryTail]
	n := binary.BigEndian.Uint32(message[1:])
	if uint64(n) > uint64(len(rest)) {
		return nil, nil, fmt.Errorf("%w: its text of %d bytes is longer than it", ErrInvalidBinary, n)
	}
	return rest[:n:n], rest[n:], nil
}

// checkBinary reports whether a message is as it was sent.
func checkBinary(message []byte) error {
	at := len(message) - binaryTail
	if at < binaryHead || crc32.Checksum(message[:at], crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(message[at:]) {
		return ErrChanged
	}
	return nil
}

// encodingBinary is what an item says whose data is the number of its bytes.
const encodingBinary = `"binary"`

// AppendBinaryChunk appends the item that stands for the next n bytes of the message's payload.
func AppendBinaryChunk(dst []byte, id string, n int) []byte {
	dst = append(dst, `{"action":"stream","assetID":`...)
	dst = appendQuoted(dst, id)
	dst = append(dst, `,"encoding":"binary","data":`...)
	return append(strconv.AppendInt(dst, int64(n), 10), '}')
}

// cutPayload gives an item the bytes that it announces.
func (s *scanner) cutPayload(item *AssetItem, number json.RawMessage) error {
	n, ok := asInt(number)
	if !ok || n < 0 || n > int64(len(s.payload)) {
		return fmt.Errorf("asset %s: %w: it announces %s bytes, and %d are left", item.AssetID, ErrInvalidChunk, clip(string(number), maxErrorText), len(s.payload))
	}
	item.payload, s.payload = s.payload[:n:n], s.payload[n:]
	return nil
}
