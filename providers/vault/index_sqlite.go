package vault

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"github.com/transfer-runner/runner/providers/internal/layout"
)

// openSQLite opens the index of one machine: a file in the vault's folder.
func openSQLite(ctx context.Context, path string) (*index, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := ownFile(path); err != nil {
		return nil, err
	}
	open := func(lock string, most int) (*sql.DB, error) {
		// FULL: a commit that was answered survives a power cut.
		query := "?_pragma=busy_timeout(30000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(ON)&_txlock=" + lock
		db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()+query)
		if err == nil {
			db.SetMaxOpenConns(most)
		}
		return db, err
	}
	x := &index{dialect: sqliteDialect{}}
	if x.write, err = open("immediate", 1); err != nil {
		return nil, err
	}
	if x.read, err = open("deferred", readers); err != nil {
		return nil, errors.Join(err, x.write.Close())
	}
	if err := x.dialect.migrate(ctx, x); err != nil {
		return nil, errors.Join(err, x.close())
	}
	return x, nil
}

// ownFile makes a file that belongs to its owner alone, before a library makes one that does not; its companions get its mode.
func ownFile(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode) //nolint:gosec // a fixed name in the vault's folder
	if err != nil {
		return layout.Unwritable(err)
	}
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&^fileMode != 0 { // older versions made it so
		err = file.Chmod(fileMode)
	}
	return errors.Join(err, file.Close())
}

// sqliteDialect is the one that the statements are written in. Its transactions begin with the lock.
type sqliteDialect struct{}

func (sqliteDialect) text(statement string) string { return statement }

func (sqliteDialect) begin(context.Context, *sql.Tx) error { return nil }

func (sqliteDialect) migrate(ctx context.Context, x *index) error {
	return x.change(ctx, func(tx *indexTx) error {
		return migrate(ctx, tx, "sqlite", func() (version int, err error) {
			err = tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version)
			return version, err
		}, func(version int) error {
			_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version))
			return err
		})
	})
}

func (sqliteDialect) check(ctx context.Context, x *index, r *CheckReport) error {
	err := x.rows(ctx, func(row *sql.Rows) error {
		var text string
		if err := row.Scan(&text); err != nil {
			return err
		}
		if text != "ok" {
			r.Problems = append(r.Problems, Problem{Message: "index: " + text})
		}
		return nil
	}, "PRAGMA integrity_check(100)")
	if err != nil {
		return err
	}
	if n, err := x.number(ctx, "SELECT count(*) FROM pragma_foreign_key_check"); err != nil || n > 0 {
		r.Problems = append(r.Problems, Problem{Message: fmt.Sprintf("index: %d rows refer to others that are not there", n)})
	}
	return nil
}
