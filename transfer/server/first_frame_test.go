package server_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

// lumpy is a connection whose reader comes late: it finds all that the server has sent until that could do nothing more, in one piece.
type lumpy struct {
	net.Conn

	pieces int
}

func (l *lumpy) Read(b []byte) (int, error) {
	<-time.After(time.Millisecond) // in virtual time, when nobody else has anything to do
	n, err := l.Conn.Read(b)
	l.pieces++
	return n, err
}

// Strapi's client listens to a stream a moment after it has read the answer to start: a frame that comes in the same piece is lost, and
// then nothing ever happens. The checklist wants a thousand pulls without that; here each has four stages, and the worst reader there
// can be.
func TestServerStatement65LosesNoFirstFrameInAThousandPulls(t *testing.T) {
	t.Parallel()
	pulls := 1000
	if testing.Short() {
		pulls = 100
	}
	inWorld(t, &site{content: small()}, func(w *world) {
		for range pulls {
			w.pullAsStrapi()
		}
	})
}

// pullAsStrapi pulls as Strapi's client does, over a lumpy connection.
func (w *world) pullAsStrapi() {
	w.t.Helper()
	conn := &lumpy{}
	dialer := websocket.Dialer{ReadBufferSize: 1 << 20, NetDialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		conn.Conn, err = w.net.DialContext(ctx, network, address)
		return conn, err
	}}
	ws, response, err := dialer.DialContext(w.t.Context(), "ws://"+atServer+"/admin/transfer/runner/pull", http.Header{"Authorization": {"Bearer x"}})
	require.NoError(w.t, err)
	require.NoError(w.t, response.Body.Close())
	client := &wire{tb: w.t, conn: ws}
	client.pulls(pullInit)
	for _, stage := range []protocol.Stage{protocol.StageEntities, protocol.StageAssets, protocol.StageLinks, protocol.StageConfiguration} {
		client.open(string(stage))
		heard := conn.pieces
		require.Empty(w.t, client.frames)
		for first := true; ; first = false {
			f := client.frame()
			require.True(w.t, !first || conn.pieces > heard, "the first frame of %s came with the answer", stage)
			client.ack(f)
			if f.Ended {
				break
			}
		}
		client.do("end " + string(stage))
	}
	client.do("action close")
	require.NoError(w.t, ws.Close())
}
