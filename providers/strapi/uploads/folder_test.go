package uploads_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// folder makes a folder of uploads with two files, .gitkeep and a folder of its own.
func folder(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "public", "uploads")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
	for name, text := range map[string]string{"a_1.txt": "old a", "b_2.txt": "old b", "sub/c.txt": "old c", ".gitkeep": "kept"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text), 0o600))
	}
	return dir
}

// content is what a folder and what is beside it hold, by path.
func content(t testing.TB, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	base := filepath.Dir(dir)
	require.NoError(t, filepath.WalkDir(base, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(base, path)
		out[filepath.ToSlash(rel)] = string(text)
		return err
	}))
	return out
}

func oldContent() map[string]string {
	return map[string]string{"uploads/a_1.txt": "old a", "uploads/b_2.txt": "old b", "uploads/sub/c.txt": "old c", "uploads/.gitkeep": "kept"}
}

func newContent() map[string]string {
	return map[string]string{"uploads/a_1.txt": "new a", "uploads/d_4.txt": "new d", "uploads/.gitkeep": "kept"}
}

func stageNew(t testing.TB, c uploads.Change) {
	t.Helper()
	for name, text := range map[string]string{"a_1": "new a", "d_4": "new d"} {
		url, err := c.Stage(t.Context(), uploads.File{Hash: name, Ext: ".txt"}, strings.NewReader(text))
		require.NoError(t, err)
		require.Equal(t, "/uploads/"+name+".txt", url)
	}
}

// inside is a store that finds no place beside its folder, as where that is a mount point.
func inside(dir string) *uploads.Folder {
	return uploads.NewFolder(dir, uploads.FolderOptions{Fault: func(step string) error {
		if step == "beside" {
			return fs.ErrPermission
		}
		return nil
	}})
}

func beside(dir string) *uploads.Folder { return uploads.NewFolder(dir, uploads.FolderOptions{}) }

func TestFolderReads(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	secret := filepath.Join(filepath.Dir(dir), "secret.txt")
	require.NoError(t, os.WriteFile(secret, []byte("s"), 0o600))
	require.NoError(t, os.Symlink(secret, filepath.Join(dir, "link.txt")))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/there.txt":
			_, _ = io.WriteString(w, "from afar")
		case "/private.txt":
			w.WriteHeader(http.StatusForbidden)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer web.Close()
	store := uploads.NewFolder(dir, uploads.FolderOptions{})
	for name, tt := range map[string]struct {
		file uploads.File
		want string
		err  error
	}{
		"by url":             {file: uploads.File{URL: "/uploads/a_1.txt", Provider: "local"}, want: "old a"},
		"in a folder":        {file: uploads.File{URL: "/uploads/sub/c.txt"}, want: "old c"},
		"by name":            {file: uploads.File{Hash: "b_2", Ext: ".txt"}, want: "old b"},
		"not there":          {file: uploads.File{URL: "/uploads/x.txt"}, err: fs.ErrNotExist},
		"a folder":           {file: uploads.File{URL: "/uploads/sub"}, err: fs.ErrNotExist},
		"another url":        {file: uploads.File{URL: "/elsewhere/x.txt"}, err: fs.ErrNotExist},
		"out of it":          {file: uploads.File{URL: "/uploads/../secret.txt"}, err: transfer.ErrDamaged},
		"out of it by link":  {file: uploads.File{URL: "/uploads/link.txt"}, err: transfer.ErrDamaged},
		"with a NUL":         {file: uploads.File{URL: "/uploads/a\x00b"}, err: transfer.ErrDamaged},
		"another provider's": {file: uploads.File{URL: web.URL + "/there.txt", Provider: "cloud"}, want: "from afar"},
		"gone there":         {file: uploads.File{URL: web.URL + "/gone.txt", Provider: "cloud"}, err: fs.ErrNotExist},
		"private there":      {file: uploads.File{URL: web.URL + "/private.txt?sig=1", Provider: "cloud"}, err: transfer.ErrAuth},
	} {
		t.Run(name, func(t *testing.T) {
			size, statErr := store.Stat(t.Context(), tt.file)
			body, opened, err := store.Open(t.Context(), tt.file)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
				require.ErrorIs(t, statErr, tt.err)
				require.NotContains(t, err.Error(), "sig=1")
				return
			}
			require.NoError(t, errors.Join(err, statErr))
			text, err := io.ReadAll(body)
			require.NoError(t, errors.Join(err, body.Close()))
			require.Equal(t, tt.want, string(text))
			require.EqualValues(t, len(text), size)
			require.Equal(t, size, opened)
		})
	}
}

func TestFolderIsReplaced(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(string) *uploads.Folder{"at once": beside, "file by file": inside} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, end := range []string{"finish", "undo before", "undo after"} {
				dir := folder(t)
				store := open(dir)
				c, err := store.Begin(t.Context(), uploads.BeginOptions{Replace: true})
				require.NoError(t, err)
				_, err = store.Begin(t.Context(), uploads.BeginOptions{})
				require.ErrorIs(t, err, uploads.ErrBusy)
				require.ErrorIs(t, err, transfer.ErrUnwritable)
				stageNew(t, c)
				want := oldContent()
				switch end {
				case "finish":
					require.NoError(t, c.Apply(t.Context()))
					require.NoError(t, c.Finish(t.Context()))
					want = newContent()
				case "undo before":
				case "undo after":
					require.NoError(t, c.Apply(t.Context()))
				}
				require.NoError(t, c.Undo(t.Context()))
				require.Equal(t, want, content(t, dir), end)
				info, err := os.Stat(dir)
				require.NoError(t, err)
				require.Equal(t, fs.FileMode(0o755), info.Mode().Perm())
			}
		})
	}
}

func TestFolderIsAddedTo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	store := uploads.NewFolder(dir, uploads.FolderOptions{})
	c, err := store.Begin(t.Context(), uploads.BeginOptions{})
	require.NoError(t, err)
	stageNew(t, c)
	c.Remove(uploads.File{URL: "/uploads/b_2.txt"})
	c.Remove(uploads.File{URL: "/uploads/d_4.txt"}) // staged: stays
	c.Remove(uploads.File{URL: "/uploads/../../x"})
	require.NoError(t, c.Apply(t.Context()))
	require.NoError(t, c.Finish(t.Context()))
	want := newContent()
	want["uploads/sub/c.txt"] = "old c"
	require.Equal(t, want, content(t, dir))
}

func TestFolderBehindALink(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	link := filepath.Join(t.TempDir(), "uploads")
	require.NoError(t, os.Symlink(dir, link))
	c, err := uploads.NewFolder(link, uploads.FolderOptions{}).Begin(t.Context(), uploads.BeginOptions{Replace: true})
	require.NoError(t, err)
	stageNew(t, c)
	require.NoError(t, c.Apply(t.Context()))
	require.NoError(t, c.Finish(t.Context()))
	require.Equal(t, newContent(), content(t, dir))
}

func TestNamesThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c, err := uploads.NewFolder(dir, uploads.FolderOptions{}).Begin(t.Context(), uploads.BeginOptions{Replace: true})
	require.NoError(t, err)
	for _, name := range []string{"", ".", "..", "../x", "a/b", `a\b`, "a\x00", "c:x", ".gitkeep", ".transfer-lock", strings.Repeat("x", 256), "\xff"} {
		_, err := c.Stage(t.Context(), uploads.File{Hash: name}, strings.NewReader("x"))
		require.ErrorIs(t, err, transfer.ErrDamaged, "%q", name)
	}
	require.NoError(t, c.Undo(t.Context()))
	require.Equal(t, oldContent(), content(t, dir))
}

func TestFolderThatIsNotThere(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "public", "uploads")
	store := uploads.NewFolder(dir, uploads.FolderOptions{})
	ids, err := store.Recover(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, ids)
	c, err := store.Begin(t.Context(), uploads.BeginOptions{Replace: true})
	require.NoError(t, err)
	stageNew(t, c)
	require.NoError(t, c.Apply(t.Context()))
	require.NoError(t, c.Finish(t.Context()))
	want := newContent()
	want["uploads/.gitkeep"] = ""
	require.Equal(t, want, content(t, dir))
}

func TestFolderThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "uploads")
	require.NoError(t, os.WriteFile(dir, []byte("a file"), 0o600))
	_, err := uploads.NewFolder(dir, uploads.FolderOptions{}).Begin(t.Context(), uploads.BeginOptions{Replace: true})
	require.ErrorIs(t, err, transfer.ErrUnwritable)
}

// TestEveryFailure lets each step of a change fail, and expects the old files.
func TestEveryFailure(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"replace", "inside", "add"} {
		for _, step := range []string{"stage", "swap", "swapped", "move", "one moved", "moved"} {
			dir := folder(t)
			fail := errors.New("the disk is full")
			store := uploads.NewFolder(dir, uploads.FolderOptions{Fault: func(at string) error {
				if at == step || at == "beside" && mode == "inside" {
					return fail
				}
				return nil
			}})
			c, err := store.Begin(t.Context(), uploads.BeginOptions{Replace: mode != "add"})
			require.NoError(t, err)
			_, err = c.Stage(t.Context(), uploads.File{Hash: "a_1", Ext: ".txt"}, strings.NewReader("new a"))
			if err == nil {
				err = c.Apply(t.Context())
			}
			if err != nil {
				require.ErrorIs(t, err, fail)
				require.ErrorIs(t, err, transfer.ErrUnwritable)
			}
			require.NoError(t, c.Undo(t.Context()))
			require.Equal(t, oldContent(), content(t, dir), "%s %s", step, mode)
		}
	}
}

func TestStageEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	c, err := uploads.NewFolder(dir, uploads.FolderOptions{}).Begin(t.Context(), uploads.BeginOptions{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Stage(ctx, uploads.File{Hash: "x"}, strings.NewReader("x"))
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, transfer.ErrUnwritable)
	require.NoError(t, c.Undo(t.Context()))
}
