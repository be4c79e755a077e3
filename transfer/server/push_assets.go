package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// incoming is a file on its way from messages to the destination, through a pipe: nothing of it is held but the chunk at hand.
type incoming struct {
	id    string
	name  string
	pipe  *io.PipeWriter
	hash  hash.Hash // nil without checksums
	size  int64
	limit int64

	done chan struct{} // closed when the destination is through with it, after err is set
	err  error
}

var (
	errAborted = errors.New("the file was given up")
	// errUnread is what the pipe says when the destination has what it wants and reads no more.
	errUnread = errors.New("the destination reads no more of the file")
)

// receive begins a file. The destination reads it in a goroutine of its own, which ends with finish or abort.
func (s *step) receive(ctx context.Context, start protocol.AssetStart) (*incoming, error) {
	reader, writer := io.Pipe()
	length := start.Size
	if length == 0 || strings.Contains(start.Filepath, "://") {
		// A client that does not know the length says 0, and of a file that it fetches from elsewhere what it was told there.
		length = -1
	}
	limit := s.push.sess.server.config.AssetLimit
	if length > limit {
		return nil, fmt.Errorf("%w: file %s has %d bytes, at most %d", transfer.ErrDamaged, clip(start.Filename), length, limit)
	}
	metadata := start.Metadata
	if metadata == nil {
		metadata = json.RawMessage("{}")
	}
	asset := transfer.Asset{
		Filename: start.Filename, Filepath: start.Filepath, Length: length, Metadata: slices.Clone(metadata),
		Content: func(context.Context) (io.ReadCloser, error) { return reader, nil },
	}
	if err := asset.Validate(); err != nil {
		return nil, err
	}
	in := &incoming{id: start.ID, name: clip(start.Filename), pipe: writer, limit: limit, done: make(chan struct{})}
	if s.push.init.Checksums {
		in.hash = sha256.New()
	}
	dst, batch := s.push.dst, transfer.Batch{Stage: transfer.StageAssets, Records: []transfer.Record{asset}, Cursor: transfer.Cursor(s.started)}
	go func() {
		defer close(in.done)
		in.err = s.push.sess.guarded(ctx, func(ctx context.Context) error { return dst.Write(ctx, batch) })
		if in.err != nil {
			_ = reader.CloseWithError(in.err) // never fails
			return
		}
		_ = reader.CloseWithError(errUnread) // never fails
	}()
	return in, nil
}

// write hands a chunk over.
func (in *incoming) write(chunk []byte) error {
	in.size += int64(len(chunk))
	if in.size > in.limit {
		return fmt.Errorf("%w: file %s has more than %d bytes", transfer.ErrDamaged, in.name, in.limit)
	}
	if in.hash != nil {
		in.hash.Write(chunk)
	}
	if _, err := in.pipe.Write(chunk); err != nil && !errors.Is(err, errUnread) {
		return err
	}
	return nil
}

// finish ends a file whose checksum is right, and waits for the destination.
func (in *incoming) finish(sum *protocol.Checksum) error {
	if err := in.verify(sum); err != nil {
		in.abort(err)
		return err
	}
	_ = in.pipe.Close() // never fails
	<-in.done
	return in.err
}

// verify compares the checksum, in Strapi's words where it is wrong.
func (in *incoming) verify(sum *protocol.Checksum) error {
	if in.hash == nil {
		return nil
	}
	got := hex.EncodeToString(in.hash.Sum(nil))
	switch {
	case sum == nil || sum.Value == "":
		return protocol.TransferError(fmt.Sprintf("Missing checksum for asset %q", clip(in.id)), nil)
	case sum.Algorithm != protocol.ChecksumSHA256:
		return protocol.TransferError(fmt.Sprintf("Unsupported checksum algorithm %q for asset %s", clip(sum.Algorithm), clip(in.id)), nil)
	case sum.Value != got:
		return protocol.TransferError(fmt.Sprintf("Checksum mismatch for asset %q (expected %s, got %s)", clip(in.id), clip(sum.Value), got), nil)
	}
	return nil
}

// abort gives a file up and waits until the destination has noticed.
func (in *incoming) abort(cause error) {
	if cause == nil {
		cause = errAborted
	}
	_ = in.pipe.CloseWithError(cause) // never fails
	<-in.done
}

// takeAssets takes the items of one message of the assets stage. A file may begin in one message and end in another.
func (s *step) takeAssets(ctx context.Context, data json.RawMessage) error {
	n := 0
	for item, err := range protocol.AssetItems(data) {
		if err != nil {
			return assetError(err)
		}
		if n++; n > maxItems {
			return fmt.Errorf("%w: a message of more than %d items", transfer.ErrDamaged, maxItems)
		}
		if err := s.takeAsset(ctx, item); err != nil {
			s.abort(err)
			return err
		}
	}
	return nil
}

func (s *step) takeAsset(ctx context.Context, item protocol.AssetItem) error {
	if item.Action == protocol.AssetKeeps {
		return s.keep(ctx, *item.Start)
	}
	if item.Action == protocol.AssetStarts {
		if s.asset != nil {
			return protocol.TransferError(fmt.Sprintf("Asset %q starts before asset %q has ended; files one inside another are not supported",
				clip(item.AssetID), clip(s.asset.id)), nil)
		}
		s.started++
		in, err := s.receive(ctx, *item.Start)
		s.asset = in
		return err
	}
	if s.asset == nil || s.asset.id != item.AssetID {
		what := "stream"
		if item.Action == protocol.AssetEnds {
			what = "end"
		}
		return protocol.TransferError(fmt.Sprintf("No asset %q for %s action; send start before stream/end", clip(item.AssetID), what), nil)
	}
	if item.Action == protocol.AssetEnds {
		in := s.asset
		s.asset = nil
		if err := in.finish(item.Checksum); err != nil {
			return err
		}
		s.finished++
		s.push.job.Observe(observed(transfer.EventStageProgress, s.stage, s.finished, s.bytes, in.name))
		return nil
	}
	var err error
	if s.chunk, err = item.DecodeChunk(s.chunk[:0]); err != nil {
		return assetError(err)
	}
	s.bytes += int64(len(s.chunk))
	s.observe(transfer.EventStageProgress)
	return s.asset.write(s.chunk)
}

// keep takes a file that the client does not send, because it was told that the destination has it.
func (s *step) keep(ctx context.Context, start protocol.AssetStart) error {
	switch {
	case !s.push.agreed.KnownAssets:
		return protocol.TransferError("Invalid asset flow action: "+string(protocol.AssetKeeps), nil)
	case s.asset != nil:
		return protocol.TransferError(fmt.Sprintf("Asset %q comes before asset %q has ended; files one inside another are not supported",
			clip(start.ID), clip(s.asset.id)), nil)
	}
	s.started++
	metadata := start.Metadata
	if metadata == nil {
		metadata = json.RawMessage("{}")
	}
	asset := transfer.Asset{
		Filename: start.Filename, Filepath: start.Filepath, Length: start.Size, Metadata: slices.Clone(metadata),
		Content: func(context.Context) (io.ReadCloser, error) {
			return nil, fmt.Errorf("%w: file %s was here when the stage began, and is not any more; start again", transfer.ErrDamaged, clip(start.Filename))
		},
	}
	if err := asset.Validate(); err != nil {
		return err
	}
	if err := s.push.dst.Write(ctx, transfer.Batch{Stage: transfer.StageAssets, Records: []transfer.Record{asset}, Cursor: transfer.Cursor(s.started)}); err != nil {
		return err
	}
	s.finished++
	s.push.job.Observe(observed(transfer.EventStageProgress, s.stage, s.finished, s.bytes, clip(start.Filename)))
	return nil
}

// assetError says what is wrong with an item in Strapi's words, where it has some.
func assetError(err error) error {
	if errors.Is(err, protocol.ErrInvalidChunk) {
		return protocol.TransferError(protocol.ErrInvalidChunk.Error(), nil)
	}
	if _, action, ok := strings.Cut(err.Error(), "Invalid asset flow action: "); ok {
		return protocol.TransferError("Invalid asset flow action: "+action, nil)
	}
	return err
}

// schemaRecords are schemas as records, in the order of their names.
func schemaRecords(schemas transfer.Schemas) []transfer.Record {
	records := make([]transfer.Record, 0, len(schemas))
	for _, uid := range slices.Sorted(maps.Keys(schemas)) {
		records = append(records, schemas[uid])
	}
	return records
}
