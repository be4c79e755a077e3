//go:build unix

package main_test

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// Clients from before checksums and base64 store everything in our server, and get it back, files of several chunks included. They
// would mix up the chunks if they were sent as newer clients get them.
func TestConformanceOldClientOfOurServer(t *testing.T) {
	strapitest.Require(t)
	t.Parallel()
	archive := stockExport(t, newSite(t, strapitest.Options{Seed: true}), "stock.tar", "--no-encrypt", "--no-compress")
	want := contentOf(t, archive)
	client := strapitest.NewOldClient(t, "5.10.0")
	server := startOurs(t, filepath.Join(t.TempDir(), "data"))

	pushed := client.Push(t, archive, server.url(""), server.token)
	require.NoError(t, pushed.Err, pushed.Stdout+pushed.Stderr)
	must(t, []string{"diff", "--content", archive, server.url(""), "--to-token", server.token})

	pulled := filepath.Join(t.TempDir(), "pulled.tar")
	result := client.Pull(t, pulled, server.url(""), server.token)
	require.NoError(t, result.Err, result.Stdout+result.Stderr)
	require.Equal(t, want, contentOf(t, pulled))
	require.Zero(t, server.stop(), server.stderr.String())
}

// contentOf reads a plain archive: the lines of its stages, and its files as SHA-256. An old client's archive has no schemas and, of
// what an old client has pushed, no metadata, so nothing else reads it.
func contentOf(t *testing.T, archive string) map[string][]string {
	t.Helper()
	file, err := os.Open(archive)
	require.NoError(t, err)
	defer file.Close()
	content := make(map[string][]string)
	largest := int64(0)
	for reader := tar.NewReader(file); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		text, err := io.ReadAll(reader)
		require.NoError(t, err)
		name := strings.TrimPrefix(header.Name, "./")
		switch stage, _, _ := strings.Cut(name, "/"); {
		case strings.HasPrefix(name, "assets/uploads/"):
			sum := sha256.Sum256(text)
			content[name] = []string{hex.EncodeToString(sum[:])}
			largest = max(largest, header.Size)
		case stage == "entities" || stage == "links" || stage == "configuration":
			for line := range strings.Lines(string(text)) {
				var value any
				decoder := json.NewDecoder(strings.NewReader(line))
				decoder.UseNumber()
				require.NoError(t, decoder.Decode(&value))
				line, err := json.Marshal(value)
				require.NoError(t, err)
				content[stage] = append(content[stage], string(line))
			}
		}
	}
	for _, lines := range content {
		slices.Sort(lines)
	}
	require.NotEmpty(t, content["links"])
	require.Greater(t, largest, int64(1<<20), "no file has more than one chunk")
	return content
}
