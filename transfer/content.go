package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Digester may be implemented by what [Asset.Content] returns, where the bytes have been hashed on their way: nobody does it again then.
type Digester interface {
	// Digest is the SHA-256 of the whole content in lower-case hex. It is called after Read has returned [io.EOF].
	Digest() string
}

// Open returns the asset's bytes. Reading fails with an error that wraps [ErrDamaged] where it would have ended, if the content is
// not as long as Length promises or not what Digest says.
func (a Asset) Open(ctx context.Context) (*Body, error) {
	if a.Content == nil {
		return nil, fmt.Errorf("%w: asset %s has no content", ErrDamaged, a.Filename)
	}
	r, err := a.Content(ctx)
	if err != nil {
		return nil, fmt.Errorf("open asset %s: %w", a.Filename, err)
	}
	b := &Body{asset: a, r: r}
	if known, ok := r.(Digester); ok {
		b.known = known
	} else {
		b.hash = sha256.New()
	}
	return b, nil
}

// Body is an open asset. It checks itself, so that nobody can forget to.
type Body struct {
	asset Asset
	r     io.ReadCloser
	hash  hash.Hash // nil when known is not
	known Digester
	n     int64
	ended bool
}

// Read implements [io.Reader].
func (b *Body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.hash != nil {
		b.hash.Write(p[:n])
	}
	b.n += int64(n)
	if b.asset.Length >= 0 && b.n > b.asset.Length {
		return n, fmt.Errorf("%w: asset %s is longer than the %d bytes promised", ErrDamaged, b.asset.Filename, b.asset.Length)
	}
	if errors.Is(err, io.EOF) {
		if bad := b.check(); bad != nil {
			return n, bad
		}
		b.ended = true
	}
	return n, err
}

func (b *Body) check() error {
	if b.asset.Length >= 0 && b.n != b.asset.Length {
		return fmt.Errorf("%w: asset %s has %d bytes, promised were %d", ErrDamaged, b.asset.Filename, b.n, b.asset.Length)
	}
	if want := b.asset.Digest; want != "" && want != b.Digest() {
		return fmt.Errorf("%w: asset %s: SHA-256 is %s, promised was %s", ErrDamaged, b.asset.Filename, b.Digest(), want)
	}
	return nil
}

// Digest is the SHA-256 of the content, in lower-case hex, once that was read to its end.
func (b *Body) Digest() string {
	if b.known != nil {
		return b.known.Digest()
	}
	return hex.EncodeToString(b.hash.Sum(nil))
}

// Size is the number of bytes read so far.
func (b *Body) Size() int64 { return b.n }

// Whole reports whether the content was read to its end and found right.
func (b *Body) Whole() bool { return b.ended }

// Close lets go of the asset.
func (b *Body) Close() error { return b.r.Close() }

// copyDiscard reads r to its end, or to the end of ctx.
func copyDiscard(ctx context.Context, r io.Reader) (int64, error) {
	return io.Copy(io.Discard, readerFunc(func(p []byte) (int, error) {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		return r.Read(p)
	}))
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// joinClose closes c and adds its error to err.
func joinClose(err error, c io.Closer) error { return errors.Join(err, c.Close()) }
