package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

// What several servers share, and where that is said besides by flags.
const (
	databaseVariable = "TRANSFER_DATABASE"
	blobsVariable    = "TRANSFER_BLOBS"

	databaseUsage = "postgres://…, where several servers keep jobs, tokens and the index of the vault (TRANSFER_DATABASE; default: SQLite in the data folder)"
	blobsUsage    = "s3://BUCKET/PREFIX?endpoint=https://HOST&region=REGION, where the vault keeps its pieces (TRANSFER_BLOBS; default: the data folder)"
)

// vaultOptions are how a vault is opened: with what the flags say, or else the environment.
func (a *app) vaultOptions(database, blobs string) (vault.Options, error) {
	o := vault.Options{Now: a.now, Logger: a.log, Database: cmp.Or(database, a.getenv(databaseVariable))}
	a.secrets.add(passwordOf(o.Database))
	if o.Database != "" && !isPostgres(o.Database) {
		return o, fmt.Errorf("%w: --database takes postgres://USER@HOST:PORT/NAME", transfer.ErrUsage)
	}
	if text := cmp.Or(blobs, a.getenv(blobsVariable)); text != "" {
		bucket, err := vault.ParseBucket(text)
		if err != nil {
			return o, fmt.Errorf("--blobs: %w", err)
		}
		o.Blobs = &bucket
	}
	return o, nil
}

func isPostgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// openVault opens the vault of a server.
func (o *serveOptions) openVault(ctx context.Context, a *app, dir string) (*vault.Vault, error) {
	opts, err := a.vaultOptions(o.jobFlags.Database, o.Blobs)
	if err != nil {
		return nil, err
	}
	return vault.Open(ctx, dir, opts)
}

// providersConfig is what a server's endpoints share.
func (o *serveOptions) providersConfig(a *app, dir string) providers.Config {
	return providers.Config{Logger: a.log, Data: dir, Vault: func() (vault.Options, error) { return a.vaultOptions(o.jobFlags.Database, o.Blobs) }}
}
