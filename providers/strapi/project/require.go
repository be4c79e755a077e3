package project

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/dop251/goja"
)

// require is the function of that name: files of the project, and the few modules of the prelude.
func (s *script) require(folder, name string) goja.Value {
	if strings.HasPrefix(name, ".") || filepath.IsAbs(name) {
		path, err := s.resolve(folder, name)
		if err != nil {
			panic(s.vm.NewGoError(err))
		}
		module, err := s.load(path)
		if err != nil {
			panic(s.vm.NewGoError(err))
		}
		return module.Get("exports")
	}
	builtin, ok := goja.AssertFunction(s.tools.Get("builtin"))
	if !ok {
		panic(s.vm.NewGoError(errors.New("the prelude has no modules")))
	}
	value, err := builtin(goja.Undefined(), s.vm.ToValue(name))
	if err != nil {
		panic(s.vm.NewGoError(plain(err)))
	}
	return value
}

// resolve finds the file of the project that a relative name means.
func (s *script) resolve(folder, name string) (string, error) {
	path := name
	if !filepath.IsAbs(name) {
		path = filepath.Join(folder, name)
	}
	if rel, err := filepath.Rel(s.root, path); err != nil || !filepath.IsLocal(rel) {
		return "", fmt.Errorf("it needs %q, which is outside the project", name)
	}
	candidates := []string{path}
	for _, ending := range []string{".js", ".ts", ".json", ".cjs", ".mjs"} {
		candidates = append(candidates, path+ending)
	}
	candidates = append(candidates, filepath.Join(path, "index.js"), filepath.Join(path, "index.ts"))
	for _, candidate := range candidates {
		if filepath.Ext(candidate) == "" {
			continue // a folder, or a file of unknown kind
		}
		if _, err := s.read(candidate, maxScript); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return candidate, err
		}
	}
	return "", fmt.Errorf("it needs %q, which is not there", name)
}

// native are the functions of the prelude that are made in Go.
func (s *script) native() goja.Value {
	return s.vm.ToValue(map[string]any{
		"sep": string(filepath.Separator), "delimiter": string(filepath.ListSeparator), "platform": runtime.GOOS,
		"join": func(parts []string) string {
			if joined := filepath.Join(parts...); joined != "" {
				return joined
			}
			return "."
		},
		"resolve": func(cwd string, parts []string) string {
			out := cwd
			for _, part := range parts {
				if filepath.IsAbs(part) {
					out = part
				} else {
					out = filepath.Join(out, part)
				}
			}
			return filepath.Clean(out)
		},
		"dirname": filepath.Dir, "basename": filepath.Base, "extname": extension, "isAbsolute": filepath.IsAbs,
		"relative": func(from, to string) string {
			rel, err := filepath.Rel(from, to)
			if err != nil || rel == "." {
				return ""
			}
			return rel
		},
		"ofNode":     ofNode,
		"connection": connectionString,
	})
}

// extension is filepath.Ext, but of ".env" as Node has it: a leading dot is no extension's.
func extension(path string) string {
	base := filepath.Base(path)
	if at := strings.LastIndexByte(base, '.'); at > 0 {
		return base[at:]
	}
	return ""
}

// ofNode reports whether a module is one of Node's own. They look at the machine, and what depends on that cannot be guessed.
func ofNode(name string) bool {
	name, _, _ = strings.Cut(name, "/")
	return slices.Contains([]string{
		"assert", "async_hooks", "buffer", "child_process", "cluster", "crypto", "dgram", "dns", "events", "fs", "http", "http2",
		"https", "module", "net", "os", "perf_hooks", "process", "querystring", "readline", "stream", "string_decoder", "timers",
		"tls", "tty", "url", "util", "v8", "vm", "worker_threads", "zlib",
	}, name)
}

// connectionString takes a database URL apart as the package of that name does, which many projects use.
func connectionString(text string) (map[string]any, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("a database URL cannot be read; special characters in it must be percent-encoded")
	}
	password, _ := u.User.Password()
	out := map[string]any{
		"host": u.Hostname(), "port": u.Port(), "user": u.User.Username(), "password": password, "database": strings.TrimPrefix(u.Path, "/"),
	}
	for name, values := range u.Query() {
		out[name] = values[len(values)-1]
	}
	switch mode, _ := out["sslmode"].(string); mode {
	case "disable":
		out["ssl"] = false
	case "no-verify":
		out["ssl"] = map[string]any{"rejectUnauthorized": false}
	case "prefer", "require", "verify-ca", "verify-full":
		out["ssl"] = map[string]any{}
	}
	switch ssl, _ := out["ssl"].(string); ssl {
	case "true", "1":
		out["ssl"] = true
	case "0":
		out["ssl"] = false
	}
	return out, nil
}
