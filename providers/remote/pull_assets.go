package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"strings"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// errVoid is what reading a file's body gives after the next record has been asked for.
var errVoid = errors.New("the file's content is void: the source has gone on")

// assetPull reads the items of the assets stage one by one.
type assetPull struct {
	*pull
	item func() (protocol.AssetItem, error, bool) // the next of the current frame
	stop func()

	current *assetBody // the file that has started and not ended
	last    string     // id of the one that ended last
}

// readAssets reads the assets stage. The content of a file is read by whoever opened it, straight from the frames.
func (s *Source) readAssets(ctx context.Context, after transfer.Cursor, yield func(transfer.Item, error) bool) error {
	p, err := s.pull(ctx, transfer.StageAssets)
	if err != nil {
		return err
	}
	defer s.finish(ctx, p)
	a := &assetPull{pull: p}
	defer a.release()
	for cursor := transfer.Cursor(1); ; cursor++ {
		body, err := a.start(ctx)
		if err != nil || body == nil {
			return err
		}
		if cursor > after {
			asset := body.asset()
			if !yield(transfer.Item{Record: asset, Cursor: cursor}, nil) {
				return nil
			}
		}
		if err := body.skip(ctx); err != nil {
			return err
		}
	}
}

// next returns the next item, false after the last one of the stage.
func (a *assetPull) next(ctx context.Context) (item protocol.AssetItem, ok bool, err error) {
	for {
		if a.item != nil {
			item, err, ok := a.item()
			if err != nil {
				return item, false, mapped(transfer.ErrDamaged, "read assets", err, hintNotRunner)
			}
			if ok {
				return item, true, nil
			}
			a.release()
		}
		frame, err := a.pull.next(ctx)
		if err != nil || frame == nil {
			return item, false, err
		}
		a.item, a.stop = iter.Pull2(protocol.AssetItems(frame.Data, frame.Payload))
	}
}

// release lets go of the current frame.
func (a *assetPull) release() {
	if a.stop != nil {
		a.stop()
	}
	a.item, a.stop = nil, nil
}

// start reads the item that announces the next file. It returns nil after the last file.
func (a *assetPull) start(ctx context.Context) (*assetBody, error) {
	item, ok, err := a.next(ctx)
	if err != nil || !ok {
		return nil, err
	}
	if item.Action != protocol.AssetStarts {
		return nil, a.misplaced(item)
	}
	if item.AssetID == a.last {
		return nil, broken("file %s starts twice", item.AssetID)
	}
	a.current = &assetBody{pull: a, id: item.AssetID, name: item.Start.Filename, start: *item.Start}
	if a.sess.checksums {
		a.current.hash = sha256.New()
	}
	return a.current, nil
}

// broken is the error of a server that sends files in a way that leaves open what belongs to what.
func broken(format string, args ...any) error {
	return fmt.Errorf("%w: read assets: %s; %s", transfer.ErrDamaged, fmt.Sprintf(format, args...), hintLog)
}

// misplaced names what is wrong with an item that does not belong to the current file.
func (a *assetPull) misplaced(item protocol.AssetItem) error {
	switch {
	case item.Action == protocol.AssetStarts && a.current != nil && item.AssetID == a.current.id:
		return broken("file %s starts twice", item.AssetID)
	case item.Action == protocol.AssetStarts && a.current != nil:
		return broken("file %s starts before %s has ended; files one inside another are not supported", item.AssetID, a.current.id)
	case item.AssetID == a.last:
		return broken("an item of file %s comes after its end", item.AssetID)
	default:
		return broken("an item of file %s comes without its start", item.AssetID)
	}
}

// assetBody is the content of the file that is being pulled.
type assetBody struct {
	pull  *assetPull
	id    string
	name  string
	start protocol.AssetStart
	hash  hash.Hash // nil without checksums

	opened bool
	chunk  []byte // decoded and not read yet, a part of buf
	buf    []byte
	err    error // io.EOF once the end has been checked
}

// asset returns the record for the file.
func (b *assetBody) asset() transfer.Asset {
	length := b.start.Size
	if length == 0 || strings.Contains(b.start.Filepath, "://") {
		// A server that does not know the size says 0, and of a file that it fetches from elsewhere it says what it was told
		// there, which may be the length of a compressed body.
		length = -1
	}
	return transfer.Asset{
		Filename: b.start.Filename,
		Filepath: b.start.Filepath,
		Length:   length,
		Metadata: b.start.Metadata,
		Content: func(ctx context.Context) (io.ReadCloser, error) {
			if b.err != nil || b.opened {
				return nil, fmt.Errorf("open file %s: %w", b.name, errVoid)
			}
			b.opened = true
			r := &assetReader{body: b, next: func() error { return b.fill(ctx) }}
			if b.hash != nil {
				return hashedReader{r}, nil
			}
			return r, nil
		},
	}
}

// fill reads items until there is a chunk or the end.
func (b *assetBody) fill(ctx context.Context) error {
	for b.err == nil && len(b.chunk) == 0 {
		item, ok, err := b.pull.next(ctx)
		switch {
		case err != nil:
			b.err = err
		case !ok:
			b.err = broken("the stage ends before file %s does", b.name)
		case item.AssetID != b.id || item.Action == protocol.AssetStarts || item.Action == protocol.AssetKeeps:
			b.err = b.pull.misplaced(item)
		case item.Action == protocol.AssetEnds:
			b.err = b.finish(item.Checksum)
		default:
			b.err = b.decode(item)
		}
	}
	return b.err
}

// decode takes a chunk. Of a file that nobody has opened, the bytes do not matter.
func (b *assetBody) decode(item protocol.AssetItem) error {
	if !b.opened {
		return nil
	}
	var err error
	if b.chunk, err = item.Bytes(b.buf); err != nil {
		return broken("file %s: %v", b.name, err)
	}
	if item.Encoding() != protocol.ChunkBinary {
		b.buf = b.chunk
	}
	if b.hash != nil {
		b.hash.Write(b.chunk)
	}
	return nil
}

// finish checks the file's end and returns io.EOF if it is in order.
func (b *assetBody) finish(sum *protocol.Checksum) error {
	b.pull.current, b.pull.last = nil, b.id
	if b.hash == nil || !b.opened {
		return io.EOF
	}
	got := hex.EncodeToString(b.hash.Sum(nil))
	switch {
	case sum == nil:
		return broken("file %s comes without its checksum", b.name)
	case sum.Algorithm != protocol.ChecksumSHA256:
		return broken("file %s has a checksum of unknown kind %q", b.name, clean(sum.Algorithm))
	case sum.Value != got:
		return broken("checksum mismatch for file %s: expected %s, got %s", b.name, clean(sum.Value), got)
	}
	return io.EOF
}

// skip reads what is left of the file, so that what its reader left unread is checked, too.
func (b *assetBody) skip(ctx context.Context) error {
	for {
		b.chunk = nil
		switch err := b.fill(ctx); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// assetReader is the body as its consumer sees it.
type assetReader struct {
	body *assetBody
	next func() error
}

// hashedReader is the body of a file that is held against its checksum. It is a [transfer.Digester].
type hashedReader struct{ *assetReader }

func (r hashedReader) Digest() string { return hex.EncodeToString(r.body.hash.Sum(nil)) }

// Read implements io.Reader.
func (r *assetReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.body.chunk) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.body.chunk)
	r.body.chunk = r.body.chunk[n:]
	return n, nil
}

// Close implements io.Closer. What has not been read is skipped when the next record is asked for.
func (r *assetReader) Close() error { return nil }
