package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"time"
)

//go:embed static/* templates/*
var files embed.FS

// asset is a file that pages refer to. Its path changes with its content, so that browsers may keep it.
type asset struct {
	name    string
	kind    string
	content []byte
}

const assetRoot = "/static/"

// loadAssets returns the files by path.
func loadAssets() (map[string]asset, error) {
	names, err := fs.ReadDir(files, "static")
	if err != nil {
		return nil, err
	}
	out := make(map[string]asset, len(names))
	for _, entry := range names {
		content, err := files.ReadFile("static/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("load %s: %w", entry.Name(), err)
		}
		sum := sha256.Sum256(content)
		kind := mime.TypeByExtension(path.Ext(entry.Name()))
		if path.Ext(entry.Name()) == ".js" {
			kind = "text/javascript; charset=utf-8"
		}
		out[assetRoot+hex.EncodeToString(sum[:6])+"/"+entry.Name()] = asset{name: entry.Name(), kind: kind, content: content}
	}
	return out, nil
}

// path is where the asset called name is.
func (d *dashboard) path(name string) (string, error) {
	for path, a := range d.static {
		if a.name == name {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no asset %q", name)
}

func (d *dashboard) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := d.static[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content))
}
