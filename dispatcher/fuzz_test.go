package dispatcher_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

// FuzzConversation lets a peer say things in an order that the fuzzer chooses, twice or late or never, and checks what must hold
// whatever it does: each call ends once and with its own answer, no more requests are unanswered than the window has room for,
// every send of a request is the same, and each frame is delivered once and acknowledged as often as the peer needs.
func FuzzConversation(f *testing.F) {
	f.Add([]byte{1, 0, 10, 20, 30, 40, 50, 60})
	f.Add([]byte{3, 0, 0, 0, 0, 11, 1, 22, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{2, 3, 3, 4, 3, 4, 4, 13, 14, 23, 24, 6, 6, 0, 6, 1})
	f.Add([]byte{1, 0, 6, 6, 6, 6, 6, 6, 6, 1, 0, 1, 7, 2})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 200 {
			return
		}
		synctest.Test(t, func(t *testing.T) { converse(t, int(script[0]%4)+1, script[1:]) })
	})
}

func converse(t *testing.T, window int, script []byte) {
	t.Helper()
	var got collector
	s := run(t, dispatcher.Options{Window: window, OnFrame: got.take, StallTimeout: -1})
	var calls []*result
	said, acks := map[string]int{}, map[string]int{}
	acknowledged := map[string]bool{}
	for _, b := range script {
		n := int(b) / 10
		frame := fmt.Sprintf("f%d", n%5)
		switch b % 10 {
		case 0:
			id := fmt.Sprintf("c%d", len(calls))
			calls = append(calls, s.call(stream(protocol.StageLinks, id, fmt.Sprintf("[%d]", len(calls))), dispatcher.CallOptions{}))
		case 1, 2:
			if sent := s.conn.uuids(); len(sent) > 0 {
				if id := sent[n%len(sent)]; id[0] == 'c' {
					s.conn.answer(id, fmt.Sprintf("%q", id))
				}
			}
		case 3:
			s.conn.frame(frame)
			said[frame]++
			if acknowledged[frame] {
				acks[frame]++
			}
		case 4:
			synctest.Wait()
			if err := s.Ack(t.Context(), frame); err == nil && !acknowledged[frame] {
				acknowledged[frame] = true
				acks[frame]++
			} else if err != nil {
				require.Zero(t, said[frame], "a frame that came can be acknowledged")
			}
		case 5:
			s.conn.say(`{"diagnostic":{"kind":"info","details":{"message":"x"}},"uuid":"c0"}`)
		case 6:
			passes(time.Duration(n) * 7 * time.Second)
		default:
			s.conn.answer(fmt.Sprintf("c%d", len(calls)+n), `"not asked"`)
		}
		synctest.Wait()
	}
	checkCalls(t, s, calls, window)
	require.Len(t, got.frames, len(said))
	for _, text := range s.conn.texts() {
		if id := uuidOf(text); id[0] == 'f' {
			acks[id]--
		}
	}
	for frame, left := range acks {
		require.Zero(t, left, "acknowledgements of %s", frame)
	}
	require.NoError(t, s.stop())
}

// checkCalls checks what became of the calls and of what was sent for them.
func checkCalls(t *testing.T, s *session, calls []*result, window int) {
	t.Helper()
	first := map[string]string{}
	var order []string
	for _, text := range s.conn.texts() {
		id := uuidOf(text)
		if id[0] != 'c' {
			continue
		}
		if before, again := first[id]; again {
			require.Equal(t, before, text)
			continue
		}
		first[id] = text
		order = append(order, id)
	}
	open := 0
	for i, r := range calls {
		id := fmt.Sprintf("c%d", i)
		switch {
		case r.pending():
			if slices.Contains(order, id) {
				open++
			}
		case r.err != nil:
			require.ErrorIs(t, r.err, dispatcher.ErrNoAnswer)
			require.Equal(t, 210*time.Second, r.took-waited(s, r, id))
		default:
			require.Equal(t, fmt.Sprintf("%q", id), string(r.data))
		}
	}
	require.LessOrEqual(t, open, window)
	require.True(t, open == window || open == len(calls)-done(calls), "nobody waits while there is room")
}

// waited is how long a call waited for the window.
func waited(s *session, r *result, id string) time.Duration {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	for _, sent := range s.conn.sent {
		if uuidOf(sent.text) == id {
			return sent.at.Sub(r.began)
		}
	}
	return 0
}

func done(calls []*result) (n int) {
	for _, r := range calls {
		if !r.pending() {
			n++
		}
	}
	return n
}
