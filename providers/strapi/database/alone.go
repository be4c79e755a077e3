package database

import (
	"context"
	"errors"
)

// RunAlone runs one statement outside of any transaction, such as one that creates a database.
func RunAlone(ctx context.Context, config Config, statement string) error {
	if err := config.validate(); err != nil {
		return err
	}
	db := &DB{config: config}
	s, err := db.connect(ctx)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, statement, nil)
	return config.explain(errors.Join(err, s.close()), "use")
}
