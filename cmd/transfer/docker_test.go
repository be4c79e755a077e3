package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer/server/redisbus"
)

// composition is what the test reads of a file for Docker Compose.
type composition struct {
	Services map[string]struct {
		Image       string
		Command     []string
		Entrypoint  []string
		Environment map[string]string
		Volumes     []string
		DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
		Grace       time.Duration                         `yaml:"stop_grace_period"`
	}
	Volumes map[string]any
	Rest    map[string]any `yaml:",inline"`
}

var (
	variable   = regexp.MustCompile(`\$\{(\w+)(?::[?-]([^}]*))?\}`)
	dockerSet  = regexp.MustCompile(`(TRANSFER_\w+)=`)
	dockerList = regexp.MustCompile(`(?m)^(?:CMD|ENTRYPOINT|\s+CMD) (\[.*\])$`)
)

// docker reads a file of the folder that shows how several servers run.
func docker(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("docker", name))
	require.NoError(t, err)
	return string(text)
}

// settings are the variables of the example.
func settings(t *testing.T) map[string]string {
	t.Helper()
	values := make(map[string]string)
	for line := range strings.Lines(docker(t, "example.env")) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			values[name] = value
		}
	}
	return values
}

// composed is the composition with the variables of the example.
func composed(t *testing.T) (c composition) {
	t.Helper()
	values := settings(t)
	text := variable.ReplaceAllStringFunc(docker(t, "docker-compose.yml"), func(use string) string {
		name := variable.FindStringSubmatch(use)[1]
		require.Contains(t, values, name, "example.env does not set it")
		return values[name]
	})
	decoder := yaml.NewDecoder(strings.NewReader(text))
	require.NoError(t, decoder.Decode(&c))
	return c
}

// serveAs parses the arguments of the binary as it would, and returns the options of serve with an environment.
func serveAs(t *testing.T, args []string, env map[string]string) *serveOptions {
	t.Helper()
	require.NotEmpty(t, args)
	require.Equal(t, "serve", args[0])
	a := &app{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}, getenv: func(name string) string { return env[name] }, now: time.Now}
	cmd := newServeCommand(a)
	help := cmd.Long
	for name := range env {
		if strings.HasPrefix(name, "TRANSFER_") {
			require.Contains(t, help, name, "serve --help does not tell of it")
		}
	}
	o := &serveOptions{}
	cmd.ResetFlags()
	o.addFlags(cmd.Flags())
	require.NoError(t, cmd.ParseFlags(args[1:]))
	require.Empty(t, cmd.Flags().Args())
	require.NoError(t, o.load(a, cmd.Flags()))
	return o
}

func TestTheCompositionIsOneThatTheServerUnderstands(t *testing.T) {
	t.Parallel()
	c := composed(t)
	balancer := docker(t, "nginx.conf")
	servers := 0
	for name, service := range c.Services {
		host, _, named := strings.Cut(service.Image, "/")
		require.False(t, named && strings.ContainsAny(host, ".:"), "%s names a registry", service.Image)
		for other := range service.DependsOn {
			require.Contains(t, c.Services, other)
		}
		for _, volume := range service.Volumes {
			source, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(source, "./") {
				docker(t, source)
			} else {
				require.Contains(t, c.Volumes, source)
			}
		}
		if service.Image != "transfer" {
			continue
		}
		servers++
		service.Environment["TRANSFER_LISTEN"] = ":1400" // of the image
		o := serveAs(t, service.Command, service.Environment)
		require.True(t, isPostgres(o.jobFlags.Database))
		_, err := redisbus.New(o.Redis, redisbus.Options{})
		require.NoError(t, err)
		bucket, err := vault.ParseBucket(o.Blobs)
		require.NoError(t, err)
		require.Equal(t, "minio:9000", bucket.Endpoint)
		require.Contains(t, c.Services["bucket"].Entrypoint, "minio/"+bucket.Name)
		require.Greater(t, service.Grace, o.limits.Grace)
		require.NoError(t, o.exposure(&console{w: &bytes.Buffer{}}, nil))
		require.Contains(t, balancer, "server "+name+":1400 ")
		for _, service := range []string{"postgres", "redis", "bucket"} {
			require.Contains(t, c.Services[name].DependsOn, service)
		}
	}
	require.Equal(t, 2, servers)
	for _, secret := range []string{"POSTGRES_PASSWORD", "REDIS_PASSWORD", "MINIO_PASSWORD"} {
		require.Regexp(t, `^[a-zA-Z0-9]{8,}$`, settings(t)[secret], "it becomes a part of addresses")
	}
}

func TestTheImageRunsWhatTheBinaryHas(t *testing.T) {
	t.Parallel()
	text := docker(t, "Dockerfile")
	env := make(map[string]string)
	for _, found := range dockerSet.FindAllStringSubmatch(text, -1) {
		env[found[1]] = "/data"
	}
	env["TRANSFER_LISTEN"] = ":1400"
	lists := dockerList.FindAllStringSubmatch(text, -1)
	require.Len(t, lists, 3)
	var check, entry, command []string
	for i, to := range []*[]string{&check, &entry, &command} {
		require.NoError(t, json.Unmarshal([]byte(lists[i][1]), to))
	}
	require.Equal(t, []string{"/transfer"}, entry)
	require.NoError(t, serveAs(t, command, env).exposure(&console{w: &bytes.Buffer{}}, nil))

	// The health check is what the binary says of a server without a token.
	d := newDesk(t)
	s := d.serveWith()
	require.Equal(t, []string{"/transfer", "doctor", "http://127.0.0.1:1400/admin"}, check)
	d.ok("doctor", s.url)
	s.stop()
	code, _, _ := d.run("doctor", s.url)
	require.Equal(t, exitConnection, code)
}
