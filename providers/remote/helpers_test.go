package remote_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// fullPlan replaces everything.
func fullPlan(t testing.TB, site *transfertest.Site) transfer.Plan {
	t.Helper()
	return transfer.Plan{Stages: transfer.Stages(), Restore: transfer.Filter{}.Restore(site.Schemas(t))}
}

// push sends all of site, with a batch for each record, and commits.
func push(t testing.TB, dst transfer.Destination, site *transfertest.Site) error {
	t.Helper()
	if _, err := dst.Describe(t.Context()); err != nil {
		return err
	}
	if _, err := dst.Begin(t.Context(), fullPlan(t, site)); err != nil {
		return err
	}
	for _, stage := range transfer.Stages() {
		if err := writeStage(t, dst, site, stage); err != nil {
			return err
		}
	}
	return dst.Commit(t.Context())
}

func writeStage(t testing.TB, dst transfer.Destination, site *transfertest.Site, stage transfer.Stage) error {
	t.Helper()
	for item, err := range transfertest.NewMemory(site).Read(t.Context(), stage, 0) {
		require.NoError(t, err)
		if err := dst.Write(t.Context(), transfer.Batch{Stage: stage, Records: []transfer.Record{item.Record}}); err != nil {
			return err
		}
	}
	return dst.Write(t.Context(), transfer.Batch{Stage: stage, Last: true})
}

// pushFlow is what a complete push of [transfertest.Sample] says, in order.
func pushFlow() []string {
	flow := []string{"init", "bootstrap", "getMetadata", "getSchemas", "beforeTransfer"}
	for _, stage := range []string{"entities", "assets", "links", "configuration"} {
		flow = append(flow, "start "+stage, "stream "+stage)
		if stage == "assets" {
			flow = append(flow, "stream assets") // more than one message holds
		}
		flow = append(flow, "end "+stage)
	}
	return append(flow, "close", "end")
}

// describeFlow is what asking a destination for its description says.
func describeFlow() []string {
	return []string{"init", "bootstrap", "getMetadata", "getSchemas", "close", "end"}
}

// on returns a hook for one message of a connection that has said init before: the push itself, not its description.
func on(what string, do func(c *wire, m message)) func(*wire, message) bool {
	return func(c *wire, m message) bool {
		if m.String() != what || c.push && c.index == 0 {
			return false
		}
		do(c, m)
		return true
	}
}

// read reads a stage through, files included, and returns the keys of its records.
func read(ctx context.Context, src transfer.Source, stage transfer.Stage) (keys []string, err error) {
	for item, err := range src.Read(ctx, stage, 0) {
		if err != nil {
			return keys, err
		}
		if a, ok := item.Record.(transfer.Asset); ok {
			body, err := a.Open(ctx)
			if err != nil {
				return keys, err
			}
			if _, err := io.Copy(io.Discard, body); err != nil {
				return keys, err
			}
		}
		keys = append(keys, item.Record.Key())
	}
	return keys, nil
}

func asset(name string, id int, content io.Reader) transfer.Asset {
	return transfer.Asset{
		Filename: name, Length: -1, Metadata: fmt.Appendf(nil, `{"id":%d}`, id),
		Content: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(content), nil },
	}
}

var errBroken = errors.New("disk on fire")

// brokenReader yields n bytes and fails.
func brokenReader(n int) io.Reader {
	return io.MultiReader(bytes.NewReader(make([]byte, n)), readerFunc(func([]byte) (int, error) { return 0, errBroken }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// sameJSON fails unless both texts are the same object.
func sameJSON(t testing.TB, want, got string) {
	t.Helper()
	var a, b any
	require.NoError(t, json.Unmarshal([]byte(want), &a))
	require.NoError(t, json.Unmarshal([]byte(got), &b), got)
	require.Equal(t, a, b)
}

// logbook collects a log, to look for what must not be in it.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// notes joins the messages of notes.
func notes(n transfer.Noter) string {
	var b strings.Builder
	for _, note := range n.Notes() {
		b.WriteString(string(note.Level) + ": " + note.Message + "\n")
	}
	return b.String()
}
