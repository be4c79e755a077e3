//go:build unix

package strapitest

import (
	"context"
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

//go:embed all:testdata/clients
var clients embed.FS

// OldClient is the transfer client of an older Strapi version, taken from its package, without a project around it.
type OldClient struct {
	Version string // one of those in testdata/clients/package.json

	folder string
}

// NewOldClient installs the client of a version, once into the cache.
func NewOldClient(tb testing.TB, version string) *OldClient {
	tb.Helper()
	Require(tb)
	files, err := fs.Sub(clients, "testdata/clients")
	if err != nil {
		tb.Fatalf("open the embedded clients: %v", err)
	}
	root, err := cacheRoot(files)
	if err != nil {
		tb.Fatalf("find the Strapi cache: %v", err)
	}
	unlock, err := lockFolder(root)
	if err != nil {
		tb.Fatalf("lock the Strapi cache: %v", err)
	}
	defer unlock()
	content, err := digest(files, ".")
	if err != nil {
		tb.Fatalf("digest the clients: %v", err)
	}
	c := &OldClient{Version: version, folder: filepath.Join(root, "clients-"+content)}
	if err := fillOnce(tb, files, c.folder, installClients); err != nil {
		tb.Fatalf("fill the Strapi cache: %v", err)
	}
	return c
}

func installClients(tb testing.TB, files fs.FS, folder string) error {
	tb.Helper()
	tb.Logf("installing older Strapi clients with npm; later runs find them in %s", filepath.Dir(folder))
	if err := os.CopyFS(folder, files); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(tb.Context(), installTimeout)
	defer cancel()
	// Nothing native is needed to move content between an archive and a server.
	return run(ctx, folder, nil, "npm", "install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error").err()
}

// Push sends the content of a plain archive to a server, and Pull stores that of a server in one.
func (c *OldClient) Push(tb testing.TB, archive, url, token string) Result {
	tb.Helper()
	return c.move(tb, "push", archive, url, token)
}

// Pull is the counterpart of [OldClient.Push].
func (c *OldClient) Pull(tb testing.TB, archive, url, token string) Result {
	tb.Helper()
	return c.move(tb, "pull", archive, url, token)
}

func (c *OldClient) move(tb testing.TB, direction, archive, url, token string) Result {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), commandTimeout)
	defer cancel()
	return run(ctx, c.folder, []string{"STRAPI_TRANSFER_TOKEN=" + token}, "node", "client.js", c.Version, direction, archive, url)
}
