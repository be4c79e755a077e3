package vault

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/transfer-runner/runner/transfer"
)

//go:embed migrations/*/*.sql
var migrations embed.FS

// migrate runs the files of a folder that an index has not seen yet, one numbered file after the other. get and set are the version
// that the index is of.
func migrate(ctx context.Context, tx *indexTx, folder string, get func() (int, error), set func(version int) error) error {
	names, err := fs.Glob(migrations, "migrations/"+folder+"/*.sql")
	if err != nil {
		return err
	}
	version, err := get()
	if err != nil {
		return damaged(err)
	}
	if version > len(names) {
		return fmt.Errorf("%w: the index is of version %d, this program knows %d: use a newer one", transfer.ErrIncompatible, version, len(names))
	}
	for i, name := range names[version:] {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return err
		}
		if _, err := tx.Tx.ExecContext(ctx, string(text)); err != nil {
			return fmt.Errorf("migrate index to version %d: %w", version+i+1, err)
		}
	}
	return set(len(names))
}
