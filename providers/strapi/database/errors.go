package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/transfer-runner/runner/transfer"
)

// ErrForeignKey is wrapped by the errors of statements that would leave a reference to a row that is not there.
var ErrForeignKey = fmt.Errorf("%w: a row that is referred to is not there", transfer.ErrIncompatible)

// ErrDuplicate is wrapped by the errors of statements that would store what must be unique twice.
var ErrDuplicate = fmt.Errorf("%w: a value that must be unique is there twice", transfer.ErrIncompatible)

// explain adds to a driver's error what it means for a transfer.
func (c Config) explain(err error, verb string) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, transfer.ErrUsage) {
		return err
	}
	if advice, sentinel := c.classify(err); sentinel != nil {
		if advice != "" {
			advice = "; " + advice
		}
		return fmt.Errorf("%w: %s %s: %w%s", sentinel, verb, c, err, advice)
	}
	return fmt.Errorf("%s %s: %w", verb, c, err)
}

// classify finds the sentinel of a driver's error, and a way out where there is one.
func (c Config) classify(err error) (advice string, sentinel error) {
	var lite *sqlite.Error
	var pg *pgconn.PgError
	var my *mysql.MySQLError
	var dial *net.OpError
	switch {
	case errors.As(err, &lite):
		return classifySQLite(lite.Code())
	case errors.As(err, &pg):
		return classifyPostgres(pg.Code)
	case errors.As(err, &my):
		return classifyMySQL(my.Number)
	case errors.As(err, &dial), errors.Is(err, mysql.ErrInvalidConn), pgconn.SafeToRetry(err), errors.Is(err, context.DeadlineExceeded):
		return "", transfer.ErrConnection
	}
	return "", nil
}

const adviceLocked = "it is locked by another process; stop Strapi or whatever else uses it and try again"

func classifySQLite(code int) (advice string, sentinel error) {
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return adviceLocked, transfer.ErrUnwritable
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return "the file and its folder must be writable, because SQLite keeps its journal beside the file", transfer.ErrUnwritable
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR:
		return "is the disk full?", transfer.ErrUnwritable
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "this is not a whole SQLite database", transfer.ErrDamaged
	case sqlite3.SQLITE_CONSTRAINT:
		switch code {
		case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
			return "", ErrForeignKey
		case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY:
			return "", ErrDuplicate
		}
	}
	return "", nil
}

func classifyPostgres(code string) (advice string, sentinel error) {
	switch {
	case code == "23503":
		return "", ErrForeignKey
	case code == "23505":
		return "", ErrDuplicate
	case code == "55P03", code == "40P01":
		return adviceLocked, transfer.ErrUnwritable
	case code == "25006", code == "42501", strings.HasPrefix(code, "53"):
		return "", transfer.ErrUnwritable
	case strings.HasPrefix(code, "28"):
		return "", transfer.ErrAuth
	case code == "3D000":
		return "create the database, or name the right one", transfer.ErrUsage
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57P"):
		return "", transfer.ErrConnection
	}
	return "", nil
}

func classifyMySQL(number uint16) (advice string, sentinel error) {
	switch number {
	case 1451, 1452, 1216, 1217:
		return "", ErrForeignKey
	case 1062:
		return "", ErrDuplicate
	case 1205, 1213:
		return adviceLocked, transfer.ErrUnwritable
	case 1021, 1114, 1290, 1142, 1836, 1792, 1036:
		return "", transfer.ErrUnwritable
	case 1044, 1045, 1698:
		return "", transfer.ErrAuth
	case 1049:
		return "create the database, or name the right one", transfer.ErrUsage
	}
	return "", nil
}

// commitFault tells a commit that failed from one whose answer was lost.
func (c Config) commitFault(err error) error {
	if c.Kind != SQLite && errors.Is(err, transfer.ErrConnection) {
		return fmt.Errorf("%w: the connection broke while %s committed: %w", transfer.ErrOutcomeUnknown, c, err)
	}
	return err
}
