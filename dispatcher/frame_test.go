package dispatcher_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

// collector keeps frames for the test.
type collector struct{ frames []protocol.Frame }

func (c *collector) take(f protocol.Frame) { c.frames = append(c.frames, f) }

func (c *collector) uuids() (uuids []string) {
	for _, f := range c.frames {
		uuids = append(uuids, f.UUID)
	}
	return uuids
}

func TestFramesComeOnceAndAreAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got collector
		s := run(t, dispatcher.Options{OnFrame: got.take})
		s.conn.frame("f1")
		s.conn.frame("f1")
		synctest.Wait()
		require.Equal(t, []string{"f1"}, got.uuids())
		require.Equal(t, "s", got.frames[0].Stream)
		require.Empty(t, s.conn.texts(), "acknowledged by the receiver, and not before")

		for range 3 {
			require.NoError(t, s.Ack(t.Context(), "f1"))
		}
		synctest.Wait()
		require.Equal(t, []string{`{"uuid":"f1"}`}, s.conn.texts(), "once, however often it is said")

		s.conn.frame("f1")
		s.conn.frame("f2")
		synctest.Wait()
		require.Equal(t, []string{"f1", "f2"}, got.uuids(), "a repeated frame is not delivered")
		require.Equal(t, []string{`{"uuid":"f1"}`, `{"uuid":"f1"}`}, s.conn.texts(), "but acknowledged again")
		require.Equal(t, dispatcher.Stats{Frames: 2, Repeated: 2}, s.Stats())
	})
}

func TestAckErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got collector
		s := run(t, dispatcher.Options{OnFrame: got.take})
		require.ErrorContains(t, s.Ack(t.Context(), "never came"), "never came")
		s.conn.frame("f")
		synctest.Wait()
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errUser)
		require.ErrorIs(t, s.Ack(ctx, "f"), errUser)
		require.NoError(t, s.stop())
		require.ErrorIs(t, s.Ack(t.Context(), "f"), dispatcher.ErrClosed)
		require.Empty(t, s.conn.texts())
	})
}

func TestFrameThatComesWithTheAnswerToStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got collector
		conn := newFakeConn()
		conn.onSend = func(text string) {
			if strings.Contains(text, `"start"`) {
				conn.answer(uuidOf(text), `{"ok":true,"id":"s"}`)
				conn.frame("first")
				conn.frame("second")
			}
		}
		s := runOn(t, conn, dispatcher.Options{OnFrame: got.take})
		start := protocol.Request{
			Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: protocol.VerbStart, Stage: protocol.StageEntities,
		}
		r := s.call(start, dispatcher.CallOptions{}).wait()
		require.NoError(t, r.err)
		synctest.Wait()
		require.Equal(t, []string{"first", "second"}, got.uuids())
	})
}

func TestFramesNobodyAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := run(t, dispatcher.Options{})
		for i := range 10 * dispatcher.MaxUnacknowledgedFrames {
			s.conn.frame(fmt.Sprint(i))
		}
		synctest.Wait()
		require.NoError(t, s.Err())
		require.Empty(t, s.conn.texts())
	})
}

func TestTooManyFramesEndTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got collector
		s := run(t, dispatcher.Options{OnFrame: got.take})
		for i := range dispatcher.MaxUnacknowledgedFrames {
			s.conn.frame(fmt.Sprint(i))
		}
		synctest.Wait()
		require.NoError(t, s.Err())
		s.conn.frame("one too many")
		<-s.ended
		require.ErrorIs(t, s.err, dispatcher.ErrProtocol)
		require.Len(t, got.frames, dispatcher.MaxUnacknowledgedFrames)
	})
}

func TestTooManyBytesOfFramesEndTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got collector
		s := run(t, dispatcher.Options{OnFrame: got.take})
		half := strings.Repeat("x", dispatcher.MaxUnacknowledgedBytes/2)
		frame := func(id string) {
			s.conn.say(fmt.Sprintf(`{"uuid":%q,"data":{"type":"transfer","data":[%q],"ended":false,"error":null,"id":"s"}}`, id, half))
		}
		frame("1")
		synctest.Wait()
		require.NoError(t, s.Ack(t.Context(), "1"))
		frame("2")
		synctest.Wait()
		require.NoError(t, s.Err(), "what is acknowledged does not count")
		frame("3")
		<-s.ended
		require.ErrorIs(t, s.err, dispatcher.ErrProtocol)
	})
}

func TestPeerThatRepeatsFramesAndDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got collector
		s := run(t, dispatcher.Options{OnFrame: got.take})
		s.conn.frame("f")
		synctest.Wait()
		s.conn.set(func(c *fakeConn) { c.stuck = make(chan struct{}) })
		require.NoError(t, s.Ack(t.Context(), "f"))
		for range 1100 {
			s.conn.frame("f")
		}
		<-s.ended
		require.ErrorIs(t, s.err, dispatcher.ErrProtocol)
	})
}

func TestRememberedFramesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got collector
		s := run(t, dispatcher.Options{OnFrame: got.take})
		take := func(id string) {
			s.conn.frame(id)
			synctest.Wait()
			require.NoError(t, s.Ack(t.Context(), id))
		}
		for i := range dispatcher.MaxRememberedFrames {
			take(fmt.Sprint(i))
		}
		s.conn.frame("0")
		synctest.Wait()
		require.Len(t, got.frames, dispatcher.MaxRememberedFrames, "the oldest is still known")
		take("one more")
		s.conn.frame("1")
		s.conn.frame("0")
		synctest.Wait()
		require.Len(t, got.frames, dispatcher.MaxRememberedFrames+2, "only the oldest is forgotten")
	})
}
