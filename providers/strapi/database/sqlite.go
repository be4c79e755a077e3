package database

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"modernc.org/sqlite"

	"github.com/transfer-runner/runner/transfer"
)

// sqliteLimits: SQLite takes 32,766 values a statement; beyond a few hundred nothing is gained.
func sqliteLimits() limits { return limits{binds: 4096, bytes: 4 << 20, rows: 128} }

// connectSQLite opens the file, which must be there. The journal mode is its owner's business.
func connectSQLite(ctx context.Context, c Config) (session, error) {
	info, err := os.Stat(c.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%w: there is no database file %s: start Strapi once to create it, or name the right one", transfer.ErrUsage, c.Path)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	case info.IsDir():
		return nil, fmt.Errorf("%w: %s is a folder, not a database file", transfer.ErrUsage, c.Path)
	}
	path, err := filepath.Abs(c.Path)
	if err != nil {
		return nil, err
	}
	query := url.Values{"mode": {"rw"}, "_pragma": {
		"busy_timeout(" + strconv.FormatInt(c.busyTimeout().Milliseconds(), 10) + ")", "foreign_keys(1)",
	}}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	conn, err := (&sqlite.Driver{}).Open(dsn.String())
	if err != nil {
		return nil, err
	}
	s := &driverSession{kind: SQLite, conn: conn, limits: sqliteLimits()}
	if _, err := s.exec(ctx, "PRAGMA temp_store = MEMORY", nil); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}
