package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/vbauerster/mpb/v8"

	"github.com/transfer-runner/runner/transfer"
)

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"5MiB/s": 5 << 20, "500k": 500 << 10, "1MB/s": 1e6, "1.5 GiB": 3 << 29, "100": 100, "7 b/s": 7} {
		var r byteRate
		require.NoError(t, r.Set(text), text)
		require.Equal(t, byteRate(want), r, text)
	}
	for _, text := range []string{"", "fast", "-1k", "0", "5TiB", "1e30G", ".", "5MiB/min"} {
		var r byteRate
		require.Error(t, r.Set(text), text)
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1 << 20: "1.0 MiB", 1<<20 - 1: "1.0 MiB", 5 << 40: "5.0 TiB"} {
		require.Equal(t, want, formatBytes(n))
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		require.Equal(t, want, formatCount(n))
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"100": 100 * time.Millisecond, "5m": 5 * time.Minute, "0": 0, "1.5s": 1500 * time.Millisecond} {
		var s span
		require.NoError(t, s.Set(text))
		require.Equal(t, want, s.duration())
	}
	for _, text := range []string{"-5s", "soon", ""} {
		var s span
		if text != "" {
			require.Error(t, s.Set(text), text)
		}
	}
	for d, want := range map[time.Duration]string{400 * time.Millisecond: "0.4 s", 12 * time.Second: "12 s", 185 * time.Second: "3 min 5 s", 130 * time.Minute: "2 h 10 min"} {
		require.Equal(t, want, formatElapsed(d))
	}
}

func TestPaceFollowsTheLastSeconds(t *testing.T) {
	t.Parallel()
	var p pace
	start := time.Unix(0, 0)
	at, value := start, int64(0)
	for range 600 { // a minute at 10,000 a second
		at, value = at.Add(100*time.Millisecond), value+1000
		p.add(at, value)
	}
	require.InDelta(t, 10_000, p.perSecond(at), 500)
	require.LessOrEqual(t, len(p.samples), 60, "samples are bounded")
	for range 300 { // then half a minute at 1,000
		at, value = at.Add(100*time.Millisecond), value+100
		p.add(at, value)
	}
	require.InDelta(t, 1000, p.perSecond(at), 50)
	left, ok := p.left(at, value+10_000)
	require.True(t, ok)
	require.InDelta(t, 10, left.Seconds(), 1)
	_, ok = p.left(at, value-1)
	require.False(t, ok, "a total that has been passed tells nothing")
	_, ok = (&pace{}).left(at, 5)
	require.False(t, ok)
}

func TestTablesAlign(t *testing.T) {
	t.Parallel()
	tab := table{indent: " ", numbers: 2}
	tab.add("name", "one", "two")
	tab.add("ünï", "1,000", "2", "kept")
	tab.add("longer name", "1", "20,000")
	var b strings.Builder
	require.NoError(t, tab.write(&b))
	require.Equal(t, " name           one     two\n ünï          1,000       2  kept\n longer name      1  20,000\n", b.String())
}

func TestWrap(t *testing.T) {
	t.Parallel()
	text := wrap(strings.Repeat("words of prose ", 30), "  ! ", "    ")
	lines := strings.Split(text, "\n")
	require.Greater(t, len(lines), 3)
	for i, line := range lines {
		require.LessOrEqual(t, utf8.RuneCountInString(line), lineWidth)
		require.True(t, strings.HasPrefix(line, map[bool]string{true: "  ! w", false: "    "}[i == 0]))
	}
	require.Equal(t, strings.Fields(strings.Repeat("words of prose ", 30)), strings.Fields(strings.TrimPrefix(strings.TrimSpace(text), "!")))
}

func TestBars(t *testing.T) {
	t.Parallel()
	out := &lockedBuffer{}
	var said bytes.Buffer
	c := &console{w: &said}
	var seconds atomic.Int64 // the bars look at the clock whenever they draw
	now := func() time.Time { return time.Unix(seconds.Load(), 0) }
	b := &bars{console: c, out: out, now: now, options: []mpb.ContainerOption{
		mpb.WithWidth(100), mpb.WithAutoRefresh(), mpb.WithRefreshRate(time.Millisecond),
	}}
	total := &transfer.Count{Records: 20, Bytes: 4 << 20}
	tell := func(kind transfer.EventKind, stage transfer.Stage, records, bytes int64) {
		seconds.Add(1)
		b.observe("", transfer.Event{Kind: kind, Time: now(), Stage: stage, Records: records, Bytes: bytes, Total: total})
	}
	b.observe("", transfer.Event{Kind: transfer.EventPhase, Item: "connecting"})
	require.Equal(t, "connecting\n", said.String())
	tell(transfer.EventStageStarted, transfer.StageAssets, 0, 0)
	tell(transfer.EventStageProgress, transfer.StageAssets, 5, 1<<20)
	tell(transfer.EventStageProgress, transfer.StageAssets, 10, 2<<20)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "10/20  2.0 MiB  1.0 MiB/s  ETA 2.0 s") }, 5*time.Second, time.Millisecond)
	b.observe("", transfer.Event{Kind: transfer.EventNote, Note: &transfer.Note{Level: transfer.NoteWarning, Message: "mind the gap"}})
	tell(transfer.EventStageFinished, transfer.StageAssets, 20, 4<<20)
	tell(transfer.EventStageStarted, transfer.StageLinks, 0, 0)
	b.stop()
	b.stop()
	require.Contains(t, out.String(), "warning: mind the gap", "above the bars")
	require.Contains(t, out.String(), "20/20  4.0 MiB")
	c.say("afterwards")
	require.Contains(t, said.String(), "afterwards")
}

func TestPlainLinesComeEveryFewSeconds(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	p := &plainLines{console: &console{w: &said}, now: time.Now, every: 5 * time.Second}
	at := time.Unix(0, 0)
	p.observe("backup", transfer.Event{Kind: transfer.EventStageStarted, Stage: transfer.StageEntities, Time: at})
	for i := range 120 { // twelve seconds
		at = at.Add(100 * time.Millisecond)
		p.observe("backup", transfer.Event{Kind: transfer.EventStageProgress, Stage: transfer.StageEntities, Time: at, Records: int64(i), Bytes: int64(i) * 1000})
	}
	p.observe("backup", transfer.Event{Kind: transfer.EventStageFinished, Stage: transfer.StageEntities, Time: at, Records: 120, Bytes: 120_000, Elapsed: 12 * time.Second})
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	require.Len(t, lines, 3)
	require.Contains(t, lines[0], "9.6 KiB/s")
	require.Equal(t, "backup: entities 120  117.2 KiB  12 s", lines[2])
}

func TestReplaceFileLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	require.NoError(t, replaceFile(path, []byte("one")))
	require.NoError(t, replaceFile(path, []byte("two")))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "two", string(text))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "folder", "x"), nil, 0o600))
	require.Error(t, replaceFile(filepath.Join(dir, "folder"), []byte("x")), "a folder is not replaced")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

func TestAdviceKnowsEveryState(t *testing.T) {
	t.Parallel()
	m := &move{ends: &ends{}}
	m.to.Kind, m.to.Location = "server", staging
	for _, state := range []transfer.State{
		transfer.StateUntouched, transfer.StateRolledBack, transfer.StateFilesGone, transfer.StateCommitted, transfer.StateUnknown, transfer.StateUncertain,
	} {
		require.NotEqual(t, string(state), m.advice(state))
	}
	m.to.Kind = "archive"
	require.Contains(t, m.advice(transfer.StateRolledBack), "unchanged")
}

func TestRedactorKeepsTheRest(t *testing.T) {
	t.Parallel()
	r := &redactor{}
	r.add("topsecret")
	r.add("ab") // too short to look for
	var b bytes.Buffer
	n, err := r.wrap(&b).Write([]byte("a topsecret b ab topsecret"))
	require.NoError(t, err)
	require.Equal(t, len("a topsecret b ab topsecret"), n)
	require.Equal(t, "a *** b ab ***", b.String())
	_, err = r.wrap(brokenWriter{}).Write([]byte("x"))
	require.Error(t, err)
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("broken") }
