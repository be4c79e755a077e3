package strapi_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// bodies is a store of files by name.
type bodies struct {
	sizes
	files map[string][]byte
}

func newBodies(site *transfertest.Site) bodies {
	b := bodies{files: make(map[string][]byte)}
	for _, f := range site.Files {
		b.files[f.Name] = f.Body
	}
	return b
}

func (b bodies) Stat(_ context.Context, f uploads.File) (int64, error) {
	body, ok := b.files[f.Name()]
	if !ok {
		return 0, fmt.Errorf("file %s: %w", f.Name(), fs.ErrNotExist)
	}
	return int64(len(body)), nil
}

func (b bodies) Open(ctx context.Context, f uploads.File) (io.ReadCloser, int64, error) {
	size, err := b.Stat(ctx, f)
	return io.NopCloser(bytes.NewReader(b.files[f.Name()])), size, err
}

func TestSourceKeepsTheContract(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("America/New_York")
	require.NoError(t, err)
	for _, kind := range databasetest.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			transfertest.TestSourceOf(t, sitetest.Sample, func(t *testing.T, site *transfertest.Site) transfer.Source {
				t.Helper()
				config := databasetest.New(t, kind)
				config.Zone = zone
				sitetest.Load(t, config, site)
				return openSite(t, strapi.Options{Database: config, Schemas: site.Schemas(t), Uploads: newBodies(site), Version: site.Version})
			})
		})
	}
}
