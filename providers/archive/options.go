package archive

import (
	"compress/gzip"
	"crypto/cipher"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// Options steer [Open] and [Create]. The zero value serves archives that are not encrypted.
type Options struct {
	// Key is the secret of an encrypted archive: the stock key of .enc, the passphrase of .age.
	Key string

	// Recipients are the public keys (age1…) that an .age archive is written for, instead of a Key.
	Recipients []string

	// Identities are the secret keys (AGE-SECRET-KEY-1…) that open an .age archive, instead of a Key. Each may be the content of
	// an identity file.
	Identities []string

	// Level is the gzip level, 1 to 9; 0 is a fast default.
	Level int

	// MaxSize bounds what an archive may unpack to, in bytes; 0 is 1 TiB.
	MaxSize int64

	// PartSize is where a new part of records begins, in bytes; 0 is Strapi's 256,000,000.
	PartSize int64

	// passphraseWork is the base-2 logarithm of the work that a passphrase costs; 0 is age's own.
	passphraseWork int

	// stock is the cipher that Key stands for, where it is known already.
	stock cipher.Block
}

// ErrWrongKey marks an archive that a key does not open.
var ErrWrongKey = errors.New("the key does not fit")

// defaultLevel is where a slow server is still slower than the compression, and the archive hardly larger than at level 6.
const defaultLevel = 3

func (o Options) level() (int, error) {
	switch {
	case o.Level == 0:
		return defaultLevel, nil
	case o.Level < gzip.BestSpeed || o.Level > gzip.BestCompression:
		return 0, fmt.Errorf("%w: gzip level %d, must be 1 to 9", transfer.ErrUsage, o.Level)
	}
	return o.Level, nil
}

// cipherKind is how an archive is encrypted.
type cipherKind int

const (
	cipherNone cipherKind = iota
	cipherStock
	cipherAge
)

// form is what a file's name says of it.
type form struct {
	cipher cipherKind
	gzip   bool
}

// The extensions that a name is made of.
const (
	extTar  = ".tar"
	extGzip = ".gz"
	extEnc  = ".enc"
	extAge  = ".age"
)

// IsName reports whether a path has the name of an archive.
func IsName(path string) bool {
	_, err := parseForm(path)
	return err == nil
}

func parseForm(path string) (form, error) {
	var f form
	name := filepath.Base(path)
	if rest, ok := strings.CutSuffix(name, extEnc); ok {
		name, f.cipher = rest, cipherStock
	} else if rest, ok := strings.CutSuffix(name, extAge); ok {
		name, f.cipher = rest, cipherAge
	}
	if rest, ok := strings.CutSuffix(name, extGzip); ok {
		name, f.gzip = rest, true
	}
	if name == extTar || !strings.HasSuffix(name, extTar) {
		return form{}, fmt.Errorf("%w: %s is not the name of an archive: it must end in .tar or .tar.gz, and then in .enc or .age if it is encrypted",
			transfer.ErrUsage, path)
	}
	return f, nil
}
