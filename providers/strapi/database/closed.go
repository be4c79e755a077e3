package database

import (
	"context"
	"errors"
)

var errClosed = errors.New("the connection is closed")

// closedSession stands for a connection that was given back.
type closedSession struct{}

func (closedSession) exec(context.Context, string, []any) (int64, error) { return 0, errClosed }

func (closedSession) query(context.Context, string, []any) (rows, error) { return nil, errClosed }

func (closedSession) bulk(context.Context, string, []string) (Bulk, error) { return nil, errClosed }

func (closedSession) close() error { return nil }
