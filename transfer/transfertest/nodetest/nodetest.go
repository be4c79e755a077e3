package nodetest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

//go:embed package.json package-lock.json
var manifest embed.FS

const (
	cacheVariable  = "TRANSFER_NODE_CACHE"
	installTimeout = 5 * time.Minute
	// DefaultTimeout is how long a script may run.
	DefaultTimeout = time.Minute
)

// Script is a test script and what it is told.
type Script struct {
	Path    string            // of the script
	Env     map[string]string // beside that of the test
	Timeout time.Duration     // default [DefaultTimeout]
}

// Run runs a script and fails the test with its output if it fails. Without Node or npm the test is skipped, but fails where CI is
// set: there, a skipped test is one that nobody runs.
func Run(tb testing.TB, s Script) string {
	tb.Helper()
	modules := Modules(tb)
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(tb.Context(), s.Timeout)
	defer cancel()
	command := exec.CommandContext(ctx, "node", s.Path)
	command.Env = append(os.Environ(), "NODE_PATH="+modules)
	for name, value := range s.Env {
		command.Env = append(command.Env, name+"="+value)
	}
	output, err := command.CombinedOutput()
	if ctx.Err() != nil {
		tb.Fatalf("%s did not end within %s:\n%s", s.Path, s.Timeout, output)
	}
	if err != nil {
		tb.Fatalf("%s: %v\n%s", s.Path, err, output)
	}
	return string(output)
}

// Modules returns the folder with the npm packages, which it installs if need be.
func Modules(tb testing.TB) string {
	tb.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing(tb, fmt.Sprintf("%s is not installed", tool))
		}
	}
	modules, output, err := install(tb.Context())
	if err != nil {
		missing(tb, fmt.Sprintf("npm packages not installed: %v\n%s", err, output))
	}
	return modules
}

// Browser returns the path of a Chromium, or skips the test as [Run] does without Node.
func Browser(tb testing.TB) string {
	tb.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(tb, "no Chromium is installed")
	return ""
}

func missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("CI") != "" {
		tb.Fatal(what)
	}
	tb.Skip(what)
}

// install fills the cache, unless it is full. Test processes that run at the same time wait for the one that fills it.
func install(ctx context.Context) (modules string, output []byte, err error) {
	root, err := cacheRoot()
	if err != nil {
		return "", nil, fmt.Errorf("find the cache: %w", err)
	}
	lock := flock.New(root + ".lock")
	if err := lock.Lock(); err != nil {
		return "", nil, fmt.Errorf("lock the cache: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // ends with the process at the latest

	modules = filepath.Join(root, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil, nil
	}
	folder, err := os.MkdirTemp(filepath.Dir(root), "filling-")
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }() // has another name when it was filled
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := manifest.ReadFile(name)
		if err != nil {
			return "", nil, err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return "", nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	command.Dir = folder
	if output, err = command.CombinedOutput(); err != nil {
		return "", output, err
	}
	return modules, nil, os.Rename(folder, root)
}

func cacheRoot() (string, error) {
	base := os.Getenv(cacheVariable)
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(user, "transfer-runner")
	}
	lock, err := manifest.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	root, err := filepath.Abs(filepath.Join(base, "node-"+hex.EncodeToString(sum[:6])))
	if err != nil {
		return "", err
	}
	return root, os.MkdirAll(filepath.Dir(root), 0o750)
}
