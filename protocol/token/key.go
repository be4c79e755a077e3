package token

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The key's file in the data folder.
const (
	keyFile   = "token.key"
	keyLength = 32 // bytes: what HS256 hashes into
	keyMode   = 0o600
)

// loadKey reads the key, or makes one. A key that others can read is refused: it may have been read.
func loadKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, keyFile)
	file, err := os.Open(path) //nolint:gosec // a fixed name in the data folder
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeKey(dir, path); err != nil {
			return nil, fmt.Errorf("make the key for tokens: %w", err)
		}
		file, err = os.Open(path) //nolint:gosec // as above
	}
	if err != nil {
		return nil, fmt.Errorf("open the key for tokens: %w", err)
	}
	defer file.Close() //nolint:errcheck // only read
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open the key for tokens: %w", err)
	}
	if mode := info.Mode().Perm(); !private(mode) {
		return nil, fmt.Errorf("the key for tokens, %s, can be read by others (mode %04o); if nobody has, chmod 600 it, and delete it otherwise", path, mode)
	}
	key := make([]byte, keyLength+1)
	n, err := io.ReadFull(file, key)
	if n != keyLength || !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("the key for tokens, %s, is damaged: it has not %d bytes; delete it to make a new one, which voids all tokens", path, keyLength)
	}
	return key[:keyLength], nil
}

// makeKey writes a key that is whole from the moment it has its name. When another process was faster, its key stays.
func makeKey(dir, path string) (err error) {
	key := make([]byte, keyLength)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, keyFile+".*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()
	_, err = file.Write(key)
	err = errors.Join(err, file.Chmod(keyMode), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(dir)
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir) //nolint:gosec // the data folder
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
