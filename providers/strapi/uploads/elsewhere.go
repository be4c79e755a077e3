package uploads

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"

	"github.com/transfer-runner/runner/transfer"
)

// Elsewhere is where files are that a provider keeps which is not known here. They can be read from the web, and not be written. It
// implements [Store].
type Elsewhere struct {
	provider string
	client   *http.Client
}

var _ Store = (*Elsewhere)(nil)

// NewElsewhere returns the store of an unknown provider.
func NewElsewhere(provider string) *Elsewhere {
	return &Elsewhere{provider: provider, client: webClient()}
}

// Provider implements [Store].
func (e *Elsewhere) Provider() string { return e.provider }

// Open implements [Store].
func (e *Elsewhere) Open(ctx context.Context, f File) (io.ReadCloser, int64, error) {
	if !elsewhere(File{URL: f.URL, Provider: e.provider}, "") {
		return nil, 0, e.missing(f)
	}
	return fetch(ctx, e.client, f)
}

// Stat implements [Store].
func (e *Elsewhere) Stat(ctx context.Context, f File) (int64, error) {
	if !elsewhere(File{URL: f.URL, Provider: e.provider}, "") {
		return 0, e.missing(f)
	}
	return measure(ctx, e.client, f)
}

func (e *Elsewhere) missing(f File) error {
	return fmt.Errorf("uploaded file %s: its url is not one of the web: %w", f.Name(), fs.ErrNotExist)
}

// Recover implements [Store].
func (e *Elsewhere) Recover(context.Context, func(context.Context, string) (bool, error)) ([]string, error) {
	return nil, nil
}

// Begin implements [Store].
func (e *Elsewhere) Begin(context.Context, BeginOptions) (Change, error) {
	return nil, fmt.Errorf("%w: %w: files of the upload provider %q cannot be written; leave them out with --exclude files, or name a folder with --uploads",
		transfer.ErrUsage, transfer.ErrUnwritable, e.provider)
}
