package providers

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/transfer-runner/runner/providers/archive"
	"github.com/transfer-runner/runner/providers/directory"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

// Config is what all providers share. The zero value works.
type Config struct {
	Logger *slog.Logger         // nil discards
	Note   func(message string) // told what was corrected while an endpoint was opened; nil discards
	Data   string               // the folder of the vault; "" is the user's own

	// Vault says how the vault is opened, as far as it is not here that this is known; nil is by default.
	Vault func() (vault.Options, error)

	Who string // told to others who want to write the same site of the vault meanwhile
}

// Registry opens endpoints. It may be used by several goroutines.
type Registry struct {
	config Config

	mu    sync.Mutex        // guards found
	found map[string]string // where the runner of an address is, once it was looked for
}

// New returns a registry of all providers of this build.
func New(config Config) *Registry {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Note == nil {
		config.Note = func(string) {}
	}
	return &Registry{config: config, found: make(map[string]string)}
}

// OpenSource opens an endpoint for reading. Servers are looked for, but not connected to yet.
func (r *Registry) OpenSource(ctx context.Context, e Endpoint, a Access) (transfer.Source, error) {
	switch e.Kind {
	case KindServer:
		opts := r.remoteOptions(a)
		base, err := r.probe(ctx, e.Location, opts)
		if err != nil {
			return nil, err
		}
		return remote.NewSource(base, opts), nil
	case KindArchive:
		src, err := archive.Open(e.Location, a.archiveOptions())
		if err != nil {
			return nil, err
		}
		return src, nil
	case KindDirectory:
		src, err := directory.Open(e.Location, directory.Options{})
		if err != nil {
			return nil, err
		}
		return src, nil
	case KindVault:
		return r.openVaultSource(ctx, e)
	case KindProject, KindDatabase:
		return r.openSiteSource(ctx, e, a)
	}
	return nil, fmt.Errorf("%w: nothing can be read from %q", transfer.ErrUsage, e.Kind)
}

// OpenDestination opens an endpoint for writing. Nothing is changed yet.
func (r *Registry) OpenDestination(ctx context.Context, e Endpoint, a Access) (transfer.Destination, error) {
	switch e.Kind {
	case KindServer:
		opts := r.remoteOptions(a)
		base, err := r.probe(ctx, e.Location, opts)
		if err != nil {
			return nil, err
		}
		return remote.NewDestination(base, opts), nil
	case KindArchive:
		dst, err := archive.Create(e.Location, a.archiveOptions())
		if err != nil {
			return nil, err
		}
		return dst, nil
	case KindDirectory:
		dst, err := directory.Create(e.Location, directory.Options{})
		if err != nil {
			return nil, err
		}
		return dst, nil
	case KindVault:
		return r.openVaultDestination(ctx, e)
	case KindProject, KindDatabase:
		dst, err := r.OpenSiteDestination(ctx, e, a, r.config.Who)
		if err != nil {
			return nil, err
		}
		return dst, nil
	}
	return nil, fmt.Errorf("%w: nothing can be written to %q", transfer.ErrUsage, e.Kind)
}

// probe finds the runner of a site whose address lacks /admin.
func (r *Registry) probe(ctx context.Context, base string, opts remote.Options) (string, error) {
	r.mu.Lock()
	known, ok := r.found[base]
	r.mu.Unlock()
	if ok {
		return known, nil
	}
	found, notes, err := remote.Probe(ctx, base, opts)
	if err != nil {
		return "", err
	}
	for _, note := range notes {
		r.config.Note(note.Message)
	}
	r.mu.Lock()
	r.found[base] = found
	r.mu.Unlock()
	return found, nil
}

func (r *Registry) remoteOptions(a Access) remote.Options {
	o := remote.Options{
		Token: a.Token.Reveal(), Header: a.Header, TLS: a.TLS, Logger: r.config.Logger,
		RetryMessageTimeout: a.RetryMessageTimeout, RetryMessageMaxRetries: a.RetryMessageMaxRetries,
		StallTimeout: a.StallTimeout, PrepareTimeout: a.PrepareTimeout, Offer: remote.Supported(), Merge: a.Merge, Conflict: a.Conflict,
	}
	if a.NoChecksums {
		o.Checksums = remote.ChecksumsOff
	}
	return o
}

func (a Access) archiveOptions() archive.Options {
	return archive.Options{Key: a.Key.Reveal(), Recipients: a.Recipients, Identities: a.Identities}
}
