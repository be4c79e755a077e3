package dispatcher_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

// patient is a call that resends for longer than any test.
var patient = dispatcher.CallOptions{MaxRetries: 10_000}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		passes(24 * time.Hour)
		require.NoError(t, s.Err(), "a peer that answers pings is there, however long nothing is asked of it")
		require.Len(t, s.conn.pings, 24*60*4)
		require.Equal(t, 15*time.Second, s.conn.pings[0].Sub(s.start))
		require.NoError(t, s.stop())
	})
}

func TestPeerGone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opts dispatcher.Options
		call dispatcher.CallOptions
		idle bool
		at   time.Duration
	}{
		"while nothing is asked of it":         {idle: true, at: time.Minute},
		"while it should answer":               {at: time.Minute},
		"while it may be silent for as long":   {call: dispatcher.CallOptions{NoStall: true}, at: time.Minute},
		"sooner than the stall timer would be": {opts: dispatcher.Options{StallTimeout: 61 * time.Second}, at: time.Minute},
		"as the options say": {
			opts: dispatcher.Options{HeartbeatInterval: time.Second, HeartbeatTimeout: 3 * time.Second}, at: 3 * time.Second,
		},
		"with a timeout shorter than the interval": {
			opts: dispatcher.Options{HeartbeatTimeout: 3 * time.Second}, at: 3 * time.Second,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				conn := newFakeConn()
				conn.deaf, conn.hold = true, true
				s := runOn(t, conn, test.opts)
				if !test.idle {
					r := s.call(action(protocol.ActionBootstrap, ""), test.call).wait()
					require.ErrorIs(t, r.err, dispatcher.ErrConnectionLost)
					require.Equal(t, test.at, r.took)
				}
				<-s.ended
				require.Equal(t, test.at, time.Since(s.start))
				require.ErrorIs(t, s.err, dispatcher.ErrConnectionLost)
				require.NotErrorIs(t, s.err, dispatcher.ErrStalled)
				require.ErrorContains(t, s.err, "peer gone")
			})
		})
	}
}

func TestNoHeartbeat(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := newFakeConn()
		conn.deaf = true
		s := runOn(t, conn, dispatcher.Options{HeartbeatInterval: -1, StallTimeout: -1})
		s.call(action(protocol.ActionBootstrap, ""), patient)
		passes(5 * time.Hour)
		require.NoError(t, s.Err())
		require.Empty(t, conn.pings)
	})
}

func TestStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{Window: 2})
		passes(time.Hour)
		began := time.Now()
		old := s.call(stream(protocol.StageAssets, "the-old-one", `null`), patient)
		passes(time.Minute)
		young := s.call(stream(protocol.StageLinks, "the-young-one", `null`), patient)
		for _, r := range []*result{old, young} {
			require.ErrorIs(t, r.wait().err, dispatcher.ErrStalled)
			require.NotErrorIs(t, r.err, dispatcher.ErrConnectionLost)
			require.ErrorContains(t, r.err, "stream assets (request the-old-one, sent ")
			require.ErrorContains(t, r.err, "in 6m0s) is unanswered")
		}
		require.Equal(t, 6*time.Minute, time.Since(began), "the second request was the last progress; pongs are none")
		<-s.ended
		require.ErrorIs(t, s.err, dispatcher.ErrStalled)
	})
}

func TestNoStall(t *testing.T) {
	t.Parallel()
	tests := map[string]func(s *session){
		"while nothing is asked, because the user or the source is slow": func(*session) { passes(3 * time.Hour) },
		"while the peer may work in silence": func(s *session) {
			s.call(action(protocol.ActionBeforeTransfer, ""), dispatcher.CallOptions{MaxRetries: 10_000, NoStall: true})
			passes(3 * time.Hour)
		},
		"while a large message comes in slowly": func(s *session) {
			s.call(action(protocol.ActionGetSchemas, ""), patient)
			for range 100 {
				s.conn.moved(dispatcher.Progress{Heard: 1000, Read: 1000})
				passes(4 * time.Minute)
			}
		},
		"while a large message goes out slowly": func(s *session) {
			s.conn.set(func(c *fakeConn) { c.hold, c.deaf = true, true })
			s.call(stream(protocol.StageAssets, "", `["a large one, at least compared with what goes out at a time, because that is a byte"]`), patient)
			for range 100 {
				s.conn.moved(dispatcher.Progress{Taken: 1})
				passes(30 * time.Second)
			}
		},
		"while a message is being written, piece by piece": func(s *session) {
			s.conn.set(func(c *fakeConn) { c.deaf, c.stuck = true, make(chan struct{}) })
			s.call(stream(protocol.StageAssets, "", `[]`), patient)
			for range 100 {
				s.conn.moved(dispatcher.Progress{Offered: 1, Taken: 1})
				passes(30 * time.Second)
			}
		},
		"while diagnostics tell of work": func(s *session) {
			s.call(action(protocol.ActionBootstrap, ""), patient)
			for range 100 {
				s.conn.say(`{"diagnostic":{"kind":"info","details":{"message":"deleting"}},"uuid":"x"}`)
				passes(4 * time.Minute)
			}
		},
		"while each request is answered": func(s *session) {
			for range 100 {
				r := s.call(action(protocol.ActionGetMetadata, ""), patient)
				passes(4 * time.Minute)
				ids := s.conn.uuids()
				s.conn.answer(ids[len(ids)-1], `null`)
				r.wait()
			}
		},
		"while frames come in": func(s *session) {
			defer s.Expect()()
			for i := range 100 {
				passes(4 * time.Minute)
				id := fmt.Sprint(i)
				s.conn.frame(id)
				synctest.Wait()
				require.NoError(s.t, s.Ack(s.t.Context(), id))
			}
		},
		"while a frame waits for this side": func(s *session) {
			defer s.Expect()()
			s.conn.frame("f")
			passes(3 * time.Hour)
			require.NoError(s.t, s.Ack(s.t.Context(), "f"))
			passes(4 * time.Minute)
		},
		"after nothing is expected any more": func(s *session) {
			done := s.Expect()
			passes(4 * time.Minute)
			done()
			done()
			passes(time.Hour)
		},
		"when it is turned off": func(s *session) {
			*s = *run(s.t, dispatcher.Options{StallTimeout: -1})
			s.call(action(protocol.ActionBootstrap, ""), patient)
			passes(3 * time.Hour)
		},
	}
	for name, work := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got collector
				s := run(t, dispatcher.Options{OnFrame: got.take})
				work(s)
				require.NoError(t, s.Err())
			})
		})
	}
}

func TestExpectedFrameThatNeverComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got collector
		s := run(t, dispatcher.Options{OnFrame: got.take, StallTimeout: time.Minute})
		done := s.Expect()
		other := s.Expect()
		other()
		other() // gives back only what it took
		passes(30 * time.Second)
		s.conn.frame("f")
		synctest.Wait()
		passes(time.Hour)
		require.NoError(t, s.Ack(t.Context(), "f"))
		acknowledged := time.Now()
		<-s.ended
		require.ErrorIs(t, s.err, dispatcher.ErrStalled)
		require.ErrorContains(t, s.err, "frame")
		require.Equal(t, time.Minute, time.Since(acknowledged))
		done()
	})
}

func TestResendsAreNoProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		r := s.call(stream(protocol.StageEntities, "", `[1,2,3]`), patient).wait()
		require.ErrorIs(t, r.err, dispatcher.ErrStalled)
		require.Equal(t, 5*time.Minute, r.took)
		require.Len(t, s.conn.texts(), 10)
	})
}

func TestPeerThatReadsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{HeartbeatInterval: -1})
		s.conn.set(func(c *fakeConn) { c.stuck = make(chan struct{}) })
		r := s.call(stream(protocol.StageEntities, "", `[1,2,3]`), dispatcher.CallOptions{}).wait()
		require.ErrorIs(t, r.err, dispatcher.ErrStalled)
		require.Equal(t, 5*time.Minute, r.took)
		<-s.ended
	})
}
