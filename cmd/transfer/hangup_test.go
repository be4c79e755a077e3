//go:build unix

package main_test

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A terminal that closes ends a server as SIGTERM does, with a goodbye.
func TestAHangupEndsAServerInOrder(t *testing.T) {
	t.Parallel()
	// Where the tests run under nohup, hangups are ignored, which commands inherit from them: unless somebody here listens.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
	p := launch(t, nil, "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data"), "--grace", "1s")
	p.serving(t)
	require.NoError(t, p.command.Process.Signal(syscall.SIGHUP))
	<-p.ended
	require.True(t, p.command.ProcessState.Exited(), "%s", p.command.ProcessState)
	require.Contains(t, p.stderr.String(), "stopped")
}
