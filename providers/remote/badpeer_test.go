package remote_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
)

// raw writes bytes past the WebSocket library.
func (c *wire) raw(p []byte) { _, _ = c.conn.NetConn().Write(p) }

// nonsense are things that no server may say.
func nonsense() map[string]func(c *wire, m message) {
	return map[string]func(c *wire, m message){
		"no JSON":                  func(c *wire, _ message) { c.send("hello") },
		"JSON that is no object":   func(c *wire, _ message) { c.send("[1]") },
		"half a message":           func(c *wire, m message) { c.send(`{"uuid":"` + m.UUID) },
		"a message of bad UTF-8":   func(c *wire, _ message) { c.raw(append([]byte{0x81, 4}, "\xff\xfe{}"...)) },
		"an answer with two uuids": func(c *wire, m message) { c.send(fmt.Sprintf(`{"uuid":%q,"uuid":"x","data":null}`, m.UUID)) },
		"very deep nesting": func(c *wire, m message) {
			c.send(fmt.Sprintf(`{"uuid":%q,"data":%s}`, m.UUID, strings.Repeat("[", 1<<16)))
		},
		"a frame of 2 GiB":        func(c *wire, _ message) { c.raw([]byte{0x81, 127, 0, 0, 0, 0, 0x80, 0, 0, 0}) },
		"a frame of 2^63-1 bytes": func(c *wire, _ message) { c.raw(append([]byte{0x81, 127, 0x7f}, bytes.Repeat([]byte{0xff}, 7)...)) },
		"reserved bits":           func(c *wire, _ message) { c.raw([]byte{0xf1, 2, '{', '}'}) },
		"a masked frame":          func(c *wire, _ message) { c.raw([]byte{0x81, 0x82, 1, 2, 3, 4, '{' ^ 1, '}' ^ 2}) },
		"a close frame": func(c *wire, _ message) {
			_ = c.conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1011, "out of luck"), time.Now().Add(time.Second))
		},
		"the end of the connection": func(c *wire, _ message) { c.drop() },
	}
}

func TestNonsenseEndsInAClearError(t *testing.T) {
	t.Parallel()
	for name, say := range nonsense() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all sync.WaitGroup // each waits half a second for the peer's goodbye
			for _, at := range []string{"init", "getSchemas", "start entities", "ack", "end entities"} {
				all.Go(func() { pullMeets(t, at, say) })
			}
			for _, at := range []string{"init", "beforeTransfer", "stream entities", "end assets", "close"} {
				all.Go(func() { pushMeets(t, at, say) })
			}
			all.Wait()
		})
	}
}

func pullMeets(t *testing.T, at string, say func(*wire, message)) {
	t.Helper()
	r := newRunner(t, small())
	r.hook = on(at, say)
	src := r.source(remote.Options{})
	_, err := src.Describe(t.Context())
	if err == nil {
		_, err = read(t.Context(), src, transfer.StageEntities)
	}
	if assert.ErrorIs(t, err, transfer.ErrConnection, at) {
		assert.NotContains(t, err.Error(), token)
	}
	assert.NoError(t, src.Close())
}

func pushMeets(t *testing.T, at string, say func(*wire, message)) {
	t.Helper()
	r := newRunner(t, small())
	r.hook = on(at, say)
	dst := r.destination(remote.Options{})
	err := push(t, dst, small())
	want, state := transfer.ErrConnection, transfer.StateFilesGone
	switch at {
	case "init":
		state = transfer.StateUntouched
	case "close":
		want, state = transfer.ErrOutcomeUnknown, transfer.StateUnknown
	}
	assert.ErrorIs(t, err, want, at)
	assert.NoError(t, dst.Close(), at)
	assert.Equal(t, state, dst.State(), at)
	assert.Equal(t, small().Lines(), r.current().Lines(), at)
}

func TestSilenceEndsInAClearError(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"init", "bootstrap", "getSchemas", "start entities", "stream assets", "end links"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = on(at, func(*wire, message) {})
			dst := r.destination(remote.Options{StallTimeout: 300 * time.Millisecond, CloseTimeout: 200 * time.Millisecond})
			err := push(t, dst, small())
			require.ErrorIs(t, err, transfer.ErrStalled)
			require.ErrorContains(t, err, at)
			require.NoError(t, dst.Close())
		})
	}
}

func TestAnswersOfTheWrongKindEndInAClearError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ at, data string }{
		"schemas that are a list":       {"getSchemas", `[1,2]`},
		"schemas that are text":         {"getSchemas", `"x"`},
		"a schema that is a number":     {"getSchemas", `{"api::a.a":17}`},
		"metadata that are a list":      {"getMetadata", `[1]`},
		"a start that is a list":        {"start entities", `[1]`},
		"a start that names no stream":  {"start entities", `{"ok":true}`},
		"a stream id that is no string": {"start entities", `{"ok":true,"id":17}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = on(test.at, func(c *wire, m message) { c.answer(m, test.data) })
			src := r.source(remote.Options{})
			_, err := src.Describe(t.Context())
			if err == nil {
				_, err = read(t.Context(), src, transfer.StageEntities)
			}
			require.Error(t, err)
			require.Contains(t, err.Error(), "; ", "says what to do")
		})
	}
	for name, data := range map[string]string{"no schemas": `null`, "no version": `{"createdAt":"x"}`, "no metadata": `null`} {
		t.Run(name+" are no error", func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = on(map[bool]string{true: "getSchemas", false: "getMetadata"}[name == "no schemas"], func(c *wire, m message) { c.answer(m, data) })
			d, err := r.source(remote.Options{}).Describe(t.Context())
			require.NoError(t, err)
			require.Equal(t, name == "no schemas", d.Schemas == nil)
			require.Equal(t, name != "no schemas", d.Version == "")
		})
	}
}

func TestRecordsThatAreNoneEndInAClearError(t *testing.T) {
	t.Parallel()
	for name, items := range map[string]string{
		"a number":                  `[1]`,
		"an entity without type":    `[{"id":1,"data":{}}]`,
		"an entity without data":    `[{"type":"api::a.a","id":1}]`,
		"a member that comes twice": `[{"type":"api::a.a","id":1,"id":2,"data":{}}]`,
	} {
		r := newRunner(t, small())
		r.hook = playing(transfer.StageEntities, frame(transfer.StageEntities, items), lastFrame(transfer.StageEntities))
		_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageEntities)
		require.ErrorIs(t, err, transfer.ErrDamaged, name)
		require.Contains(t, err.Error(), "; ", name)
	}
}

func TestAServerThatDoesNotWaitForAcknowledgementsIsRefused(t *testing.T) {
	t.Parallel()
	r := newRunner(t, small())
	r.hook = on("start entities", func(c *wire, m message) {
		c.answer(m, `{"ok":true,"id":"stream-entities"}`)
		for i := range 100 {
			c.send(fmt.Sprintf(`{"uuid":"f%d","data":%s}`, i, frame(transfer.StageEntities, "["+entity(i)+"]")))
		}
	})
	n := 0
	var last error
	for _, err := range r.source(remote.Options{}).Read(t.Context(), transfer.StageEntities, 0) {
		if n++; n == 1 {
			<-time.After(300 * time.Millisecond) // does not read on
		}
		last = err
	}
	require.ErrorIs(t, last, transfer.ErrConnection)
	require.Less(t, n, 100)
}

func TestAFrameThatComesTwiceCountsOnce(t *testing.T) {
	t.Parallel()
	r := newRunner(t, small())
	r.hook = func(c *wire, m message) bool {
		if m.Type == "" && m.UUID == "frame-0-1" {
			c.send(fmt.Sprintf(`{"uuid":"frame-0-1","data":%s}`, frame(transfer.StageEntities, "["+entity(1)+"]")))
		}
		return false
	}
	keys, err := read(t.Context(), r.source(remote.Options{}), transfer.StageEntities)
	require.NoError(t, err)
	require.Len(t, keys, len(small().Records[transfer.StageEntities]))
}

func TestSkippedLinksAreAccountedFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		warnings []string
		want     []transfer.Skip
		stored   int64
	}{
		"none": {stored: 3},
		"named and summed up": {
			warnings: []string{
				"Skipping link api::article.article:1 -> api::category.category:9001 because api::article.article:1 was not transferred during the entities stage.",
				"Skipping link api::article.article:2 -> api::category.category:9 due to a foreign key constraint.",
				"Further detailed warnings suppressed after 10 messages. See the stage summary for totals.",
				"Links restore skipped 3 relation(s) (2 unmapped, 1 foreign key). Verify relations in the admin after transfer.",
			},
			want: []transfer.Skip{
				{Stage: transfer.StageLinks, Reason: "a row that it points to was not transferred", Count: 2, Examples: []string{"api::article.article:1 -> api::category.category:9001"}},
				{Stage: transfer.StageLinks, Reason: "the destination's database refuses it: foreign key constraint", Count: 1, Examples: []string{"api::article.article:2 -> api::category.category:9"}},
			},
		},
		"named only, by an old server": {
			warnings: []string{"Skipping link api::article.article:2 -> api::category.category:9 due to a foreign key constraint."},
			want:     []transfer.Skip{{Stage: transfer.StageLinks, Reason: "the destination's database refuses it: foreign key constraint", Count: 1, Examples: []string{"api::article.article:2 -> api::category.category:9"}}},
			stored:   2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = func(c *wire, m message) bool {
				if c.index == 1 && m.String() == "end links" {
					for _, text := range test.warnings {
						c.diagnose("warning", text)
					}
				}
				return false
			}
			dst := r.destination(remote.Options{})
			require.NoError(t, push(t, dst, small()))
			outcome := dst.Outcome()
			require.Equal(t, test.want, outcome.Skipped)
			require.Equal(t, int64(3), outcome.Acknowledged[transfer.StageLinks])
			require.Equal(t, test.stored, outcome.Stored[transfer.StageLinks])
			require.Equal(t, int64(8), outcome.Stored[transfer.StageEntities])
			require.Equal(t, int64(4), outcome.Acknowledged[transfer.StageAssets])
			require.Empty(t, notes(dst), "they are in the account")
		})
	}
}

// A server's own account of what it left out takes the place of warnings. One that makes no sense fails the push before it is committed.
func TestAnAccountOfWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		end    string
		want   []transfer.Skip
		stored int64
		says   string
	}{
		"none": {end: `{"ok":true,"stats":{"started":3,"finished":3}}`, stored: 3},
		"some": {
			end: `{"ok":true,"stats":{"started":3,"finished":3},"skipped":[{"type":"a.a","reason":"why\u001b[0m","count":2,"allowed":true,"examples":["x\u0007"]},{"reason":"else","count":1,"allowed":true}]}`,
			want: []transfer.Skip{
				{Stage: transfer.StageLinks, Type: "a.a", Reason: "why [0m", Count: 2, Allowed: true, Examples: []string{"x"}},
				{Stage: transfer.StageLinks, Reason: "else", Count: 1, Allowed: true},
			},
		},
		"more than were sent": {end: `{"ok":true,"stats":{"started":3,"finished":3},"skipped":[{"reason":"why","count":4,"allowed":true}]}`, says: "left out 4 of 3 links"},
		"more than can be counted": {
			end:  `{"ok":true,"stats":{"started":3,"finished":3},"skipped":[{"count":9223372036854775807},{"count":9223372036854775807}]}`,
			says: "of 3 links",
		},
		"not an account": {end: `{"ok":true,"stats":{"started":3,"finished":3},"skipped":[{"reason":"why"}]}`, says: "not an account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.skips = true
			r.hook = func(c *wire, m message) bool {
				if c.index == 1 && m.String() == "end links" {
					c.answer(m, test.end)
					return true
				}
				return false
			}
			dst := r.destination(remote.Options{Offer: remote.Supported()})
			err := push(t, dst, small())
			commits, _ := r.counts()
			if test.says != "" {
				require.ErrorContains(t, err, test.says)
				require.NoError(t, dst.Close())
				require.Zero(t, commits)
				return
			}
			require.NoError(t, err)
			outcome := dst.Outcome()
			require.Equal(t, test.want, outcome.Skipped)
			require.Equal(t, test.stored, outcome.Stored[transfer.StageLinks])
			require.Positive(t, commits)
		})
	}
}
