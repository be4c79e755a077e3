package archive

import (
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/scrypt"
)

// The stock key derivation: no salt, because an .enc file has no header to keep one in.
const (
	stockCost     = 16384
	stockBlock    = 8
	stockParallel = 1
	stockKeySize  = 16

	ecbChunk = 64 << 10 // a multiple of the block size
)

var (
	errCutBlock = errors.New("the encrypted text does not end with a whole block")
	errPadding  = errors.New("the encrypted text does not end with its padding")
)

func (o Options) stockCipher() (cipher.Block, error) {
	if o.stock != nil {
		return o.stock, nil
	}
	return stockCipher(o.Key)
}

// stockCipher returns the cipher that `strapi export` uses for a key.
func stockCipher(key string) (cipher.Block, error) {
	derived, err := scrypt.Key([]byte(key), nil, stockCost, stockBlock, stockParallel, stockKeySize)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return aes.NewCipher(derived)
}

// ecbReader decrypts block by block and takes the padding off the last one.
type ecbReader struct {
	src   io.Reader
	block cipher.Block
	buf   []byte // cipher text; the last block is held back until it is known whether it is the last
	held  int
	plain []byte // decrypted and not yet read; a part of buf
	last  [aes.BlockSize]byte
	err   error
}

func newECBReader(src io.Reader, block cipher.Block) *ecbReader {
	return &ecbReader{src: src, block: block, buf: make([]byte, ecbChunk+aes.BlockSize)}
}

func (r *ecbReader) Read(p []byte) (int, error) {
	for len(r.plain) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

func (r *ecbReader) fill() {
	copy(r.buf, r.last[:r.held])
	n, err := io.ReadFull(r.src, r.buf[r.held:])
	n += r.held
	switch {
	case err == nil:
		copy(r.last[:], r.buf[n-aes.BlockSize:n])
		r.held = aes.BlockSize
		r.plain = r.decrypt(r.buf[:n-aes.BlockSize])
	case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		r.err = err
	case n == 0 || n%aes.BlockSize != 0:
		r.err = errCutBlock
	default:
		r.plain, r.err = unpad(r.decrypt(r.buf[:n]))
	}
}

func (r *ecbReader) decrypt(text []byte) []byte {
	for i := 0; i < len(text); i += aes.BlockSize {
		r.block.Decrypt(text[i:i+aes.BlockSize], text[i:i+aes.BlockSize])
	}
	return text
}

// unpad takes PKCS#7 padding off. The error is io.EOF if it was right; if not, the blocks before it are still good for telling
// whether the key fits.
func unpad(text []byte) ([]byte, error) {
	pad := int(text[len(text)-1])
	if pad == 0 || pad > aes.BlockSize {
		return text[:len(text)-aes.BlockSize], errPadding
	}
	for _, b := range text[len(text)-pad:] {
		if int(b) != pad {
			return text[:len(text)-aes.BlockSize], errPadding
		}
	}
	return text[:len(text)-pad], io.EOF
}

// ecbWriter encrypts block by block; Close pads the last one.
type ecbWriter struct {
	dst   io.Writer
	block cipher.Block
	buf   []byte
}

func newECBWriter(dst io.Writer, block cipher.Block) *ecbWriter {
	return &ecbWriter{dst: dst, block: block, buf: make([]byte, 0, ecbChunk)}
}

func (w *ecbWriter) Write(p []byte) (int, error) {
	written := 0
	for len(p) > 0 {
		n := copy(w.buf[len(w.buf):cap(w.buf)], p)
		w.buf = w.buf[:len(w.buf)+n]
		p = p[n:]
		if len(w.buf) == cap(w.buf) {
			if err := w.flush(); err != nil {
				return written, err
			}
		}
		written += n
	}
	return written, nil
}

func (w *ecbWriter) flush() error {
	for i := 0; i < len(w.buf); i += aes.BlockSize {
		w.block.Encrypt(w.buf[i:i+aes.BlockSize], w.buf[i:i+aes.BlockSize])
	}
	_, err := w.dst.Write(w.buf)
	w.buf = w.buf[:0]
	return err
}

// Close writes the padding. It leaves the writer below open.
func (w *ecbWriter) Close() error {
	pad := aes.BlockSize - len(w.buf)%aes.BlockSize
	for range pad {
		w.buf = append(w.buf, byte(pad))
	}
	return w.flush()
}
