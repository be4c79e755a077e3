//go:build unix

package main_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// balance starts nginx with the configuration that is shown to users, in front of servers here, and returns its address.
func balance(t *testing.T, servers []*member) (base string) {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx is not installed")
	}
	shown, err := os.ReadFile(filepath.Join("docker", "nginx.conf"))
	require.NoError(t, err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	dir := t.TempDir()
	text := strings.NewReplacer(
		"transfer-1:1400", strings.TrimPrefix(servers[0].base, "http://"), "transfer-2:1400", strings.TrimPrefix(servers[1].base, "http://"),
		"listen 8080", "listen "+address, "/dev/stdout", filepath.Join(dir, "access.log"), "/dev/stderr", filepath.Join(dir, "error.log"),
		"worker_processes auto;", "worker_processes 1;\ndaemon off;\npid "+filepath.Join(dir, "pid")+";",
	).Replace(string(shown))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(text), 0o600))
	nginx := exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	said := &lockedText{}
	nginx.Stderr = said
	require.NoError(t, nginx.Start())
	t.Cleanup(func() {
		_ = nginx.Process.Signal(os.Interrupt) // it may have ended
		_ = nginx.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		return err == nil && conn.Close() == nil
	}, promptly, 10*time.Millisecond, "%s", said)
	return "http://" + address
}

// The balancer of the example carries pushes, pulls and streams, keeps a client at one server, and sends it to the other one when that
// is gone.
func TestTheBalancerThatIsShown(t *testing.T) {
	t.Parallel()
	c, servers, token, _ := holding(t)
	base := balance(t, servers)
	c.must([]string{"push", "--from", sample(t), "--to", base + "/admin", "--to-token", token, "--yes", "--json"})
	c.requireSample("--from", base+"/admin", "--from-token", token)

	id := c.start(base, token, "--max-rate", "12KiB/s")
	f := follow(t, id, token, base)
	f.until(t, "it is told while it happens", func(e told) bool { return e.Status == jobs.StateProcessing && e.Items > 0 })
	f.whole(t)

	polled := func() int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/healthz", http.NoBody)
		require.NoError(t, err)
		response, err := (&http.Client{Timeout: promptly, Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	for range 6 {
		require.Equal(t, http.StatusOK, polled())
	}
	began := func(m *member) int { return strings.Count(m.stderr.String(), `msg="push began" site=default`) }
	home := servers[0]
	if began(servers[1]) > 0 {
		home = servers[1]
	}
	home.kill()
	for range 6 {
		require.Equal(t, http.StatusOK, polled(), "the other server answers")
	}
	c.requireSample("--from", base+"/shop/admin", "--from-token", token)
}
