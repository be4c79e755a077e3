package server

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// maxAssetText bounds frames that consist of many small files for clients that take such, in bytes of text.
const maxAssetText = 2 << 20

// sendAsset puts a file into frames, several of which it may span. For a stock client the end of a file ends a frame.
func (s *stream) sendAsset(ctx context.Context, a transfer.Asset) (err error) {
	if err := a.Validate(); err != nil {
		return err
	}
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make a uuid: %w", err)
	}
	s.item()
	s.data = protocol.AppendAssetStart(s.data, protocol.AssetStart{
		ID: id.String(), Filename: a.Filename, Filepath: a.Filepath, Size: max(a.Length, 0), Metadata: a.Metadata,
	})
	if err := s.chunks(ctx, id.String(), a.Filename, body); err != nil {
		return fmt.Errorf("send file %s: %w", a.Filename, err)
	}
	sum := ""
	if s.pull.init.Checksums {
		sum = body.Digest()
	}
	s.item()
	s.data = protocol.AppendAssetEnd(s.data, id.String(), sum)
	if s.pull.agreed.Window > 1 && s.bytes < s.assetBatch() && len(s.data) < maxAssetText {
		return nil
	}
	return s.flush(ctx)
}

func (s *stream) chunks(ctx context.Context, id, name string, body io.Reader) error {
	if !s.pull.init.Checksums && s.pull.agreed == (protocol.Extensions{}) {
		return s.plainChunks(ctx, id, name, body)
	}
	for {
		room := s.room()
		n, err := readFull(body, room)
		if n > 0 {
			s.sent += int64(n)
			s.observe(transfer.EventStageProgress, name)
			if full := s.chunk(id, room[:n]); full {
				if err := s.flush(ctx); err != nil {
					return err
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// room is where the next piece of a file is read to: where it is sent from, for a client that takes it as it is.
func (s *stream) room() []byte {
	if !s.pull.agreed.BinaryAssets {
		if s.piece == nil {
			s.piece = make([]byte, protocol.AssetChunkBytes)
		}
		return s.piece
	}
	if most := s.assetBatch(); len(s.payload) == 0 && cap(s.payload) != most { // what it should be is known better after the first frames
		s.payload = make([]byte, 0, most)
	}
	return s.payload[len(s.payload):cap(s.payload)]
}

// chunk puts a piece of a file, which is in room, into the frame, and reports whether that has room for no more.
func (s *stream) chunk(id string, piece []byte) (full bool) {
	s.item()
	s.bytes += len(piece)
	if !s.pull.agreed.BinaryAssets {
		s.data = protocol.AppendAssetChunk(s.data, id, protocol.ChunkBase64, piece)
		return s.bytes >= protocol.AssetBatchBytes
	}
	s.data = protocol.AppendBinaryChunk(s.data, id, len(piece))
	s.payload = s.payload[:len(s.payload)+len(piece)]
	return len(s.payload) == cap(s.payload)
}

// assetBatch is when a frame of files is sent, in bytes of them.
func (s *stream) assetBatch() int {
	if s.pull.agreed.BinaryAssets && s.pull.agreed.Window > 1 {
		return s.pull.agreed.Batch(protocol.StageAssets, s.window.most())
	}
	return protocol.AssetBatchBytes
}

// plainChunks sends a file to a client that does not ask for checksums, and so is, or may be, from before 5.43. Those take base64 for the
// file itself. And they acknowledge a frame before they have handled it, and handle several at a time: of a file that has more than one
// chunk in a frame, and more than one frame, they mix up the order. So a file is one frame, or its start is one and each chunk is.
func (s *stream) plainChunks(ctx context.Context, id, name string, body io.Reader) error {
	chunk := make([]byte, protocol.AssetBatchBytes)
	for first := true; ; first = false {
		n, err := readFull(body, chunk)
		whole := errors.Is(err, io.EOF)
		if err != nil && !whole {
			return err
		}
		if !first || !whole {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
		if n > 0 {
			s.sent += int64(n)
			s.observe(transfer.EventStageProgress, name)
			s.item()
			s.data = protocol.AppendAssetChunk(s.data, id, protocol.ChunkBuffer, chunk[:n])
		}
		if whole {
			return nil
		}
	}
}

// readFull reads until buf is full or there is nothing more. Unlike [io.ReadFull] it does not give a short end the error that readers
// of damaged files give.
func readFull(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}
