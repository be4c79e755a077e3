//go:build linux

package vault_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// fullVariable makes the test binary a writer that cannot write files beyond a size: what a full disk looks like.
const fullVariable = "TRANSFER_TEST_VAULT_FULL"

// TestTheFullDisk is the writer.
func TestTheFullDisk(t *testing.T) {
	dir, limit, ok := strings.Cut(os.Getenv(fullVariable), "|")
	if !ok {
		t.Skip("only for the test that runs it")
	}
	t.Parallel()
	n, err := strconv.ParseUint(limit, 10, 64)
	require.NoError(t, err)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}))
	v := openVault(t, dir)
	site := wide(5000, 30)
	if n >= 1<<20 { // or else it is the index that has no room
		site.Files = append(site.Files, transfertest.File{Name: "large_1.bin", Metadata: `{"id":99}`, Body: repeat(7, 3<<20)})
	}
	_, err = push(t, v, "site", transfertest.NewMemory(site), transfer.Filter{})
	require.ErrorIs(t, err, transfer.ErrUnwritable)
}

func TestAFullDiskLeavesTheOldSite(t *testing.T) {
	t.Parallel()
	// What does not fit is a large file, the journal of the index, a segment.
	for _, limit := range []int{2 << 20, 1 << 20, 64 << 10, 8 << 10, 1000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "vault")
			v, err := vault.Open(t.Context(), dir, vault.Options{})
			require.NoError(t, err)
			put(t, v, "site", smallSite())
			before := names(t, dir)
			require.NoError(t, v.Close())

			self, err := os.Executable()
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestTheFullDisk$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d", fullVariable, dir, limit))
			out, err := cmd.CombinedOutput()
			if limit >= 64<<10 {
				require.NoError(t, err, "%s", out) // below that the index cannot even be opened
			}
			v = openVault(t, dir)
			require.Equal(t, lines(sortedSchemas(smallSite())), lines(get(t, v, "site", "")))
			require.Equal(t, before, names(t, dir))
			put(t, v, "site", transfertest.Sample())
		})
	}
}
