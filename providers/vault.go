package providers

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

// vaultNeed says whether a vault must be there.
type vaultNeed int

const (
	vaultThere vaultNeed = iota
	vaultMade
)

// openVault opens the vault that the configuration names.
func (r *Registry) openVault(ctx context.Context, need vaultNeed) (*vault.Vault, error) {
	var opts vault.Options
	if r.config.Vault != nil {
		var err error
		if opts, err = r.config.Vault(); err != nil {
			return nil, err
		}
	}
	opts.Existing = need == vaultThere
	dir := r.config.Data
	if dir == "" {
		var err error
		if dir, err = vault.DefaultDir(os.Getenv); err != nil {
			return nil, err
		}
	}
	opts.Logger = r.config.Logger
	return vault.Open(ctx, dir, opts)
}

func (r *Registry) openVaultSource(ctx context.Context, e Endpoint) (transfer.Source, error) {
	ref, err := vault.ParseReference(e.Location)
	if err != nil {
		return nil, err
	}
	v, err := r.openVault(ctx, vaultThere)
	if err != nil {
		return nil, err
	}
	src, err := v.Source(ctx, ref.Site, ref.Snapshot)
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return &vaultSource{src, v}, nil
}

func (r *Registry) openVaultDestination(ctx context.Context, e Endpoint) (transfer.Destination, error) {
	ref, err := vault.ParseReference(e.Location)
	if err != nil {
		return nil, err
	}
	if ref.Snapshot != "" {
		return nil, fmt.Errorf("%w: a snapshot is never changed: write to vault:%s, which makes a new one", transfer.ErrUsage, ref.Site)
	}
	v, err := r.openVault(ctx, vaultMade)
	if err != nil {
		return nil, err
	}
	dst, err := v.Destination(ref.Site, vault.WriteOptions{Who: r.config.Who})
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return &vaultDestination{dst, v}, nil
}

// vaultSource closes its vault with itself.
type vaultSource struct {
	*vault.Source

	vault *vault.Vault
}

func (s *vaultSource) Close() error {
	err := s.Source.Close()
	if s.vault != nil {
		err = errors.Join(err, s.vault.Close())
		s.vault = nil
	}
	return err
}

// vaultDestination closes its vault with itself.
type vaultDestination struct {
	*vault.Destination

	vault *vault.Vault
}

func (d *vaultDestination) Close() error {
	err := d.Destination.Close()
	if d.vault != nil {
		err = errors.Join(err, d.vault.Close())
		d.vault = nil
	}
	return err
}
