package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

func TestFreshUUIDs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		seen := map[string]bool{}
		for range 50 {
			r := s.call(action(protocol.ActionGetMetadata, ""), dispatcher.CallOptions{})
			ids := s.conn.uuids()
			id, err := uuid.Parse(ids[len(ids)-1])
			require.NoError(t, err)
			require.Equal(t, uuid.Version(4), id.Version())
			seen[id.String()] = true
			s.conn.answer(id.String(), `null`)
			require.NoError(t, r.wait().err)
		}
		require.Len(t, seen, 50)
	})
}

func TestWindow(t *testing.T) {
	t.Parallel()
	for name, window := range map[string]int{"one towards a stock peer": 1, "three towards one that agreed to it": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := run(t, dispatcher.Options{Window: window})
				ids := []string{"a", "b", "c", "d", "e"}
				results := make([]*result, 0, len(ids))
				for _, id := range ids {
					results = append(results, s.call(stream(protocol.StageEntities, id, `[]`), dispatcher.CallOptions{}))
				}
				for i := range ids {
					synctest.Wait()
					require.Equal(t, ids[:min(i+window, len(ids))], s.conn.uuids(), "in order, and no more than the window")
					s.conn.answer(ids[i], `null`)
					require.NoError(t, results[i].wait().err)
				}
			})
		})
	}
}

func TestGoSendsBeforeAnybodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		data := []byte(`["mine"]`)
		req := stream(protocol.StageLinks, "g", string(data))
		req.Data = data
		p, err := s.Go(t.Context(), req, dispatcher.CallOptions{})
		require.NoError(t, err)
		copy(data, `["XXXX"]`) // what was handed in may be used again
		require.Equal(t, "g", p.UUID())
		passes(40 * time.Second)
		require.Len(t, s.conn.texts(), 2, "it is also sent again")
		requireSame(t, s.conn.texts())
		require.Contains(t, s.conn.texts()[0], `["mine"]`)
		s.conn.answer("g", `1`)
		for range 2 {
			got, err := p.Wait(t.Context())
			require.NoError(t, err)
			require.Equal(t, json.RawMessage(`1`), got)
		}
	})
}

var errUser = errors.New("the user said stop")

func TestCancellationKeepsItsCause(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		context func(context.Context) (context.Context, func())
		want    []error
	}{
		"a plain cancellation": {
			context: func(ctx context.Context) (context.Context, func()) { return context.WithCancel(ctx) },
			want:    []error{context.Canceled},
		},
		"a cause": {
			context: func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithCancelCause(ctx)
				return ctx, func() { cancel(errUser) }
			},
			want: []error{context.Canceled, errUser},
		},
		"a deadline": {
			context: func(ctx context.Context) (context.Context, func()) {
				ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
				return ctx, func() { passes(5 * time.Second); cancel() }
			},
			want: []error{context.DeadlineExceeded},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := run(t, dispatcher.Options{})
				ctx, cancel := test.context(t.Context())
				p, err := s.Go(ctx, action(protocol.ActionBootstrap, "b"), dispatcher.CallOptions{})
				require.NoError(t, err)
				synctest.Wait()
				cancel()
				_, err = p.Wait(ctx)
				_, inWindow := s.Go(ctx, action(protocol.ActionClose, "c"), dispatcher.CallOptions{})
				for _, want := range test.want {
					require.ErrorIs(t, err, want)
					require.ErrorIs(t, inWindow, want)
				}
				require.ErrorContains(t, err, "bootstrap")

				// The connection is still good, to roll back for example, and the given-up request is not sent again.
				r := s.call(action(protocol.ActionRollback, "r"), dispatcher.CallOptions{})
				s.conn.answer("b", `null`)
				require.True(t, r.pending())
				s.conn.answer("r", `null`)
				require.NoError(t, r.wait().err)
				passes(5 * time.Minute)
				require.Equal(t, []string{"b", "r"}, s.conn.uuids())
			})
		})
	}
}

func TestGivenUpBeforeItWasSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{Window: 2})
		stuck := make(chan struct{})
		s.conn.set(func(c *fakeConn) { c.stuck = stuck })
		first := s.call(action(protocol.ActionBootstrap, "1"), dispatcher.CallOptions{})
		ctx, cancel := context.WithCancelCause(t.Context())
		p, err := s.Go(ctx, action(protocol.ActionBeforeTransfer, "2"), dispatcher.CallOptions{})
		require.NoError(t, err)
		cancel(errUser)
		_, err = p.Wait(ctx)
		require.ErrorIs(t, err, errUser)
		close(stuck)
		synctest.Wait()
		s.conn.answer("1", `null`)
		require.NoError(t, first.wait().err)
		require.Equal(t, []string{"1"}, s.conn.uuids())
	})
}

func TestCancelledWhileTheWindowIsFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		s.call(action(protocol.ActionBootstrap, "1"), dispatcher.CallOptions{})
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errUser)
		defer cancel()
		_, err := s.Go(ctx, action(protocol.ActionGetSchemas, "2"), dispatcher.CallOptions{})
		require.ErrorIs(t, err, errUser)
		require.Equal(t, []string{"1"}, s.conn.uuids())
	})
}

func TestAnswerWinsOverCancellation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		p, err := s.Go(t.Context(), action(protocol.ActionClose, "c"), dispatcher.CallOptions{})
		require.NoError(t, err)
		s.conn.answer("c", `true`)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		data, err := p.Wait(ctx)
		require.NoError(t, err)
		require.Equal(t, "true", string(data))
	})
}

func TestRefusedCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{Window: 2})
		s.call(action(protocol.ActionBootstrap, "same"), dispatcher.CallOptions{})
		_, err := s.Go(t.Context(), action(protocol.ActionBootstrap, "same"), dispatcher.CallOptions{})
		require.ErrorContains(t, err, "under way")

		huge := action(protocol.ActionBootstrap, "huge")
		huge.Data = make(json.RawMessage, protocol.MaxMessage+1)
		_, err = s.Go(t.Context(), huge, dispatcher.CallOptions{})
		require.ErrorIs(t, err, dispatcher.ErrTooLarge)
		require.Error(t, s.Run(t.Context()), "Run works once")
		require.Len(t, s.conn.texts(), 1)

		// Neither has taken a place in the window for good.
		r := s.call(action(protocol.ActionBootstrap, "other"), dispatcher.CallOptions{})
		s.conn.answer("other", `null`)
		require.NoError(t, r.wait().err)
	})
}

func TestCallBeforeRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		conn := newFakeConn()
		d := dispatcher.New(conn, dispatcher.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := d.Call(ctx, action(protocol.ActionBootstrap, ""), dispatcher.CallOptions{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Empty(t, conn.texts())
	})
}

func TestEndOfTheConnection(t *testing.T) {
	t.Parallel()
	eof := errors.New("unexpected EOF")
	tests := map[string]struct {
		end  func(s *session, cancel context.CancelCauseFunc)
		want []error // of Run; none: nil
		call []error // of a call that is under way
	}{
		"Close": {
			end:  func(s *session, _ context.CancelCauseFunc) { s.Close() },
			call: []error{dispatcher.ErrClosed},
		},
		"Close, and the peer drops the connection": {
			end:  func(s *session, _ context.CancelCauseFunc) { s.Close(); s.conn.lose(eof) },
			call: []error{dispatcher.ErrClosed},
		},
		"the peer drops the connection": {
			end:  func(s *session, _ context.CancelCauseFunc) { s.conn.lose(eof) },
			want: []error{dispatcher.ErrConnectionLost, eof},
			call: []error{dispatcher.ErrConnectionLost, eof},
		},
		"the context ends": {
			end:  func(_ *session, cancel context.CancelCauseFunc) { cancel(errUser) },
			want: []error{context.Canceled, errUser},
			call: []error{context.Canceled, errUser},
		},
		"no JSON": {
			end:  func(s *session, _ context.CancelCauseFunc) { s.conn.say(`<html>`) },
			want: []error{dispatcher.ErrProtocol, protocol.ErrMalformed},
			call: []error{dispatcher.ErrProtocol},
		},
		"half a message": {
			end:  func(s *session, _ context.CancelCauseFunc) { s.conn.say(`{"uuid":"1","data":[1,2`) },
			want: []error{dispatcher.ErrProtocol, protocol.ErrMalformed},
			call: []error{dispatcher.ErrProtocol},
		},
		"an error that says what it is": {
			end:  func(s *session, _ context.CancelCauseFunc) { s.conn.lose(dispatcher.ErrTooLarge) },
			want: []error{dispatcher.ErrTooLarge},
			call: []error{dispatcher.ErrTooLarge},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				conn := newFakeConn()
				s := &session{Dispatcher: dispatcher.New(conn, dispatcher.Options{}), t: t, conn: conn, ended: make(chan struct{})}
				go func() {
					defer close(s.ended)
					s.err = s.Run(ctx)
				}()
				r := s.call(action(protocol.ActionBootstrap, "1"), dispatcher.CallOptions{})
				test.end(s, cancel)
				<-s.Done()
				<-s.ended
				if test.want == nil {
					require.NoError(t, s.err)
				}
				for _, want := range test.want {
					require.ErrorIs(t, s.err, want)
				}
				for _, want := range test.call {
					require.ErrorIs(t, r.wait().err, want)
				}
				require.Zero(t, r.took)
				<-conn.closed
			})
		})
	}
}

func TestMessagesThatMeanNothingAreOverlooked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		r := s.call(action(protocol.ActionBootstrap, "1"), dispatcher.CallOptions{})
		s.conn.say(`{}`)
		s.conn.say(`{"hello":"world"}`)
		s.conn.answer("1", `null`)
		require.NoError(t, r.wait().err)
		require.Equal(t, int64(2), s.Stats().Ignored)
	})
}

func TestBuffersOfGivenUpRequestsAreNotReusedTooEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{Window: 2})
		stuck := make(chan struct{})
		s.conn.set(func(c *fakeConn) { c.stuck = stuck })
		ctx, cancel := context.WithCancel(t.Context())
		begin := func(ctx context.Context, id string) *dispatcher.Pending {
			p, err := s.Go(ctx, stream(protocol.StageLinks, id, `["`+id+`"]`), dispatcher.CallOptions{})
			require.NoError(t, err)
			synctest.Wait()
			return p
		}
		written, queued := begin(ctx, "written"), begin(ctx, "queued")
		cancel()
		for _, p := range []*dispatcher.Pending{written, queued} {
			_, err := p.Wait(ctx)
			require.ErrorIs(t, err, context.Canceled)
		}
		begin(t.Context(), "third")
		begin(t.Context(), "fourth")
		close(stuck)
		synctest.Wait()
		require.Equal(t, []string{"written", "third", "fourth"}, s.conn.uuids())
		for _, text := range s.conn.texts() {
			require.Contains(t, text, `["`+uuidOf(text)+`"]`)
		}
		passes(31 * time.Second) // nor do the later ones share one
		for _, text := range s.conn.texts() {
			require.Contains(t, text, `["`+uuidOf(text)+`"]`)
		}
		require.Len(t, s.conn.texts(), 5)
	})
}
