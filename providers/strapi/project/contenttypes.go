package project

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// kebab are the names that Strapi takes as they are; it rewrites others.
var kebab = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// contentTypes reads the project's own content types by uid, as far as they are in JSON files. What cannot be read is left out: they are
// only compared with those that the database has.
func (p *Project) contentTypes() {
	p.ContentTypes = make(map[string]json.RawMessage)
	root := os.DirFS(p.Dir)
	files, err := fs.Glob(root, "src/api/*/content-types/*/schema.json")
	if err != nil { // of a pattern that is wrong
		return
	}
	for _, name := range files {
		parts := strings.Split(name, "/")
		api, own := parts[2], parts[4]
		if !kebab.MatchString(own) || !kebab.MatchString(api) || len(p.ContentTypes) == maxComponents {
			continue
		}
		if text, err := readFile(filepath.Join(p.Dir, filepath.FromSlash(name)), maxComponent); err == nil && json.Valid(text) {
			p.ContentTypes["api::"+api+"."+own] = text
		}
	}
}
