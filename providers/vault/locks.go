package vault

import (
	"context"
	"fmt"
	"io"
	"time"
)

// locks keep those who use a vault out of each other's way. Whoever holds one and dies lets go of it.
type locks interface {
	// share keeps the pieces of the vault from being removed, until it is closed. Any number of readers and writers share.
	share(ctx context.Context) (holding, error)
	// alone lets nobody else in. It returns nil if somebody is using the vault.
	alone(ctx context.Context) (holding, error)
	// site makes who the one writer of a site, until the share is closed. If there is one the error is a [*BusyError].
	site(ctx context.Context, share holding, site, who string) error
	// tidy removes what killed writers told of themselves. Whoever calls it is alone.
	tidy(ctx context.Context) error
	close() error
}

// holding is a lock that is held.
type holding interface {
	io.Closer

	// change is [index.change] as far as the lock is still held.
	change(ctx context.Context, run func(tx *indexTx) error) error
}

// Holder says who is writing a site.
type Holder struct {
	Who   string    `json:"who"`
	Host  string    `json:"host,omitempty"` // of several that share a vault
	PID   int       `json:"pid"`
	Since time.Time `json:"since"`
}

func (h Holder) String() string {
	if h.PID == 0 {
		return "somebody"
	}
	who := h.Who
	if who == "" {
		who = "a transfer"
	}
	where := ""
	if h.Host != "" {
		where = " on " + h.Host
	}
	return fmt.Sprintf("%s (process %d%s) since %s", who, h.PID, where, h.Since.Format(time.RFC3339))
}
