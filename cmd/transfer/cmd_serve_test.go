package main

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// served is a server that a test runs with the command.
type served struct {
	t        *testing.T
	data     string
	url      string
	token    string
	out, err lockedBuffer
	stop     func() int
}

// command runs a command line of its own, with the real endpoints.
func (s *served) command(args ...string) (code int, out, said string) {
	s.t.Helper()
	var o, e lockedBuffer
	a := &app{in: strings.NewReader(""), out: &o, err: &e, getenv: func(string) string { return "" }, now: time.Now}
	code = run(s.t.Context(), a, args)
	return code, o.String(), e.String()
}

var serving = regexp.MustCompile(`serving \S.* at (http://127\.0\.0\.1:\d+/admin)`)

func startServe(t *testing.T, data string, args ...string) *served {
	t.Helper()
	return startServeAt(t, nil, data, args...)
}

// startServeAt starts a server with variables.
func startServeAt(t *testing.T, env map[string]string, data string, args ...string) *served {
	t.Helper()
	s := &served{t: t, data: data}
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan int, 1)
	env = maps.Clone(env)
	a := &app{in: strings.NewReader(""), out: &s.out, err: &s.err, getenv: func(name string) string { return env[name] }, now: time.Now}
	go func() {
		done <- run(ctx, a, append([]string{"serve", "--listen", "127.0.0.1:0", "--data", data, "--grace", "100ms"}, args...))
	}()
	s.stop = func() int {
		cancel(errInterrupted)
		code := <-done
		done <- code
		return code
	}
	t.Cleanup(func() { s.stop() })
	require.Eventually(t, func() bool {
		if len(done) > 0 {
			return true
		}
		found := serving.FindStringSubmatch(s.err.String())
		if found == nil {
			return false
		}
		s.url = found[1]
		response, err := s.get("/readyz")
		return err == nil && response == "ok\n"
	}, 10*time.Second, 5*time.Millisecond)
	require.NotEmpty(t, s.url, s.err.String())
	s.token = strings.TrimSpace(s.out.String())
	return s
}

func (s *served) get(path string) (string, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, strings.TrimSuffix(s.url, "/admin")+path, http.NoBody)
	if err != nil {
		return "", err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(bufio.NewReader(response.Body))
	return string(text), err
}

func TestServeTakesAPushAndGivesItBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	site := filepath.Join(dir, "bakery")
	require.NoError(t, unpackSample(site))
	tar := filepath.Join(dir, "old.tar.gz")
	first := startServe(t, filepath.Join(dir, "data"))
	require.Contains(t, first.err.String(), "This is the first start")
	require.NotContains(t, first.err.String(), first.token)
	code, _, said := first.command("pull", "--from", first.url, "--from-token", first.token, "--to", tar)
	require.Equal(t, exitFailure, code)
	require.Contains(t, said, "the site has no content yet; push content to it, then pull")
	code, _, said = first.command("push", "--from", "dir:"+site, "--to", first.url, "--to-token", first.token, "--yes")
	require.Equal(t, exitOK, code, said)
	code, _, said = first.command("pull", "--from", first.url, "--from-token", first.token, "--to", tar)
	require.Equal(t, exitOK, code, said)
	code, out, said := first.command("diff", "--content", "dir:"+site, tar)
	require.Equal(t, exitOK, code, out+said)
	require.Equal(t, exitOK, first.stop())
	require.Contains(t, first.err.String(), "stopped")

	// A second start keeps the content, prints no token, and serves an archive beside it, to be read.
	second := startServe(t, filepath.Join(dir, "data"), "--site", "old="+tar)
	require.Empty(t, second.token)
	code, out, said = second.command("inspect", second.url, "--token", first.token, "--json")
	require.Equal(t, exitOK, code, said)
	require.NotEmpty(t, out)
	old := strings.Replace(second.url, "/admin", "/old/admin", 1)
	code, _, said = second.command("pull", "--from", old, "--from-token", first.token, "--to", filepath.Join(dir, "again.tar.gz"))
	require.Equal(t, exitOK, code, said)
	code, _, said = second.command("push", "--from", "dir:"+site, "--to", old, "--to-token", first.token, "--yes")
	require.Equal(t, exitUnwritable, code)
	require.Contains(t, said, "this site can only be pulled from; push to another site of it")
}

func TestServeAnEndpointWithoutAName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"vault:x": {"default", "vault:x"}, "./a=b.tar": {"default", "./a=b.tar"}, "dir:/x=y": {"default", "dir:/x=y"}, "backup.tar.gz": {"default", "backup.tar.gz"},
		"a=b.tar": {"a", "b.tar"}, "default=dir:x": {"default", "dir:x"}, "a b=vault:x": {"a b", "vault:x"}, "a=./b=c": {"a", "./b=c"},
	} {
		name, endpoint := splitSite(text)
		require.Equal(t, want, [2]string{name, endpoint}, text)
	}
	s := startServe(t, filepath.Join(t.TempDir(), "data"), "--site", "dir:sample")
	pulled := filepath.Join(t.TempDir(), "pulled.tar")
	code, _, said := s.command("pull", "--from", s.url, "--from-token", s.token, "--to", pulled)
	require.Equal(t, exitOK, code, said)
	code, out, said := s.command("diff", "--content", "dir:sample", pulled)
	require.Equal(t, exitOK, code, out+said)
}

func TestTokensAreManagedWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	s := startServe(t, filepath.Join(t.TempDir(), "data"))
	code, text, said := s.command("token", "create", "--data", s.data, "--name", "ci", "--permissions", "pull", "--expires", "1h")
	require.Equal(t, exitOK, code, said)
	text = strings.TrimSpace(text)
	require.NotContains(t, said, text)
	code, out, _ := s.command("token", "list", "--data", s.data)
	require.Equal(t, exitOK, code)
	require.Contains(t, out, "ci")
	require.Contains(t, out, "first start")
	require.NotContains(t, out, text)
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	code, out, said = s.command("token", "verify", "--data", s.data, "--token-file", file)
	require.Equal(t, exitOK, code, said)
	require.Contains(t, out, `"permissions":["pull"]`)
	code, _, said = s.command("push", "--from", "dir:sample", "--to", s.url, "--to-token-file", file, "--yes")
	require.Equal(t, exitAuth, code, said)
	code, _, said = s.command("token", "revoke", "--data", s.data, "ci")
	require.Equal(t, exitOK, code, said)
	code, _, said = s.command("token", "verify", "--data", s.data, "--token-file", file)
	require.Equal(t, exitAuth, code)
	require.NotContains(t, said, text)
	code, _, said = s.command("token", "create", "--data", s.data, "--name", "x", "--site", "a b")
	require.Equal(t, exitUsage, code)
	require.Contains(t, said, `"a b" cannot be the name of a site`)
	code, _, _ = s.command("token", "revoke", "--data", s.data, "nobody")
	require.Equal(t, exitUsage, code)
	code, _, _ = s.command("token", "verify", "--data", s.data, text)
	require.Equal(t, exitUsage, code, "a token on the command line is everybody's")
}

func TestServeRefusesWhatWouldBeUnsafe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "serve.json")
	require.NoError(t, os.WriteFile(config, []byte(`{"listen":"0.0.0.0:0","sites":{"a b":"vault:x"}}`), 0o600))
	unknown := filepath.Join(dir, "unknown.json")
	require.NoError(t, os.WriteFile(unknown, []byte(`{"listen":"127.0.0.1:0","lisen":"x"}`), 0o600))
	s := &served{t: t}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"beyond this machine without TLS": {[]string{"--listen", "0.0.0.0:0"}, "can be reached from other machines"},
		"all addresses":                   {[]string{"--listen", ":0"}, "can be reached from other machines"},
		"the same from a file":            {[]string{"--config", config}, "can be reached from other machines"},
		"a flag over the file":            {[]string{"--config", config, "--listen", "127.0.0.1:0"}, `"a b" cannot be the name of a site`},
		"an unknown member":               {[]string{"--config", unknown}, `unknown field "lisen"`},
		"a limit below nothing":           {[]string{"--max-sessions", "-1"}, "--max-sessions must not be negative"},
		"a time below nothing":            {[]string{"--grace", "-5s"}, "--grace must not be negative"},
		"half a certificate":              {[]string{"--tls-cert", "x.pem"}, "give both"},
		"no address":                      {[]string{"--listen", "nowhere"}, "give it as HOST:PORT"},
		"two sites without a name":        {[]string{"--site", "vault:x", "--site", "default=vault:y"}, `two sites are called "default"`},
		"a site twice":                    {[]string{"--site", "a=vault:x", "--site", "a=vault:y"}, "two sites are called"},
		"a name of ours":                  {[]string{"--site", "metrics=vault:x"}, "cannot be the name of a site"},
		"a server as a site":              {[]string{"--site", "a=http://127.0.0.1:1/admin"}, "cannot be served"},
		"an archive that is not there":    {[]string{"--site", "a=" + filepath.Join(dir, "none.tar")}, "site a"},
	} {
		code, _, said := s.command(append([]string{"serve", "--data", filepath.Join(dir, "data")}, test.args...)...)
		require.NotEqual(t, exitOK, code, name)
		require.Contains(t, said, test.want, name)
	}
}
