package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/segmentio/asm/base64"
)

// ChunkEncoding is how the bytes of a file are written into JSON.
type ChunkEncoding int

// The encodings. Every version of Strapi reads ChunkBuffer, the only one up to 5.42, which takes about 3.6 bytes for one.
const (
	ChunkBase64 ChunkEncoding = iota
	ChunkBuffer
	// ChunkBinary is between peers that have agreed on [ExtensionBinaryAssets].
	ChunkBinary
)

// AppendAssetChunk appends the item that carries some bytes of a file.
func AppendAssetChunk(dst []byte, id string, enc ChunkEncoding, chunk []byte) []byte {
	dst = slices.Grow(dst, enc.room(len(chunk))+len(id)+envelopeRoom)
	dst = append(dst, `{"action":"stream","assetID":`...)
	dst = appendQuoted(dst, id)
	if enc == ChunkBuffer {
		dst = append(dst, `,"data":`...)
		return append(appendBuffer(dst, chunk), '}')
	}
	dst = append(dst, `,"encoding":"base64","data":"`...)
	start := len(dst)
	dst = dst[:start+base64.StdEncoding.EncodedLen(len(chunk))]
	base64.StdEncoding.Encode(dst[start:], chunk)
	return append(dst, `"}`...)
}

// room is the most that n bytes become.
func (enc ChunkEncoding) room(n int) int {
	if enc == ChunkBuffer {
		return 4 * n
	}
	return base64.StdEncoding.EncodedLen(n)
}

// appendBuffer appends chunk as Node.js writes a Buffer.
func appendBuffer(dst, chunk []byte) []byte {
	dst = append(dst, `{"type":"Buffer","data":[`...)
	for i, b := range chunk {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(b), 10)
	}
	return append(dst, "]}"...)
}

// Bytes returns the bytes that an item of [AssetStreams] carries: those of a binary message as they are there, others decoded into room.
// The error wraps [ErrInvalidChunk].
func (a AssetItem) Bytes(room []byte) ([]byte, error) {
	if a.payload != nil {
		return a.payload, nil
	}
	return a.DecodeChunk(room[:0])
}

// DecodeChunk appends the bytes that an item of [AssetStreams] carries. It reads base64, with or without the item saying that it
// is, and the Buffer objects of older peers. The error wraps [ErrInvalidChunk].
func (a AssetItem) DecodeChunk(dst []byte) ([]byte, error) {
	var out []byte
	var err error
	switch {
	case a.payload != nil:
		return append(dst, a.payload...), nil
	case a.Action != AssetStreams || len(a.chunk) == 0:
		err = ErrInvalidChunk
	case a.chunk[0] == '"':
		out, err = appendBase64(dst, a.chunk[1:len(a.chunk)-1])
	default:
		out, err = appendFromBuffer(dst, a.chunk)
	}
	if err != nil {
		return dst, fmt.Errorf("asset %s: %w", a.AssetID, err)
	}
	return out, nil
}

func appendBase64(dst, text []byte) ([]byte, error) {
	if bytes.IndexByte(text, '\\') >= 0 {
		text = unquote(text)
	}
	start := len(dst)
	n := base64.StdEncoding.DecodedLen(len(text))
	out := slices.Grow(dst, n)
	n, err := base64.StdEncoding.Decode(out[start:start+n], text)
	if err != nil {
		return dst, fmt.Errorf("%w: %w", ErrInvalidChunk, err)
	}
	return out[:start+n], nil
}

// appendFromBuffer reads {"type":"Buffer","data":[...]}.
func appendFromBuffer(dst []byte, raw json.RawMessage) ([]byte, error) {
	s := scanner{text: raw}
	if s.peek() != '{' {
		return dst, ErrInvalidChunk
	}
	var typ, data json.RawMessage
	err := s.object(func(name []byte) error {
		switch string(name) {
		case "type":
			return s.into(&typ)
		case "data":
			return s.into(&data)
		default:
			return s.skipValue()
		}
	})
	if err != nil || string(typ) != `"Buffer"` || len(data) == 0 || data[0] != '[' {
		return dst, ErrInvalidChunk
	}
	return appendBytes(dst, data)
}

// appendBytes reads an array of integers from 0 to 255, whose syntax has been checked.
func appendBytes(dst []byte, array json.RawMessage) ([]byte, error) {
	out := slices.Grow(dst, len(array)/2) // each takes at least a digit and a comma
	n, digits := 0, 0
	for _, c := range array[1:] {
		switch {
		case '0' <= c && c <= '9':
			n = n*10 + int(c-'0')
			if digits++; n > 0xff {
				return dst, ErrInvalidChunk
			}
		case c == ',' || c == ']':
			if digits > 0 {
				out = append(out, byte(n))
			}
			n, digits = 0, 0
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
		default:
			return dst, ErrInvalidChunk
		}
	}
	return out, nil
}

// Encoding is how the chunk of an item of [AssetStreams] is written.
func (a AssetItem) Encoding() ChunkEncoding {
	if a.payload != nil {
		return ChunkBinary
	}
	if len(a.chunk) > 0 && a.chunk[0] == '{' {
		return ChunkBuffer
	}
	return ChunkBase64
}
