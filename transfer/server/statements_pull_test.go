package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// many is a site with so many rows that they fill several frames.
func many() *transfertest.Site {
	s := transfertest.Sample()
	s.Records[transfer.StageEntities] = nil
	for i := range 40 {
		s.Records[transfer.StageEntities] = append(s.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":"api::category.category","id":%d,"data":{"name":%q}}`, i+1, strings.Repeat("x", 100<<10)))
	}
	return s
}

func TestServerStatement65SendsTheFirstFrameWhenTheClientHasReadTheAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) { c.HeartbeatInterval = time.Hour })
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	w.open("entities")
	require.Zero(t, w.pings)
	w.frame()
	require.Equal(t, 1, w.pings, "a ping comes between the answer and the first frame")

	deaf := r.connect(protocol.Pull)
	deaf.conn.SetPingHandler(func(string) error { return nil })
	deaf.pulls(pullInit)
	deaf.open("entities")
	began := time.Now()
	deaf.frame()
	require.GreaterOrEqual(t, time.Since(began), protocol.FirstFrameDelay-20*time.Millisecond, "where no pong comes, time must do")
}

func TestServerStatement66SendsOneFrameAtATime(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: many()})
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	start := w.open("entities")
	seen := make(map[string]bool)
	n := 0
	for {
		f := w.frame()
		require.Equal(t, start.ID, f.Stream)
		require.False(t, seen[f.UUID], "no frame comes twice")
		seen[f.UUID] = true
		if f.Ended {
			break
		}
		n++
		w.say(`{"uuid":"not a frame's"}`)
		if n == 2 { // nothing comes before the acknowledgement; asking something else does not count as one
			w.do("command status")
			require.Empty(t, w.frames)
		}
		w.ack(f)
	}
	require.Equal(t, 4, n, "40 rows of 100 KiB in frames of a MiB")

	slow := r.connect(protocol.Pull)
	slow.pulls(pullInit)
	slow.open("entities")
	slow.frame()
	slow.silent()
}

func TestServerStatement66GivesUpAClientThatAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: many()}, func(c *server.Config) { c.AckTimeout = 50 * time.Millisecond })
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	w.open("entities")
	w.frame()
	_, err := w.hear(patience)
	require.True(t, websocket.IsCloseError(err, websocket.ClosePolicyViolation), "%v", err)
}

func TestServerStatement67EndsAStage(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	for _, stage := range []string{"entities", "links", "configuration"} {
		w.open(stage)
		f := w.frame()
		var items []json.RawMessage
		require.NoError(t, json.Unmarshal(f.Data, &items))
		got := make([]string, len(items))
		for i, item := range items {
			got[i] = string(item)
		}
		require.Equal(t, r.site.current().Records[transfer.Stage(stage)], got)
		w.ack(f)
		last := w.frame()
		require.True(t, last.Ended)
		require.Equal(t, "null", string(last.Data))
		require.False(t, protocol.Truthy(last.Error))
		w.ack(last)
		require.JSONEq(t, `{"ok":true}`, string(w.do("end "+stage)))
	}
	w.do("action close")
	require.NotEmpty(t, w.do("action getSchemas"), "actions still work after close")
	w.do("command end", fmt.Sprintf(`{"transferID":%q}`, w.id))
}

func TestServerStatement68SendsFilesInListsOfTheirOwn(t *testing.T) {
	t.Parallel()
	big := transfertest.Sample()
	big.Files[2].Body = make([]byte, 5<<19) // two and a half MiB
	r := newRig(t, &site{content: big})
	for name, checksums := range map[string]bool{pullInit: true, `{"transfer":"pull"}`: false, "": false} {
		w := r.connect(protocol.Pull)
		w.pulls(name)
		w.open("assets")
		var frames []int
		var layout []string
		files := make(map[string]int)
		for {
			f := w.frame()
			w.ack(f)
			if f.Ended {
				require.False(t, protocol.Truthy(f.Error))
				break
			}
			require.True(t, strings.HasPrefix(string(f.Data), "[[{"), "a list in a list")
			size := 0
			var actions []string
			for item, err := range protocol.AssetItems(f.Data, f.Payload) {
				require.NoError(t, err)
				actions = append(actions, string(item.Action))
				switch item.Action {
				case protocol.AssetStarts:
					files[item.AssetID] = 0
				case protocol.AssetStreams:
					chunk, err := item.DecodeChunk(nil)
					require.NoError(t, err)
					if checksums {
						require.LessOrEqual(t, len(chunk), protocol.AssetChunkBytes)
					}
					require.Equal(t, checksums, item.Encoding() == protocol.ChunkBase64)
					files[item.AssetID] += len(chunk)
					size += len(chunk)
				case protocol.AssetEnds:
					require.Equal(t, checksums, item.Checksum != nil)
				case protocol.AssetKeeps:
					require.Fail(t, "a pull has no such item")
				}
			}
			frames = append(frames, size)
			layout = append(layout, strings.Join(actions, " "))
		}
		if checksums {
			require.Equal(t, []int{12, 0, 1 << 20, 1 << 20, 1 << 19, 1}, frames)
		} else { // what old clients do not mix up
			require.Equal(t, []int{12, 0, 0, 1 << 20, 1 << 20, 1 << 19, 1}, frames)
			require.Equal(t, []string{"start stream end", "start end", "start", "stream", "stream", "stream end", "start stream end"}, layout)
		}
		require.Len(t, files, 4)
	}
}

func TestServerStatement69SendsBase64OnlyToClientsThatAskForChecksums(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	hello := base64.StdEncoding.EncodeToString([]byte("hello, world"))
	for params, want := range map[string]string{
		pullInit:                                 `"encoding":"base64","data":"` + hello + `"`,
		"":                                       `"data":{"type":"Buffer","data":[104,101,108,`,
		`{"transfer":"pull","checksums":"true"}`: `"data":{"type":"Buffer","data":[104,101,108,`,
	} {
		w := r.connect(protocol.Pull)
		w.pulls(params)
		w.open("assets")
		require.Contains(t, string(w.frame().Data), want)
	}
}

// failing is a source that breaks down in the middle.
type failing struct {
	transfer.Source

	after int
}

func (f failing) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		n := 0
		for item, err := range f.Source.Read(ctx, stage, after) {
			if n == f.after {
				yield(transfer.Item{}, fmt.Errorf("%w: the disk has gone", transfer.ErrDamaged))
				return
			}
			n++
			if asset, ok := item.Record.(transfer.Asset); ok && n == f.after {
				asset.Content = func(context.Context) (io.ReadCloser, error) {
					return nil, fmt.Errorf("%w: the file has gone", transfer.ErrDamaged)
				}
				item.Record = asset
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func TestServerStatement70TellsWhatWentWrongBeforeTheErrorFrame(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"entities", "assets"} {
		r := newRig(t, &site{content: transfertest.Sample(), source: func(s *transfertest.Site) transfer.Source {
			return failing{transfertest.NewMemory(s), 2}
		}})
		w := r.connect(protocol.Pull)
		w.pulls(pullInit)
		w.open(stage)
		for {
			f := w.frame()
			w.ack(f)
			if !f.Ended {
				continue
			}
			require.True(t, protocol.Truthy(f.Error))
			break
		}
		last := w.diagnostics[len(w.diagnostics)-1]
		require.Equal(t, protocol.DiagnosticError, last.Kind)
		require.Contains(t, last.Details.Message, "has gone")
		require.Equal(t, "fatal", last.Details.Severity)
		require.NotEmpty(t, last.Details.CreatedAt)
		w.do("end " + stage)
		w.open("links") // the session goes on
	}
}

// watched is a source that tells when it is let go of.
type watched struct {
	transfer.Source

	closed chan struct{}
}

func (w watched) Close() error {
	close(w.closed)
	return w.Source.Close()
}

func TestServerStatement71FreesAPullWithItsConnection(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(w *wire){
		"while a frame waits for its acknowledgement": func(w *wire) { w.open("entities"); w.frame(); _ = w.conn.NetConn().Close() },
		"after close": func(w *wire) { w.do("action close"); _ = w.conn.NetConn().Close() },
		"with end":    func(w *wire) { w.open("entities"); w.do("command end", fmt.Sprintf(`{"transferID":%q}`, w.id)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			closed := make(chan struct{})
			r := newRig(t, &site{content: many(), source: func(s *transfertest.Site) transfer.Source {
				return watched{transfertest.NewMemory(s), closed}
			}})
			w := r.connect(protocol.Pull)
			w.pulls(pullInit)
			leave(w)
			select {
			case <-closed:
			case <-time.After(patience):
				t.Fatal("the source is still open")
			}
		})
	}
}

func TestAPullThatEndsAStageEarlyGetsItsLastFrame(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: many()})
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	w.open("entities")
	first := w.frame()
	require.JSONEq(t, `{"ok":true}`, string(w.do("end entities")))
	w.ack(first)
	require.True(t, w.frame().Ended)
	w.open("entities") // and may start it again
	require.False(t, w.frame().Ended)
}

func TestAPullHandsOutNothingOfTheAdminPanel(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample().WithAdmin()})
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	for _, stage := range []string{"entities", "links"} {
		w.open(stage)
		f := w.frame()
		require.NotContains(t, string(f.Data), `"type":"admin::user"`)
		require.NotContains(t, string(f.Data), "secret")
		w.ack(f)
		w.ack(w.frame())
		w.do("end " + stage)
	}
}

func TestAPullOfTwoStagesAtOnceGetsBoth(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	a, b := w.open("entities"), w.open("links")
	ended := make(map[string]bool)
	for len(ended) < 2 {
		f := w.frame()
		w.ack(f)
		ended[f.Stream] = ended[f.Stream] || f.Ended
		if !f.Ended {
			delete(ended, f.Stream)
		}
	}
	require.True(t, ended[a.ID] && ended[b.ID])
	require.Equal(t, "Stream already created, something went wrong", w.fails("start links").Message)
}
