package server_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// moves are what a client may do next, in whatever order.
func moves() []func(w *wire) *protocol.Response {
	ask := func(what string, data ...string) func(w *wire) *protocol.Response {
		return func(w *wire) *protocol.Response { return w.ask(what, data...) }
	}
	list := []func(w *wire) *protocol.Response{
		func(w *wire) *protocol.Response {
			a := w.ask("command init", pushInit)
			if result, err := protocol.ParseInitResult(a.Data); err == nil {
				w.id = result.TransferID
			}
			return a
		},
		func(w *wire) *protocol.Response { return w.ask("command end", `{"transferID":"`+w.id+`"}`) },
		ask("command status"), ask("action bootstrap"), ask("action getMetadata"), ask("action getSchemas"), ask("action beforeTransfer"),
		ask("action rollback"), ask("action close"),
		ask("stream entities", "["+entity(1)+"]"), ask("stream entities", "[17]"), ask("stream links", "[]"),
		ask("stream assets", "["+assetStart("a", 1)+"]"), ask("stream assets", "["+assetChunk("a", []byte("x"))+"]"),
		ask("stream assets", "["+assetEnd("a", []byte("x"))+"]"), ask("stream configuration", `[{"type":"webhook","value":{}}]`),
	}
	for _, stage := range []string{"schemas", "entities", "assets", "links", "configuration"} {
		list = append(list, ask("start "+stage), ask("end "+stage))
	}
	return list
}

// FuzzWalkOfAPull goes through a pull at random. Whatever is asked is answered, and the site stays as it is.
func FuzzWalkOfAPull(f *testing.F) {
	f.Add([]byte{0, 3, 8, 9, 9, 13, 1})
	f.Add([]byte{0, 3, 8, 13, 8, 9, 10, 9, 14, 6, 1})
	f.Add([]byte{2, 9, 6, 1, 0, 3, 11, 9, 9, 9, 9, 9, 9, 16, 6, 1, 0})
	f.Fuzz(func(t *testing.T, path []byte) {
		const longest = 40
		r := newRig(t, &site{content: small()})
		w := r.connect(protocol.Pull)
		requests := []string{
			"command init", "command end", "command status", "action bootstrap", "action getMetadata", "action getSchemas", "action close",
			"action rollback", "start entities", "", "start assets", "start links", "start configuration", "end entities", "end assets",
			"end links", "end configuration", "stream entities", "start schemas", "start nothing",
		}
		for _, step := range path[:min(len(path), longest)] {
			what := requests[int(step)%len(requests)]
			switch {
			case what == "" && len(w.frames) > 0:
				w.ack(w.frames[0])
				w.frames = w.frames[1:]
			case what == "":
				w.say(`{"uuid":"of no frame"}`)
			case what == "command init":
				if result, err := protocol.ParseInitResult(w.ask(what, pullInit).Data); err == nil {
					w.id = result.TransferID
				}
			case what == "command end":
				w.ask(what, `{"transferID":"`+w.id+`"}`)
			default:
				w.ask(what)
			}
		}
		require.NoError(t, w.conn.NetConn().Close())
		require.Eventually(t, func() bool { return r.sessions() == 0 }, patience, time.Millisecond, "the session is freed")
		require.Equal(t, small().Lines(), r.site.current().Lines())
	})
}

// FuzzWalk goes through a push at random. Whatever is asked is answered, and the site changes only by a close that is answered without
// an error.
func FuzzWalk(f *testing.F) {
	f.Add([]byte{0, 3, 6, 18, 9, 19, 8, 1})
	f.Add([]byte{0, 3, 6, 20, 12, 13, 14, 21, 8, 1})
	f.Add([]byte{0, 3, 18, 10, 7, 8, 1})
	f.Add([]byte{7, 8, 1, 0, 0, 3, 6, 8, 8, 7, 1, 0, 3, 6, 7, 8})
	f.Fuzz(func(t *testing.T, path []byte) {
		const longest = 40
		list := moves()
		r := newRig(t, &site{content: transfertest.Sample()})
		w := r.connect(protocol.Push)
		for _, step := range path[:min(len(path), longest)] {
			move := int(step) % len(list)
			commits := r.site.committed()
			a := list[move](w)
			if r.site.committed() != commits {
				require.Equal(t, 8, move, "only close commits")
				require.Nil(t, a.Error)
			}
		}
		before := r.site.committed()
		require.NoError(t, w.conn.NetConn().Close())
		r.waitForRoom() // whatever state it was in, the lock is free
		require.Equal(t, before, r.site.committed())
		if before == 0 {
			require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
		}
	})
}
