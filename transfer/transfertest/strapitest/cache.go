//go:build unix

package strapitest

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

//go:embed all:testdata/app
var application embed.FS

const (
	gateVariable  = "TRANSFER_CONFORMANCE"
	cacheVariable = "TRANSFER_STRAPI_CACHE"

	installTimeout = 15 * time.Minute
	seedTimeout    = 3 * time.Minute
)

// cache is the folder of one version of the application: what npm installed and the instances that others are copied from.
type cache struct {
	runtime string // holds node_modules
	blank   string
	seeded  string
}

// Require skips the test unless real Strapi servers can be run, and says what is missing. Where CI is set, a missing tool is
// a failure: there, a skipped conformance test is a conformance test that nobody runs.
func Require(tb testing.TB) {
	tb.Helper()
	if os.Getenv(gateVariable) == "" {
		tb.Skipf("set %s=1 to test against real Strapi servers", gateVariable)
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			tb.Fatalf("%s is not installed, and real Strapi servers need it", tool)
		}
		tb.Skipf("%s is not installed, and real Strapi servers need it", tool)
	}
}

// openCache returns the cache, filled. Test processes that run at the same time wait for the one that fills it.
func openCache(tb testing.TB) cache {
	tb.Helper()
	Require(tb)
	app, err := fs.Sub(application, "testdata/app")
	if err != nil {
		tb.Fatalf("open the embedded application: %v", err)
	}
	root, err := cacheRoot(app)
	if err != nil {
		tb.Fatalf("find the Strapi cache: %v", err)
	}
	unlock, err := lockFolder(root)
	if err != nil {
		tb.Fatalf("lock the Strapi cache: %v", err)
	}
	defer unlock()

	content, err := digest(app, ".")
	if err != nil {
		tb.Fatalf("digest the application: %v", err)
	}
	c := cache{
		runtime: filepath.Join(root, "runtime"),
		blank:   filepath.Join(root, "app-"+content, "blank"),
		seeded:  filepath.Join(root, "app-"+content, "seeded"),
	}
	for _, step := range []struct {
		folder string
		fill   func(tb testing.TB, app fs.FS, folder string) error
	}{
		{c.runtime, install},
		{c.blank, c.prepare},
		{c.seeded, c.seed},
	} {
		if err := fillOnce(tb, app, step.folder, step.fill); err != nil {
			tb.Fatalf("fill the Strapi cache: %v", err)
		}
	}
	return c
}

func cacheRoot(app fs.FS) (string, error) {
	base := os.Getenv(cacheVariable)
	if base == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		base = filepath.Join(user, "transfer-runner")
	}
	lock, err := digest(app, "package-lock.json")
	if err != nil {
		return "", err
	}
	root, err := filepath.Abs(filepath.Join(base, "strapi-"+lock))
	if err != nil {
		return "", err
	}
	return root, os.MkdirAll(root, 0o755)
}

// fillOnce calls fill for a new folder and gives it its name only when that succeeded, so that an interrupted run leaves
// nothing that looks complete.
func fillOnce(tb testing.TB, app fs.FS, folder string, fill func(testing.TB, fs.FS, string) error) error {
	tb.Helper()
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	partial := folder + ".partial"
	if err := os.RemoveAll(partial); err != nil {
		return err
	}
	if err := os.MkdirAll(partial, 0o755); err != nil {
		return err
	}
	if err := fill(tb, app, partial); err != nil {
		return err
	}
	return os.Rename(partial, folder)
}

func install(tb testing.TB, app fs.FS, folder string) error {
	tb.Helper()
	tb.Logf("installing Strapi with npm; later runs find it in %s", filepath.Dir(folder))
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := fs.ReadFile(app, name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(tb.Context(), installTimeout)
	defer cancel()
	for _, command := range [][]string{
		// Not "npm ci": it wants the lock file to list the optional packages of every platform, which npm leaves out of lock
		// files that were written without seeing them.
		{"npm", "install", "--no-audit", "--no-fund", "--loglevel=error"},
		{"node", "-e", "new (require('better-sqlite3'))(':memory:'); require('sharp')"}, // their native parts
	} {
		if err := run(ctx, folder, nil, command...).err(); err != nil {
			return err
		}
	}
	return nil
}

func (c cache) prepare(tb testing.TB, app fs.FS, folder string) error {
	tb.Helper()
	if err := os.CopyFS(folder, app); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(c.runtime, "node_modules"), filepath.Join(folder, "node_modules")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(databaseFile)), 0o755); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(tb.Context(), seedTimeout)
	defer cancel()
	return run(ctx, folder, append(environment(0), Connection{}.environment()...), "node", "scripts/prepare.js").err()
}

func (c cache) seed(tb testing.TB, _ fs.FS, folder string) error {
	tb.Helper()
	if err := os.CopyFS(folder, os.DirFS(c.blank)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(tb.Context(), seedTimeout)
	defer cancel()
	return run(ctx, folder, append(environment(0), Connection{}.environment()...), "node", "scripts/seed.js").err()
}

// lockFolder holds an advisory lock on folder until the returned function is called, or this process ends.
func lockFolder(folder string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return func() { _ = file.Close() }, nil
}

// digest returns a short name for the content of every file below root.
func digest(files fs.FS, root string) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(files, root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := files.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		_, _ = io.WriteString(sum, strings.TrimPrefix(path, root)+"\x00")
		_, err = io.Copy(sum, file)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:12], err
}
