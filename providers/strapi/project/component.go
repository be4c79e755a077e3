package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Bounds of what a project may hold.
const (
	maxComponents = 20_000
	maxComponent  = 4 << 20
)

// components reads the component files by uid: category and file name, both in lower case.
func (p *Project) components(ctx context.Context, s script, types bool) error {
	folder := filepath.Join(p.Dir, "src", "components")
	if built := filepath.Join(p.Dir, "dist", "src", "components"); types && exists(built) {
		folder = built
	}
	var err error
	p.Components, err = ReadComponents(ctx, folder, s.evaluate)
	return err
}

// ReadComponents reads a folder of component files by uid. evaluate is asked for those that are not JSON.
func ReadComponents(ctx context.Context, folder string, evaluate func(ctx context.Context, path string) (json.RawMessage, error)) (map[string]json.RawMessage, error) {
	out := make(map[string]json.RawMessage)
	categories, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the components: %w", err)
	}
	for _, category := range categories {
		files, err := os.ReadDir(filepath.Join(folder, category.Name()))
		if err != nil {
			continue // a file: components are in folders of their category
		}
		for _, file := range files {
			ending := filepath.Ext(file.Name())
			if ending != ".json" && ending != ".js" && ending != ".ts" || strings.HasSuffix(file.Name(), ".d.ts") {
				continue
			}
			uid := strings.ToLower(category.Name() + "." + strings.TrimSuffix(file.Name(), ending))
			if len(out) >= maxComponents {
				return nil, fmt.Errorf("read the components: more than %d files", maxComponents)
			}
			if out[uid], err = readComponent(ctx, filepath.Join(folder, category.Name(), file.Name()), evaluate); err != nil {
				return nil, fmt.Errorf("component %s: %w", uid, err)
			}
		}
	}
	return out, nil
}

func readComponent(ctx context.Context, path string, evaluate func(ctx context.Context, path string) (json.RawMessage, error)) (json.RawMessage, error) {
	text, err := func() (json.RawMessage, error) {
		if filepath.Ext(path) == ".json" || evaluate == nil {
			return readFile(path, maxComponent)
		}
		return evaluate(ctx, path)
	}()
	if err != nil {
		return nil, err
	}
	var head struct {
		CollectionName string                     `json:"collectionName"`
		Attributes     map[string]json.RawMessage `json:"attributes"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("%s does not hold a schema: %w", path, err)
	}
	if head.CollectionName == "" {
		return nil, fmt.Errorf("%s has no collectionName", path)
	}
	return text, nil
}
