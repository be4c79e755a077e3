package server_test

import (
	"testing"

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
