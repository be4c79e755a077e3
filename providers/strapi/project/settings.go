package project

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// settings are the configuration files of a project.
type settings struct {
	script script
	env    string // NODE_ENV
	folder string // of the configuration
	types  bool   // the project is written in TypeScript
}

// load evaluates one configuration file and the one that overrides it in the current environment. A file that is not there is an
// empty object.
func (s settings) load(ctx context.Context, name string) (any, error) {
	var out any = map[string]any{}
	for _, folder := range []string{s.folder, filepath.Join(s.folder, "env", s.env)} {
		path, err := s.find(folder, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		text, err := s.script.evaluate(ctx, path)
		if err != nil {
			return nil, err
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("%s %w: %w", s.script.name(path), errScript, err)
		}
		out = merge(out, value)
	}
	return out, nil
}

func (s settings) find(folder, name string) (string, error) {
	endings := []string{".js", ".json"}
	if s.types {
		endings = []string{".ts", ".js", ".json"}
	}
	for _, ending := range endings {
		path := filepath.Join(folder, name+ending)
		if _, err := s.script.read(path, maxScript); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return path, err
		}
	}
	return "", fs.ErrNotExist
}

// undefined is what a member of that value becomes on its way here.
const undefined = "\x00undefined\x00"

// merge puts b over a as lodash does: objects by key, arrays by index, and nothing by undefined.
func merge(a, b any) any {
	switch b := b.(type) {
	case string:
		if b == undefined {
			return a
		}
	case map[string]any:
		into, ok := a.(map[string]any)
		if !ok {
			into = make(map[string]any, len(b))
		}
		for key, value := range b {
			into[key] = merge(into[key], value)
		}
		return into
	case []any:
		into, ok := a.([]any)
		if !ok || len(into) < len(b) {
			longer := make([]any, len(b))
			copy(longer, into)
			into = longer
		}
		for i, value := range b {
			into[i] = merge(into[i], value)
		}
		return into
	}
	return b
}

// at returns what is found by following names from value, nil if that leads nowhere.
func at(value any, names ...string) any {
	for _, name := range names {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[name]
	}
	return value
}

// textAt returns the string that at finds, or "".
func textAt(value any, names ...string) string {
	text, _ := at(value, names...).(string)
	return text
}
