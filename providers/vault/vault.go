package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// The parts of a vault's folder.
const (
	indexFile   = "index.db"
	blobFolder  = "blobs"
	tempFolder  = "tmp"
	locksFolder = "locks"
)

// What a vault is made of belongs to its owner alone: it is the content of whole sites.
const (
	folderMode = 0o700
	fileMode   = 0o600
)

// Options steer [Open]. The zero value works.
type Options struct {
	// Existing refuses to make a vault where there is none.
	Existing bool

	// Database is the URL of a PostgreSQL database that several servers keep the index of one vault in, and lock it by. "" is a file
	// in the vault's folder, and locks for this machine.
	Database string
	// Blobs is the bucket that the pieces are kept in; see [ParseBucket]. nil is the vault's folder.
	Blobs *Bucket

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // nil discards

	fault func(point string) // told how far a write came; for tests
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.fault == nil {
		o.fault = func(string) {}
	}
	return o
}

// Vault is an open vault. It may be used by several goroutines.
type Vault struct {
	dir     string
	opts    Options
	index   *index
	locks   locks
	pieces  pieces
	decoder *zstd.Decoder // only for whole segments, which is safe for several goroutines
}

// Open opens the vault in a folder, making it if need be. What a crash has left there is swept, unless somebody is using the
// vault just now. Sources and destinations must be closed before the vault is.
func Open(ctx context.Context, dir string, opts Options) (*Vault, error) {
	v := &Vault{dir: dir, opts: opts.withDefaults()}
	if _, err := os.Stat(filepath.Join(dir, indexFile)); opts.Existing && opts.Database == "" && errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no vault in %s", transfer.ErrUsage, dir)
	}
	for _, folder := range []string{dir, v.path(blobFolder), v.path(tempFolder), v.path(locksFolder)} {
		if err := os.MkdirAll(folder, folderMode); err != nil {
			return nil, layout.Unwritable(fmt.Errorf("open vault: %w", err))
		}
	}
	var err error
	if v.decoder, err = newDecoder(); err != nil {
		return nil, err
	}
	if err := v.connect(ctx); err != nil {
		v.decoder.Close()
		return nil, fmt.Errorf("open vault %s: %w", dir, err)
	}
	if err := v.recover(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open vault %s: %w", dir, err), v.Close())
	}
	return v, nil
}

// connect opens what the vault is made of.
func (v *Vault) connect(ctx context.Context) (err error) {
	v.pieces = &folderPieces{v: v, dir: v.path(blobFolder)}
	if v.opts.Blobs != nil {
		if v.pieces, err = newBucketPieces(v, *v.opts.Blobs); err != nil {
			return err
		}
		if err := v.opts.Blobs.probe(ctx); err != nil {
			return err
		}
	}
	if v.opts.Database == "" {
		v.index, err = openSQLite(ctx, v.path(indexFile))
		v.locks = &fileLocks{dir: v.path(locksFolder), index: v.index, now: v.opts.Now}
		return err
	}
	x, sessions, err := openPostgres(ctx, v.opts.Database)
	if err != nil {
		return err
	}
	v.index, v.locks = x, &pgLocks{sessions: sessions, index: x, now: v.opts.Now}
	if err := v.agree(ctx); err != nil {
		return errors.Join(err, v.locks.close(), v.index.close())
	}
	return nil
}

// Dir returns the vault's folder.
func (v *Vault) Dir() string { return v.dir }

// Close lets go of the vault.
func (v *Vault) Close() error {
	v.decoder.Close()
	return errors.Join(v.locks.close(), v.index.close())
}

func (v *Vault) path(parts ...string) string {
	return filepath.Join(append([]string{v.dir}, parts...)...)
}

// recover sweeps if there is anything to sweep.
func (v *Vault) recover(ctx context.Context) error {
	left, err := os.ReadDir(v.path(tempFolder))
	if err != nil {
		return err
	}
	forgotten, err := v.index.forgotten(ctx)
	if err != nil || len(left) == 0 && forgotten == 0 {
		return err
	}
	_, err = v.Sweep(ctx)
	return err
}

// DefaultDir returns the folder in which a user's vault is when none is named: TRANSFER_DATA, or a folder of ours where programs
// keep their data.
func DefaultDir(getenv func(string) string) (string, error) {
	if dir := getenv("TRANSFER_DATA"); dir != "" {
		return dir, nil
	}
	const name = "transfer-runner"
	if dir := cmp.Or(getenv("XDG_DATA_HOME"), getenv("LocalAppData")); filepath.IsAbs(dir) {
		return filepath.Join(dir, name), nil
	}
	home := cmp.Or(getenv("HOME"), getenv("USERPROFILE"))
	if home == "" {
		return "", fmt.Errorf("%w: there is no home folder to keep data in: give --data DIR or set TRANSFER_DATA", transfer.ErrUsage)
	}
	return filepath.Join(home, ".local", "share", name), nil
}
