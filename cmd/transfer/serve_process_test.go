//go:build unix

package main_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
)

// ours is a running "transfer serve", the built binary.
type ours struct {
	base  string // the address, without a site's path
	token string

	stop   func() (code int)
	stderr *lockedText
}

// lockedText is output that is read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var servingAt = regexp.MustCompile(`serving the vault's site default at (https?://(?:127\.0\.0\.1|localhost):\d+)/admin`)

// process is the built binary, running.
type process struct {
	command        *exec.Cmd
	stdout, stderr *lockedText
	ended          chan struct{} // closed when it has

	stop func() (code int) // interrupts it
}

// launch starts the binary with variables besides its home, and stops it at the end of the test.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	p := &process{stdout: &lockedText{}, stderr: &lockedText{}, ended: make(chan struct{})}
	// It outlives a subtest that starts it, and ends with the test that it is given.
	p.command = exec.Command(path, args...)
	p.command.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, env...)
	p.command.Stdout, p.command.Stderr = p.stdout, p.stderr
	require.NoError(t, p.command.Start())
	go func() { // joined by stop
		defer close(p.ended)
		_ = p.command.Wait() // the code tells
	}()
	p.stop = sync.OnceValue(func() int {
		_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-p.ended:
		case <-time.After(promptly):
			p.kill()
		}
		return p.command.ProcessState.ExitCode()
	})
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("transfer %s said:\n%s", args[0], p.stderr)
		}
	})
	return p
}

func (p *process) pid() int { return p.command.Process.Pid }

// kill ends it without a warning.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended
	<-p.ended
}

// serving waits until a server listens, and returns where.
func (p *process) serving(t *testing.T) (base string) {
	t.Helper()
	require.Eventually(t, func() bool {
		select {
		case <-p.ended:
			return true
		default:
		}
		found := servingAt.FindStringSubmatch(p.stderr.String())
		if found != nil {
			base = found[1]
		}
		return found != nil
	}, promptly, 10*time.Millisecond)
	require.NotEmpty(t, base, p.stderr.String())
	return base
}

// startOurs starts the server on a data folder and stops it at the end of the test. The first start on a folder gives a token.
func startOurs(t *testing.T, data string, flags ...string) *ours {
	t.Helper()
	_, err := os.Stat(data)
	first := os.IsNotExist(err)
	p := launch(t, nil, args([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--grace", "1s"}, flags)...)
	s := &ours{base: p.serving(t), stop: p.stop, stderr: p.stderr}
	if first {
		require.Eventually(t, func() bool { return strings.HasSuffix(p.stdout.String(), "\n") }, promptly, 10*time.Millisecond)
	}
	s.token = strings.TrimSpace(p.stdout.String())
	return s
}

// url is the address of a site, "" for the default one.
func (s *ours) url(site string) string {
	if site == "" {
		return s.base + "/admin"
	}
	return s.base + "/" + site + "/admin"
}

// Two processes on one vault, a server and a command: one of them writes a site at a time, the other says who, and both read. A second
// server is told what to do instead.
func TestTwoProcessesOnOneVault(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	first := startOurs(t, data)
	second := command{args: []string{"serve", "--listen", "127.0.0.1:0", "--data", data}}.run(t)
	require.Equal(t, 2, second.code, second.stderr)
	require.Contains(t, second.stderr, "another server has the data folder")
	direct := []string{"--to", "vault:default", "--data", data}
	sample, err := filepath.Abs("sample")
	require.NoError(t, err)
	push := []string{"push", "--from", "dir:" + sample, "--yes", "--json"}
	to := func(s *ours) []string { return []string{"--to", s.url(""), "--to-token", first.token} }
	must(t, push, to(first))

	began := make(chan *os.Process, 1)
	slow := make(chan outcome, 1)
	go func() { // joined below; it would take minutes
		slow <- command{args: args(push, to(first), []string{"--throttle", "1000"}), hook: during(transfer.StageEntities, func(p *os.Process) { began <- p })}.run(t)
	}()
	var writing *os.Process
	select {
	case writing = <-began:
	case o := <-slow:
		require.FailNow(t, "the first push ended before it could be disturbed", o.stderr)
	}
	refused := command{args: args(push, direct)}.run(t)
	require.Equal(t, 10, refused.code, refused.stderr)
	require.Regexp(t, `default is being written by token "first start" from 127\.0\.0\.1:\d+ \(process \d+\) since`, refused.stderr)
	pulled := filepath.Join(t.TempDir(), "pulled.tar")
	must(t, []string{"pull", "--from", "vault:default", "--data", data, "--to", pulled, "--json"})
	must(t, []string{"diff", "--content", "dir:" + sample, pulled})
	require.Empty(t, slow, "the first push was to be under way all the time")
	require.NoError(t, writing.Signal(os.Interrupt))
	o := <-slow
	require.Equal(t, 130, o.code, o.stderr)

	must(t, push, direct)
	must(t, []string{"token", "revoke", "first start", "--data", data})
	o = command{args: args(push, to(first))}.run(t)
	require.Equal(t, 3, o.code, o.stderr)
	list := must(t, []string{"snapshot", "list", "--data", data})
	require.Contains(t, list.stdout, "2 snapshots of 1 site")
	require.Zero(t, first.stop(), first.stderr.String())
}

// A server with a certificate is used through it, from other machines only with a token, and not without trust.
func TestServeWithTLS(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	cert, key := selfSigned(t, folder)
	server := startOurs(t, filepath.Join(folder, "data"), "--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key)
	require.True(t, strings.HasPrefix(server.base, "https://localhost:"), server.base)
	sample, err := filepath.Abs("sample")
	require.NoError(t, err)
	push := []string{"push", "--from", "dir:" + sample, "--yes", "--json", "--to", server.url(""), "--to-token", server.token}

	o := command{args: push}.run(t)
	require.Equal(t, 6, o.code, o.stderr)
	require.Contains(t, o.stderr, "--ca-file")
	o = command{args: []string{"push", "--from", "dir:" + sample, "--yes", "--json", "--to", strings.Replace(server.url(""), "https:", "http:", 1), "--to-token", server.token}}.run(t)
	require.Equal(t, 6, o.code, o.stderr)

	must(t, push, []string{"--ca-file", cert, "--verify"})
	pulled := filepath.Join(folder, "pulled.tar")
	must(t, []string{"pull", "--from", server.url(""), "--from-token", server.token, "--to", pulled, "--json", "--insecure"})
	must(t, []string{"diff", "--content", "dir:" + sample, pulled})
	seen := must(t, []string{"doctor", server.url(""), "--token", server.token, "--ca-file", cert})
	require.Contains(t, seen.stdout, "Strapi 5.54.0; a server of transfer's own kind, window 16, zstd")

	text, err := os.ReadFile(cert)
	require.NoError(t, err)
	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(text))
	get := func(path, token string, oldest uint16) (int, error) {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS10, MaxVersion: oldest}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
		}}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.base+path, http.NoBody)
		require.NoError(t, err)
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		require.Equal(t, 1, response.ProtoMajor, "WebSockets need HTTP/1.1")
		_, err = io.Copy(io.Discard, response.Body)
		return response.StatusCode, err
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 401, "/api/jobs": 401, "/admin/transfer/runner/push": 401, "/nosite/admin/transfer/runner/push": 404} {
		status, err := get(path, "", tls.VersionTLS13)
		require.NoError(t, err)
		require.Equal(t, want, status, path)
	}
	status, err := get("/metrics", server.token, tls.VersionTLS12)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	_, err = get("/healthz", "", tls.VersionTLS11)
	require.Error(t, err)
	require.Zero(t, server.stop(), server.stderr.String())
}

// selfSigned writes a certificate of this machine and its key.
func selfSigned(t *testing.T, folder string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	cert, key = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), 0o600))
	return cert, key
}
