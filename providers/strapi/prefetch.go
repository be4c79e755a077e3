package strapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"sync"

	"github.com/transfer-runner/runner/providers/strapi/uploads"
)

// How much is read before it is asked for.
const (
	prefetchFiles = 8       // at a time
	prefetchBytes = 8 << 20 // of all of them
	prefetchFile  = 2 << 20 // of one; a larger one takes long enough to hide the time that it takes to open the next
)

// prefetch reads small files while those before them are written: storage elsewhere takes its time for each, however small, and
// hashing them is work for another processor. It begins when somebody opens a file, so that files which nobody wants cost nothing.
type prefetch struct {
	store  uploads.Store
	ctx    context.Context //nolint:containedctx // of the loads, which outlive the call that begins them
	cancel context.CancelFunc
	loads  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	line  []*early   // files from position first on that were handed out and not opened yet
	first int
	next  int   // position of the first file that is not being read
	held  int64 // bytes of files that are being read or wait
	count int   // of such files
	spare [][]byte
}

// early is a file that may be read before it is asked for.
type early struct {
	file   uploads.File
	size   int64
	done   chan struct{} // closed when what follows is set; nil when it is not being read
	buffer []byte        // nil if it could not be read: whoever opens it hears why
	digest string
}

func newPrefetch(ctx context.Context, store uploads.Store) *prefetch {
	ctx, cancel := context.WithCancel(ctx)
	return &prefetch{store: store, ctx: ctx, cancel: cancel}
}

// content puts a file in line and returns how it is opened.
func (p *prefetch) content(file uploads.File, size int64) func(context.Context) (io.ReadCloser, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.first + len(p.line)
	p.line = append(p.line, &early{file: file, size: size})
	return func(ctx context.Context) (io.ReadCloser, error) {
		if body, err := p.take(ctx, at); body != nil || err != nil {
			return body, err
		}
		body, _, err := p.store.Open(ctx, file)
		return body, err
	}
}

// take returns the file at a position if it was read early, else nil, and begins to read those after it. Those before it are over.
func (p *prefetch) take(ctx context.Context, at int) (io.ReadCloser, error) {
	p.mu.Lock()
	if at < p.first { // out of turn
		p.mu.Unlock()
		return nil, nil
	}
	passed, e := p.line[:at-p.first], p.line[at-p.first]
	p.line, p.first = p.line[at-p.first+1:], at+1
	begun := p.next > at
	p.next = max(p.next, p.first)
	p.mu.Unlock()
	for _, e := range passed {
		if e.done != nil { // nobody else begins to read it any more
			<-e.done
			p.release(e)
		}
	}
	p.advance()
	if !begun || e.done == nil {
		return nil, nil
	}
	select {
	case <-e.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if e.buffer == nil {
		p.release(e)
		p.advance()
		return nil, nil
	}
	return &earlyBody{Reader: bytes.NewReader(e.buffer), prefetch: p, early: e}, nil
}

// advance begins to read as many files as may be read.
func (p *prefetch) advance() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.next-p.first < len(p.line) && p.count < prefetchFiles {
		e := p.line[p.next-p.first]
		if 0 <= e.size && e.size <= prefetchFile {
			if p.held+e.size > prefetchBytes {
				return
			}
			e.done = make(chan struct{})
			p.count++
			p.held += e.size
			buffer := p.buffer(e.size)
			p.loads.Go(func() {
				defer close(e.done)
				p.load(e, buffer)
			})
		}
		p.next++
	}
}

// buffer returns one for a file and a byte more. p.mu must be held.
func (p *prefetch) buffer(size int64) []byte {
	if n := len(p.spare); n > 0 {
		b := p.spare[n-1]
		p.spare = p.spare[:n-1]
		if int64(cap(b)) > size {
			return b[:size+1]
		}
	}
	return make([]byte, size+1)
}

// load reads a file. Of one that cannot be read, or is not as long as it was, it keeps nothing.
func (p *prefetch) load(e *early, buffer []byte) {
	body, _, err := p.store.Open(p.ctx, e.file)
	if err != nil {
		return
	}
	n, err := io.ReadFull(body, buffer)
	if closed := body.Close(); closed != nil || err != io.ErrUnexpectedEOF && err != io.EOF || int64(n) != e.size { //nolint:errorlint // ReadFull returns them as they are
		return
	}
	sum := sha256.Sum256(buffer[:n])
	e.buffer, e.digest = buffer[:n], hex.EncodeToString(sum[:])
}

// release lets go of a file that was read.
func (p *prefetch) release(e *early) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count--
	p.held -= e.size
	if e.buffer != nil {
		p.spare = append(p.spare, e.buffer[:0])
		e.buffer = nil
	}
}

// close ends all reading. Nothing that was opened may be read after it.
func (p *prefetch) close() {
	p.cancel()
	p.loads.Wait()
}

// earlyBody is the content of a file that was read early.
type earlyBody struct {
	*bytes.Reader

	prefetch *prefetch
	early    *early
	once     sync.Once
}

// Digest is the SHA-256 of the whole file, in lower-case hex; see [transfer.Asset].
func (b *earlyBody) Digest() string { return b.early.digest }

// Close implements [io.Closer].
func (b *earlyBody) Close() error {
	b.once.Do(func() {
		b.Reader = bytes.NewReader(nil)
		b.prefetch.release(b.early)
		b.prefetch.advance()
	})
	return nil
}
