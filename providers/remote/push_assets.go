package remote

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/uuid"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// writeAsset puts a file into messages, several of which it may span. Of one that the server has it sends no more than that. A file that cannot be read to its end leaves the stage
// without end, which a server must never be sent then.
func (s *step) writeAsset(ctx context.Context, a transfer.Asset) (err error) {
	if err := a.Validate(); err != nil {
		return err
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make a uuid: %w", err)
	}
	start := protocol.AssetStart{ID: id.String(), Filename: a.Filename, Filepath: a.Filepath, Size: max(a.Length, 0), Metadata: a.Metadata}
	if size, ok := s.known[a.Filename]; ok && size == a.Length {
		s.item()
		s.data = protocol.AppendAssetKeep(s.data, start)
		s.items++
		return s.flushAssets(ctx)
	}
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := body.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("close file %s: %w", a.Filename, closeErr)
		}
	}()
	s.item()
	s.data = protocol.AppendAssetStart(s.data, start)
	if err := s.chunks(ctx, id.String(), body); err != nil {
		return fmt.Errorf("send file %s: %w", a.Filename, err)
	}
	digest := ""
	if s.sess.checksums {
		digest = body.Digest()
	}
	s.item()
	s.data = protocol.AppendAssetEnd(s.data, id.String(), digest)
	s.items++
	return s.flushAssets(ctx)
}

// chunks sends a file's content, piece by piece.
func (s *step) chunks(ctx context.Context, id string, body io.Reader) error {
	for {
		room := s.room()
		n, err := fill(body, room)
		if n > 0 {
			s.chunk(id, room[:n])
			if err := s.flushAssets(ctx); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read: %w", err)
		}
	}
}

// room is where the next piece of a file is read to: where it is sent from, with a server that takes it as it is.
func (s *step) room() []byte {
	if !s.sess.agreed.BinaryAssets {
		if s.piece == nil {
			s.piece = make([]byte, assetChunkSize)
		}
		return s.piece
	}
	if s.payload == nil {
		s.payload = make([]byte, 0, s.batch)
	}
	return s.payload[len(s.payload):cap(s.payload)]
}

// chunk puts a piece of a file, which is in room, into the message.
func (s *step) chunk(id string, piece []byte) {
	s.item()
	s.bytes += len(piece)
	if !s.sess.agreed.BinaryAssets {
		s.data = protocol.AppendAssetChunk(s.data, id, s.sess.encoding, piece)
		return
	}
	s.data = protocol.AppendBinaryChunk(s.data, id, len(piece))
	s.payload = s.payload[:len(s.payload)+len(piece)]
}

// fill reads until buf is full or there is nothing more. Unlike [io.ReadFull] it does not give a short end the same error that
// readers of compressed and of cut files give.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = r.Read(buf[n:])
		n += k
	}
	return n, err
}

// flushAssets sends the message if it is long enough.
func (s *step) flushAssets(ctx context.Context) error {
	most := maxAssetBytes
	if s.sess.agreed.BinaryAssets {
		most = s.batch
	}
	if s.bytes < most && len(s.data) < maxAssetText {
		return nil
	}
	return s.flush(ctx)
}
