package project

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"time"

	"github.com/dop251/goja"
	"github.com/evanw/esbuild/pkg/api"
)

// Bounds of an evaluation. A configuration file is a few milliseconds and kilobytes.
const (
	maxScript      = 1 << 20
	scriptTime     = 5 * time.Second
	scriptMemory   = 256 << 20
	scriptStack    = 512
	scriptWatch    = 20 * time.Millisecond
	maxModules     = 200
	maxScriptValue = 8 << 20
)

// errScript is a file that cannot be evaluated.
var errScript = errors.New("cannot be evaluated without Node")

//go:embed prelude.js
var prelude string

// script evaluates the files of a project in an interpreter of its own, with nothing of the machine in reach.
type script struct {
	root string            // folder of the project: nothing outside is read
	home string            // folder that __dirname is below: root, or where TypeScript is compiled to
	vars map[string]string // the environment
	read func(path string, limit int64) ([]byte, error)

	// lenient lets modules that are not there stand for something unknown, instead of failing where they are asked for.
	lenient bool

	vm      *goja.Runtime
	tools   *goja.Object
	modules map[string]*goja.Object
}

// evaluate returns the value that a file exports, called with Strapi's helpers if it is a function, as JSON.
func (s *script) evaluate(ctx context.Context, path string) (json.RawMessage, error) {
	if strings.HasSuffix(path, ".json") {
		text, err := s.read(path, maxScript)
		if err == nil && !json.Valid(text) {
			err = errors.New("it is not JSON")
		}
		return text, err
	}
	text, err := s.bounded(ctx, func() (string, error) { return s.run(path) })
	if err != nil {
		return nil, fmt.Errorf("%s %w: %w", s.name(path), errScript, err)
	}
	return json.RawMessage(text), nil
}

func (s *script) name(path string) string {
	if rel, err := filepath.Rel(s.root, path); err == nil {
		return rel
	}
	return path
}

// bounded calls f, which uses s.vm, and interrupts it when it takes too long or too much.
func (s *script) bounded(ctx context.Context, f func() (string, error)) (string, error) {
	s.vm = goja.New()
	s.vm.SetMaxCallStackSize(scriptStack)
	s.modules = make(map[string]*goja.Object)
	ctx, cancel := context.WithTimeout(ctx, scriptTime)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.watch(ctx)
	}()
	text, err := f()
	cancel()
	<-done
	if stopped, ok := errors.AsType[*goja.InterruptedError](err); ok {
		err = fmt.Errorf("stopped: %v", stopped.Value())
	}
	return text, err
}

// watch interrupts the interpreter when ctx ends or memory grows beyond the bound.
func (s *script) watch(ctx context.Context) {
	before := heap()
	ticker := time.NewTicker(scriptWatch)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				s.vm.Interrupt(fmt.Sprintf("it ran for more than %v", scriptTime))
			} else {
				s.vm.Interrupt("interrupted")
			}
			return
		case <-ticker.C:
			if now := heap(); now > before && now-before > scriptMemory {
				s.vm.Interrupt(fmt.Sprintf("it took more than %d MiB of memory", scriptMemory>>20))
				return
			}
		}
	}
}

func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return math.MaxUint64
	}
	return sample[0].Value.Uint64()
}

func (s *script) run(path string) (text string, err error) {
	build, err := s.vm.RunScript("prelude", prelude)
	if err != nil {
		return "", err
	}
	start, ok := goja.AssertFunction(build)
	if !ok {
		return "", errors.New("the prelude is no function")
	}
	tools, err := start(goja.Undefined(), s.vm.ToValue(s.vars), s.vm.ToValue(s.root), s.vm.ToValue(s.home), s.native(), s.vm.ToValue(s.lenient))
	if err != nil {
		return "", err
	}
	s.tools = tools.ToObject(s.vm)
	module, err := s.load(path)
	if err != nil {
		return "", err
	}
	result, ok := goja.AssertFunction(s.tools.Get("result"))
	if !ok {
		return "", errors.New("the prelude gives no result")
	}
	value, err := result(goja.Undefined(), module.Get("exports"))
	switch {
	case err != nil:
		return "", plain(err)
	case goja.IsUndefined(value):
		return "null", nil
	}
	if text = value.String(); len(text) > maxScriptValue {
		return "", fmt.Errorf("it gives %d bytes, at most %d", len(text), maxScriptValue)
	}
	return text, nil
}

// plain takes the stack off an error of the interpreter, and leaves its message.
func plain(err error) error {
	if thrown, ok := errors.AsType[*goja.Exception](err); ok {
		text := thrown.Value().String()
		text = strings.TrimPrefix(strings.TrimPrefix(text, "GoError: "), "Error: ")
		return errors.New(text)
	}
	return err
}

// load evaluates one file as a module of CommonJS, once.
func (s *script) load(path string) (*goja.Object, error) {
	if module, ok := s.modules[path]; ok {
		return module, nil
	}
	if len(s.modules) >= maxModules {
		return nil, fmt.Errorf("it needs more than %d files", maxModules)
	}
	source, err := s.read(path, maxScript)
	if err != nil {
		return nil, err
	}
	module := s.vm.NewObject()
	exports := s.vm.NewObject()
	_ = module.Set("exports", exports)
	s.modules[path] = module
	if strings.HasSuffix(path, ".json") {
		var value any
		if err := json.Unmarshal(source, &value); err != nil {
			return nil, fmt.Errorf("%s is not JSON", s.name(path))
		}
		_ = module.Set("exports", value)
		return module, nil
	}
	code, err := compile(s.name(path), source)
	if err != nil {
		return nil, err
	}
	wrapper, err := s.vm.RunScript(s.name(path), "(function (exports, require, module, __filename, __dirname, process, console) {"+code+"\n})")
	if err != nil {
		return nil, plain(err)
	}
	call, ok := goja.AssertFunction(wrapper)
	if !ok {
		return nil, fmt.Errorf("%s is no module", s.name(path))
	}
	folder := filepath.Dir(path)
	shown := folder
	if rel, err := filepath.Rel(s.root, folder); err == nil {
		shown = filepath.Join(s.home, rel)
	}
	require := func(call goja.FunctionCall) goja.Value { return s.require(folder, call.Argument(0).String()) }
	if _, err := call(exports, exports, s.vm.ToValue(require), module, s.vm.ToValue(filepath.Join(shown, filepath.Base(path))),
		s.vm.ToValue(shown), s.tools.Get("process"), s.tools.Get("console")); err != nil {
		return nil, plain(err)
	}
	return module, nil
}

// compile strips types and turns modules of either kind, and syntax newer than the interpreter's, into what it runs.
func compile(name string, source []byte) (string, error) {
	loader := api.LoaderJS
	switch filepath.Ext(name) {
	case ".ts", ".cts", ".mts":
		loader = api.LoaderTS
	}
	out := api.Transform(string(source), api.TransformOptions{
		Loader: loader, Format: api.FormatCommonJS, Target: api.ES2017, Platform: api.PlatformNode, Sourcefile: name, LogLevel: api.LogLevelSilent,
	})
	if len(out.Errors) > 0 {
		where := ""
		if at := out.Errors[0].Location; at != nil {
			where = fmt.Sprintf(" in line %d", at.Line)
		}
		return "", fmt.Errorf("it is not JavaScript or TypeScript%s: %s", where, out.Errors[0].Text)
	}
	return string(out.Code), nil
}
