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

// incoming is a file on its way from messages to the destination. Nothing of it is held but what the destination has yet to take, which
// is a few chunks.
type incoming struct {
	id    string
	name  string
	hash  hash.Hash // nil without checksums
	size  int64
	limit int64

	chunks chan []byte   // closed at the end of the file
	gone   chan struct{} // closed when the file is given up, after cause is set
	cause  error

	done chan struct{} // closed when the destination is through with it, after err is set
	err  error
}

// chunksAhead is how many chunks of a file may wait for the destination.
const chunksAhead = 2

// errAborted is why a file is given up that has no other reason.
var errAborted = errors.New("the file was given up")

// receive begins a file. The destination reads it in a goroutine of its own, which ends after finish or abort.
func (s *step) receive(ctx context.Context, start protocol.AssetStart) (*incoming, error) {
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
	in := &incoming{
		id: start.ID, name: clip(start.Filename), limit: limit,
		chunks: make(chan []byte, chunksAhead), gone: make(chan struct{}), done: make(chan struct{}),
	}
	asset := transfer.Asset{
		Filename: start.Filename, Filepath: start.Filepath, Length: length, Metadata: slices.Clone(metadata),
		Content: func(context.Context) (io.ReadCloser, error) { return &incomingBody{in: in}, nil },
	}
	if s.push.init.Checksums {
		in.hash = sha256.New()
		asset.Content = func(context.Context) (io.ReadCloser, error) { return hashedBody{&incomingBody{in: in}}, nil }
	}
	if err := asset.Validate(); err != nil {
		return nil, err
	}
	var before *incoming // the destination takes one file at a time
	if n := len(s.writing); n > 0 {
		before = s.writing[n-1]
	}
	dst, batch := s.push.dst, transfer.Batch{Stage: transfer.StageAssets, Records: []transfer.Record{asset}, Cursor: transfer.Cursor(s.started)}
	s.writing = append(s.writing, in)
	go func() { // settle and abort wait for it
		defer close(in.done)
		if before != nil {
			if <-before.done; before.err != nil {
				in.err = before.err
				return
			}
		}
		in.err = s.push.sess.guarded(ctx, func(ctx context.Context) error { return dst.Write(ctx, batch) })
	}()
	return in, nil
}

// incomingBody is the content of a file as the destination reads it.
type incomingBody struct {
	in    *incoming
	chunk []byte
}

// Read implements [io.Reader].
func (b *incomingBody) Read(p []byte) (int, error) {
	for len(b.chunk) == 0 {
		select {
		case <-b.in.gone:
			return 0, b.in.cause
		default:
		}
		var more bool
		select {
		case b.chunk, more = <-b.in.chunks:
			if !more {
				return 0, io.EOF
			}
		case <-b.in.gone:
			return 0, b.in.cause
		}
	}
	n := copy(p, b.chunk)
	b.chunk = b.chunk[n:]
	return n, nil
}

// Close implements [io.Closer].
func (b *incomingBody) Close() error { return nil }

// hashedBody is the content of a file that has a checksum. It is a [transfer.Digester]: the hash is complete before the last chunk is out.
type hashedBody struct{ *incomingBody }

func (b hashedBody) Digest() string { return hex.EncodeToString(b.in.hash.Sum(nil)) }

// write hands a chunk over, which must not change any more. A destination that has what it wants reads no more of it.
func (in *incoming) write(chunk []byte) error {
	in.size += int64(len(chunk))
	if in.size > in.limit {
		return fmt.Errorf("%w: file %s has more than %d bytes", transfer.ErrDamaged, in.name, in.limit)
	}
	if in.hash != nil {
		in.hash.Write(chunk)
	}
	select {
	case in.chunks <- chunk:
		return nil
	case <-in.done:
		return in.err
	}
}

// finish ends a file if its checksum is right.
func (in *incoming) finish(sum *protocol.Checksum) error {
	if err := in.verify(sum); err != nil {
		in.abort(err)
		return err
	}
	close(in.chunks)
	return nil
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
	in.cause = cause
	close(in.gone)
	<-in.done
}

// maxWriting is how many files may be on their way to the destination: while it makes one durable, the next ones come in.
const maxWriting = 4

// settle waits until at most n files are on their way, and counts the others.
func (s *step) settle(n int) error {
	for len(s.writing) > n {
		in := s.writing[0]
		<-in.done
		s.writing = s.writing[1:]
		if in.err != nil {
			return in.err
		}
		s.finished++
		s.push.job.Observe(observed(transfer.EventStageProgress, s.stage, s.finished, s.bytes, in.name))
	}
	return nil
}

// takeAssets takes the items of one message of the assets stage. A file may begin in one message and end in another.
func (s *step) takeAssets(ctx context.Context, data json.RawMessage, payload []byte) error {
	n := 0
	for item, err := range protocol.AssetItems(data, payload) {
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
		if err := s.settle(maxWriting - 1); err != nil {
			return err
		}
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
		if s.push.agreed.Window > 1 {
			return nil // the client does not wait for it either
		}
		return s.settle(0)
	}
	chunk, err := item.Bytes(nil)
	if err != nil {
		return assetError(err)
	}
	s.bytes += int64(len(chunk))
	s.observe(transfer.EventStageProgress)
	return s.asset.write(chunk)
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
	if err := s.settle(0); err != nil {
		return err
	}
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
