package vault

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

const (
	// placeFile holds what an index that is elsewhere calls the folder, if the pieces are in it.
	placeFile = "place"

	folderPlace = "folder "
	bucketPlace = "s3://"

	// probeTimeout is how long a bucket may take to show that it is there.
	probeTimeout = 15 * time.Second
	probeRetries = 3
)

// agree makes sure that all who share an index keep the pieces in one place. Nobody would notice otherwise before a snapshot is read
// by somebody who has half of it.
func (v *Vault) agree(ctx context.Context) error {
	return v.index.change(ctx, func(tx *indexTx) error {
		var place string
		err := tx.QueryRowContext(ctx, "SELECT value FROM settings WHERE key = 'pieces'").Scan(&place)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read index: %w", err)
		}
		ours, err := v.place()
		if err != nil || ours != "" && ours == place {
			return err
		}
		var pieces int64
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM blobs LIMIT 1) AS any_piece").Scan(&pieces); err != nil {
			return fmt.Errorf("read index: %w", err)
		}
		if place != "" && pieces > 0 {
			return v.disagree(place)
		}
		if ours == "" {
			ours = folderPlace + rand.Text()
			if err := os.WriteFile(v.path(placeFile), []byte(ours), fileMode); err != nil {
				return layout.Unwritable(err)
			}
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO settings (key, value) VALUES ('pieces', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", ours)
		return err
	})
}

// place says where this vault keeps its pieces, in a way that is the same for all who keep them there. A folder that has no name yet
// is "".
func (v *Vault) place() (string, error) {
	if b := v.opts.Blobs; b != nil {
		return strings.TrimSuffix(bucketPlace+b.Name+"/"+b.Prefix, "/"), nil // its endpoint may have several addresses
	}
	text, err := os.ReadFile(v.path(placeFile))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// disagree says what to do about pieces that are in another place.
func (v *Vault) disagree(place string) error {
	if strings.HasPrefix(place, folderPlace) {
		return fmt.Errorf("%w: the pieces of the vault in this database are in the data folder of another server: give all servers one bucket "+
			"from the start (--blobs, TRANSFER_BLOBS), or a data folder that they share (--data, TRANSFER_DATA)", transfer.ErrUsage)
	}
	return fmt.Errorf("%w: the pieces of the vault in this database are in %s: give the address of that bucket (--blobs, TRANSFER_BLOBS)", transfer.ErrUsage, place)
}

// probe finds out whether the bucket is there and lets us in, so that it shows at the start.
func (b Bucket) probe(ctx context.Context) error {
	client, err := b.client(probeRetries)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	there, err := client.BucketExists(within, b.Name)
	switch response := minio.ToErrorResponse(err); {
	case err == nil && there:
		return nil
	case err == nil:
		return fmt.Errorf("%w: bucket %s: there is no such bucket: make it first, or correct the address", transfer.ErrUsage, b)
	case response.StatusCode == http.StatusForbidden || response.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%w: bucket %s: %w; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to keys that may list, read, write and delete in it", transfer.ErrAuth, b, err)
	case ctx.Err() == nil && within.Err() != nil:
		return fmt.Errorf("%w: bucket %s: no answer within %s", transfer.ErrConnection, b, probeTimeout)
	}
	return fmt.Errorf("%w: bucket %s: %w", transfer.ErrConnection, b, err)
}
