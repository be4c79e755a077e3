package dispatcher_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

func TestResend(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		opts    dispatcher.Options
		call    dispatcher.CallOptions
		sends   []time.Duration
		failsAt time.Duration
	}{
		"defaults: seven sends, failure at 210 s": {
			sends: every(30*time.Second, 7), failsAt: 210 * time.Second,
		},
		"options of the dispatcher": {
			opts:  dispatcher.Options{RetryMessageTimeout: 50 * time.Millisecond, RetryMessageMaxRetries: 2},
			sends: every(50*time.Millisecond, 4), failsAt: 200 * time.Millisecond,
		},
		"the start of assets on pull: 120 s, 31 resends, failure at 64 min": {
			call: dispatcher.CallOptions{
				Timeout: protocol.AssetsStartRetryTimeout, MaxRetries: protocol.AssetsStartRetryMaxRetries, NoStall: true,
			},
			sends: every(120*time.Second, 32), failsAt: 64 * time.Minute,
		},
		"a negative number of retries is none, which still resends once": {
			opts:  dispatcher.Options{RetryMessageMaxRetries: -1},
			sends: every(30*time.Second, 2), failsAt: time.Minute,
		},
		"only the timeout of a call": {
			call:  dispatcher.CallOptions{Timeout: time.Second},
			sends: every(time.Second, 7), failsAt: 7 * time.Second,
		},
		"only the retries of a call": {
			call:  dispatcher.CallOptions{MaxRetries: -5},
			sends: every(30*time.Second, 2), failsAt: time.Minute,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := run(t, test.opts)
				r := s.call(stream(protocol.StageEntities, "", `[{"id":1}]`), test.call).wait()

				require.ErrorIs(t, r.err, dispatcher.ErrNoAnswer)
				require.Equal(t, test.failsAt, r.took)
				require.Equal(t, test.sends, s.conn.times(s.start))
				requireSame(t, s.conn.texts())
				require.ErrorContains(t, r.err, "stream entities")
				require.ErrorContains(t, r.err, s.conn.uuids()[0])
				require.ErrorContains(t, r.err, test.failsAt.String())
				require.NotContains(t, r.err.Error(), "secret")
				require.Equal(t, int64(len(test.sends)-1), s.Stats().Resent)

				again := s.call(action(protocol.ActionClose, "next"), dispatcher.CallOptions{})
				s.conn.answer("next", `7`)
				require.NoError(t, again.wait().err, "one unanswered request does not end the connection")
				require.NoError(t, s.stop())
			})
		})
	}
}

func TestResendStopsWithTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		r := s.call(action(protocol.ActionBootstrap, "b"), dispatcher.CallOptions{})
		passes(75 * time.Second)
		require.Len(t, s.conn.texts(), 3)
		s.conn.answer("b", `{"ok":true}`)
		require.JSONEq(t, `{"ok":true}`, string(r.wait().data))
		require.NoError(t, r.err)
		require.Equal(t, 75*time.Second, r.took)

		// A stock server answers each of the resends as well.
		s.conn.answer("b", `{"ok":true}`)
		s.conn.answer("b", `{"ok":false}`)
		s.conn.answer("never sent", `1`)
		s.conn.say(`{"uuid":"","data":null,"error":{"code":"Error","message":"Missing uuid in message","details":{}}}`)
		passes(10 * time.Minute)
		require.Len(t, s.conn.texts(), 3)
		require.Equal(t, int64(4), s.Stats().Unmatched)
		require.Equal(t, int64(1), s.Stats().Answered)
		require.NoError(t, s.stop())
	})
}

func TestLateAnswerDoesNotAnswerTheNextRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		first := s.call(action(protocol.ActionBootstrap, "first"), dispatcher.CallOptions{}).wait()
		require.ErrorIs(t, first.err, dispatcher.ErrNoAnswer)
		second := s.call(action(protocol.ActionGetMetadata, "second"), dispatcher.CallOptions{})
		s.conn.answer("first", `"late"`)
		require.True(t, second.pending())
		s.conn.answer("second", `"right"`)
		require.JSONEq(t, `"right"`, string(second.wait().data))
	})
}

func TestDiagnosticsDoNotAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var told []protocol.Diagnostic
		s := run(t, dispatcher.Options{OnDiagnostic: func(d protocol.Diagnostic) { told = append(told, d) }})
		r := s.call(action(protocol.ActionBootstrap, "b"), dispatcher.CallOptions{})
		s.conn.say(`{"diagnostic":{"kind":"warning","details":{"message":"careful","origin":"x"}},"uuid":"b"}`)
		require.True(t, r.pending(), "not even one with the request's uuid")
		passes(45 * time.Second)
		require.Len(t, s.conn.texts(), 2, "and the request is sent again")
		s.conn.answer("b", `null`)
		require.NoError(t, r.wait().err)
		require.NoError(t, s.stop())
		require.Len(t, told, 1)
		require.Equal(t, "careful", told[0].Details.Message)
	})
}

func TestErrorAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		r := s.call(action(protocol.ActionBootstrap, "b"), dispatcher.CallOptions{})
		s.conn.say(`{"uuid":"b","data":null,"error":{"code":"Error","message":"no","details":{"step":"transfer"}}}`)
		var refused *protocol.Error
		require.ErrorAs(t, r.wait().err, &refused)
		require.Equal(t, "no", refused.Message)
		require.Equal(t, protocol.StepTransfer, refused.Details.Step)

		r = s.call(action(protocol.ActionBootstrap, "c"), dispatcher.CallOptions{})
		s.conn.say(`{"uuid":"c","error":{}}`)
		require.ErrorAs(t, r.wait().err, &refused, "an empty object is an error")
	})
}

func TestNoResendWhileTheFirstIsOnItsWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		s.conn.set(func(c *fakeConn) { c.hold = true })
		r := s.call(stream(protocol.StageEntities, "e", `[1]`), dispatcher.CallOptions{})
		for range 20 { // ten minutes of a slow link
			s.conn.moved(dispatcher.Progress{Taken: 1})
			passes(30 * time.Second)
		}
		require.Len(t, s.conn.texts(), 1)
		s.conn.set(func(c *fakeConn) { c.progress.Taken = c.progress.Offered; c.hold = false })
		passes(31 * time.Second)
		require.Len(t, s.conn.texts(), 2, "it has arrived, and the clock runs")
		s.conn.answer("e", `null`)
		require.NoError(t, r.wait().err)
	})
}

func TestResendsAreNotDisturbedByReusedBuffers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{Window: 2})
		slow := s.call(stream(protocol.StageLinks, "slow", `["slow"]`), dispatcher.CallOptions{})
		for i := range 10 {
			id := string(rune('a' + i))
			r := s.call(stream(protocol.StageLinks, id, `["`+id+`"]`), dispatcher.CallOptions{})
			passes(17 * time.Second)
			s.conn.answer(id, `null`)
			require.NoError(t, r.wait().err)
		}
		s.conn.answer("slow", `null`)
		require.NoError(t, slow.wait().err)
		same := map[string]string{}
		for _, text := range s.conn.texts() {
			id := uuidOf(text)
			require.Contains(t, text, `["`+id+`"]`)
			if first, again := same[id]; again {
				require.Equal(t, first, text)
			}
			same[id] = text
		}
		require.Len(t, same, 11)
	})
}

func TestLossFailsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reset := errors.New("connection reset by peer")
		s := run(t, dispatcher.Options{Window: 2})
		first := s.call(action(protocol.ActionBootstrap, "1"), dispatcher.CallOptions{})
		second := s.call(stream(protocol.StageAssets, "2", `null`), dispatcher.CallOptions{NoStall: true})
		third := s.call(action(protocol.ActionGetSchemas, "3"), dispatcher.CallOptions{})
		passes(time.Second)
		s.conn.lose(reset)
		for name, r := range map[string]*result{"bootstrap": first, "stream assets": second, "getSchemas": third} {
			require.ErrorIs(t, r.wait().err, dispatcher.ErrConnectionLost)
			require.ErrorIs(t, r.err, reset)
			require.ErrorContains(t, r.err, name)
			require.Equal(t, time.Second, r.took)
		}
		<-s.ended
		require.ErrorIs(t, s.err, dispatcher.ErrConnectionLost)
		require.ErrorIs(t, s.Err(), reset)
		after := s.call(action(protocol.ActionClose, "4"), dispatcher.CallOptions{}).wait()
		require.ErrorIs(t, after.err, reset, "later calls say the same")
		require.Len(t, s.conn.texts(), 2)
		require.ErrorIs(t, s.Ack(t.Context(), "f"), dispatcher.ErrConnectionLost)
	})
}

func TestWriteErrorIsALoss(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken pipe")
		s := run(t, dispatcher.Options{})
		s.conn.set(func(c *fakeConn) { c.writeErr = broken })
		r := s.call(action(protocol.ActionBootstrap, ""), dispatcher.CallOptions{}).wait()
		require.ErrorIs(t, r.err, dispatcher.ErrConnectionLost)
		require.ErrorIs(t, r.err, broken)
		require.Zero(t, r.took)
	})
}
