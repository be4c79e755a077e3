package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// ends waits for the end of the connection and returns its code, 1006 for one without.
func (w *wire) ends() int {
	w.tb.Helper()
	for {
		_, err := w.hear(patience)
		var closed *websocket.CloseError
		switch {
		case errors.As(err, &closed):
			return closed.Code
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), err != nil && strings.Contains(err.Error(), "reset"):
			return websocket.CloseAbnormalClosure
		}
		require.NoError(w.tb, err)
	}
}

func TestMalformedMessagesEndOneSessionAndNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	bystander := r.connect(protocol.Pull)
	bystander.pulls(pullInit)
	raw := func(p ...byte) func(w *wire) { return func(w *wire) { _, _ = w.conn.NetConn().Write(p) } }
	for name, say := range map[string]func(w *wire){
		"no JSON":        func(w *wire) { w.say("hello") },
		"no object":      func(w *wire) { w.say("[1]") },
		"half a message": func(w *wire) { w.say(`{"uuid":"a"`) },
		"two uuids":      func(w *wire) { w.say(`{"uuid":"a","uuid":"b","type":"command"}`) },
		"a depth of 20,000": func(w *wire) {
			w.say(`{"uuid":"a","type":"command","params":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}`)
		},
		"bytes that are no UTF-8": func(w *wire) { _ = w.conn.WriteMessage(websocket.TextMessage, []byte("{\"uuid\":\"\xff\"}")) },
		"a binary message":        func(w *wire) { _ = w.conn.WriteMessage(websocket.BinaryMessage, []byte(`{}`)) },
		"an unmasked frame":       raw(0x81, 2, '{', '}'),
		"reserved bits":           raw(0xf1, 0x82, 0, 0, 0, 0, '{', '}'),
		"a frame of 2 GiB":        raw(0x81, 0xff, 0, 0, 0, 0, 0x80, 0, 0, 0, 1, 2, 3, 4),
		"a frame of 2^63-1 bytes": raw(0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4),
		"a long name": func(w *wire) {
			w.say(`{"uuid":"` + strings.Repeat("a", 2000) + `","type":"command","command":"status"}`)
		},
	} {
		for _, direction := range []protocol.Direction{protocol.Push, protocol.Pull} {
			w := r.connect(direction)
			if direction == protocol.Pull {
				w.pulls(pullInit)
				w.open("entities")
				w.frame() // with an acknowledgement outstanding, Strapi's process would end
			} else {
				w.begin()
				w.do("start entities")
			}
			say(w)
			require.Contains(t, []int{1002, 1003, 1006, 1007, 1009}, w.ends(), name)
			_ = w.conn.NetConn().Close()
			if direction == protocol.Push {
				r.waitForRoom()
			}
		}
	}
	bystander.open("entities")
	require.NotEmpty(t, bystander.frame().Data)
	require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
}

// waitForRoom waits until a push can begin.
func (r *rig) waitForRoom() {
	r.tb.Helper()
	require.Eventually(r.tb, func() bool {
		w := r.connect(protocol.Push)
		defer w.conn.Close()
		return w.ask("command init", pushInit).Error == nil
	}, patience, 5*time.Millisecond)
}

func TestASecondWriterIsToldWhoTheFirstIs(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	first, late := r.connect(protocol.Push), r.connect(protocol.Push)
	late.initialize(pushInit)
	late.do("action bootstrap")
	first.begin()
	require.Regexp(t, `^restore failed the site is being written to by token "all" from 127\.0\.0\.1:\d+ since `, late.fails("action beforeTransfer").Message)
	next := r.connect(protocol.Push)
	require.Contains(t, next.fails("command init", pushInit).Message, `by token "all" from`)

	dst := remote.NewDestination(r.url(), r.options(extensions()))
	_, err := dst.Describe(t.Context())
	require.ErrorIs(t, err, transfer.ErrUnwritable)
	require.ErrorContains(t, err, `token "all"`)
	require.NoError(t, dst.Close())

	reader := r.connect(protocol.Pull) // readers are not kept out
	reader.pulls(pullInit)
	first.do("start entities")
	first.do("stream entities", "["+entity(7)+"]")
	first.do("end entities")
	first.finish()
	require.Equal(t, 1, r.site.commits)
	r.waitForRoom()
}

func TestPushesToASiteThatIsOnlyReadAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) {
		c.Sites = map[string]server.Site{server.DefaultSite: readOnly{}}
	})
	w := r.connect(protocol.Push)
	w.initialize(pushInit)
	require.Equal(t, server.ErrReadOnly.Error(), w.fails("action bootstrap").Message)
	p := r.connect(protocol.Pull)
	p.initialize(pullInit)
	require.Contains(t, p.fails("action bootstrap").Message, server.ErrEmpty.Error())
}

type readOnly struct{}

func (readOnly) Source(context.Context) (transfer.Source, error) { return nil, server.ErrEmpty }

func (readOnly) Destination(context.Context, string) (transfer.Destination, error) {
	return nil, server.ErrReadOnly
}

func TestSessionsAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) { c.MaxSessions = 2 })
	first := r.connect(protocol.Pull)
	r.connect(protocol.Push)
	_, response, err := r.dial(protocol.Pull, r.secret)
	require.Error(t, err)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "503 not ready\n", r.get("/readyz"))
	require.NoError(t, first.conn.Close())
	require.Eventually(t, func() bool { return r.get("/readyz") == "200 ok\n" }, patience, 5*time.Millisecond)
	r.connect(protocol.Pull)
}

func (r *rig) get(path string, header ...string) string {
	r.tb.Helper()
	req, err := http.NewRequestWithContext(r.tb.Context(), http.MethodGet, r.http.URL+path, http.NoBody)
	require.NoError(r.tb, err)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(r.tb, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(r.tb, err)
	r.tb.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return fmt.Sprintf("%d %s", response.StatusCode, text)
}

func TestHealthAndMetricsTellNoSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start entities")
	again := w.request("stream entities", "["+entity(1)+"]")
	for range 2 {
		w.say(string(again.Append(nil)))
		w.answer()
	}
	w.do("end entities")
	w.fails("start entities")
	w.finish()
	require.Equal(t, "200 ok\n", r.get("/healthz"))
	text := r.get("/metrics")
	for _, line := range []string{
		`transfer_runner_sessions{direction="push"} 1`, `transfer_runner_messages_total{direction="push",kind="stream"} 1`,
		`transfer_runner_duplicates_total{result="answered"} 1`, `transfer_runner_resends_total 1`,
		`transfer_runner_stage_duration_seconds_count{direction="push",stage="entities"} 1`,
		`transfer_runner_errors_total{code="refused",direction="push"} 1`, `transfer_runner_transfers_total{direction="push",outcome="committed"} 1`,
		`transfer_runner_bytes_total{direction="push",way="in"}`,
	} {
		require.Contains(t, text, line)
	}
	require.NotContains(t, text, r.secret)
	require.NotContains(t, text, r.token.ID)
}

func TestMetricsCanBeKeptForThoseWithAToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) { c.PrivateMetrics = true })
	for name, tt := range map[string]struct {
		authorization string
		status        string
	}{
		"no token":            {"", "401"},
		"another scheme":      {"Basic " + r.secret, "401"},
		"a token of somebody": {"Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "401"},
		"a good token":        {"Bearer " + r.secret, "200"},
	} {
		got := r.get("/metrics", "Authorization", tt.authorization)
		require.True(t, strings.HasPrefix(got, tt.status+" "), "%s: %s", name, got)
		require.Equal(t, tt.status == "200", strings.Contains(got, "transfer_runner_"), name)
	}
	require.Equal(t, "200 ok\n", r.get("/healthz"), "whether it is alive is no secret")
	_, err := r.tokens.Revoke(t.Context(), r.token.ID)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(r.get("/metrics", "Authorization", "Bearer "+r.secret), "401 "))
}

func TestASilentPeerIsDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) {
		c.HeartbeatInterval, c.HeartbeatTimeout = 20*time.Millisecond, 150*time.Millisecond
	})
	dead := r.connect(protocol.Push)
	dead.conn.SetPingHandler(func(string) error { return nil }) // as one whose machine is gone
	dead.begin()
	require.Equal(t, websocket.ClosePolicyViolation, dead.ends())
	r.waitForRoom()
	alive := r.connect(protocol.Push)
	alive.begin()
	_, err := alive.hear(400 * time.Millisecond) // answers pings meanwhile
	var timeout net.Error
	require.True(t, errors.As(err, &timeout) && timeout.Timeout(), "%v", err)
}

func TestAnIdlePeerIsDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) { c.IdleTimeout = 200 * time.Millisecond })
	w := r.connect(protocol.Push)
	w.begin()
	require.Equal(t, websocket.ClosePolicyViolation, w.ends())
	r.waitForRoom()
}

func TestAShutdownLetsATransferEndAndRollsBackWhatDoesNot(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]bool{"one that ends in time": true, "one that does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) {
				if c.Grace = 100 * time.Millisecond; finish {
					c.Grace = patience
				}
			})
			idle, w := r.connect(protocol.Pull), r.connect(protocol.Push)
			w.begin()
			idle.do("command status")
			down := make(chan struct{})
			go func() {
				defer close(down)
				r.server.Shutdown(t.Context())
			}()
			require.Equal(t, websocket.CloseGoingAway, idle.ends())
			if finish {
				w.do("start entities")
				w.do("end entities")
				w.do("action close")
				w.do("command end", fmt.Sprintf(`{"transferID":%q}`, w.id))
			}
			require.Equal(t, websocket.CloseGoingAway, w.ends())
			<-down
			require.Equal(t, map[bool]int{true: 1}[finish], r.site.commits)
			_, response, err := r.dial(protocol.Pull, r.secret)
			require.Error(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
		})
	}
}

func TestAPanicEndsOneTransfer(t *testing.T) {
	t.Parallel()
	for _, stage := range []transfer.Stage{transfer.StageEntities, transfer.StageAssets} {
		r := newRig(t, &site{content: transfertest.Sample(), wrap: func(d transfer.Destination) transfer.Destination {
			return &hooked{Destination: d, write: func(b transfer.Batch) error {
				if b.Stage == stage && len(b.Records) > 0 {
					panic("a bug")
				}
				return nil
			}}
		}})
		w := r.connect(protocol.Push)
		w.begin()
		w.do("start " + string(stage))
		body := map[transfer.Stage]string{
			transfer.StageEntities: "[" + entity(1) + "]",
			transfer.StageAssets:   "[" + assetStart("a", 1) + "," + assetChunk("a", []byte("x")) + "," + assetEnd("a", []byte("x")) + "]",
		}[stage]
		require.NotContains(t, w.fails("stream "+string(stage), body).Message, "a bug")
		require.NotNil(t, w.ask("action close").Error)
		require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
		r.waitForRoom()
	}
}

func TestATokenForOneTransferIsGoodForOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample(), blank: true})
	_, r.secret = r.grant(token.Spec{Name: "once", Once: true})
	dst := remote.NewDestination(r.url(), r.options(extensions()))
	src := transfertest.NewMemory(transfertest.Sample())
	_, err := transfer.Run(t.Context(), src, dst, transfer.Options{}) // which connects twice
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	require.Equal(t, 1, r.site.commits)
	_, err = remote.NewDestination(r.url(), r.options(extensions())).Describe(t.Context())
	require.ErrorIs(t, err, transfer.ErrAuth)
}

func TestWindowedMessagesAreTakenInTheirOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: empty()})
	w := r.connect(protocol.Push)
	result := w.initialize(strings.TrimSuffix(pushInit, "}") + `,"extensions":{"window":4,"resume":true,"schemas":true}}`)
	require.Equal(t, protocol.Extensions{Window: 4}, result.Extensions)
	w.do("action bootstrap")
	w.do("action beforeTransfer")
	w.do("start entities")
	var messages []protocol.Request
	for i := range 6 {
		m := w.request("stream entities", "["+entity(i+1)+"]")
		m.Seq = int64(i + 1)
		messages = append(messages, m)
	}
	for _, i := range []int{1, 2, 0, 3} { // the first was lost and sent again
		w.say(string(messages[i].Append(nil)))
	}
	var order []string
	for range 4 {
		a := w.answer()
		require.Nil(t, a.Error)
		order = append(order, a.UUID)
	}
	require.Equal(t, []string{messages[0].UUID, messages[1].UUID, messages[2].UUID, messages[3].UUID}, order)
	twice := messages[4]
	twice.Seq = 2
	w.say(string(twice.Append(nil)))
	require.Contains(t, w.answer().Error.Message, "Message 2 of the stage came where 5 had to come")
	require.Equal(t, empty().Lines(), r.site.current().Lines())
}

func TestCompressedDataIsBounded(t *testing.T) {
	t.Parallel()
	var c protocol.Compressor
	defer c.Close()
	huge, err := c.Append(nil, []byte("["+strings.Repeat(" ", protocol.MaxMessage)+"]"))
	require.NoError(t, err)
	require.Less(t, len(huge), 1<<20)
	for _, data := range []string{string(huge), `"!"`, `"AAAA"`} {
		r := newRig(t, &site{content: empty()})
		w := r.connect(protocol.Push)
		w.initialize(strings.TrimSuffix(pushInit, "}") + `,"extensions":{"compression":"zstd"}}`)
		w.do("action bootstrap")
		w.do("start entities")
		require.Contains(t, w.fails("stream entities", data).Message, "compressed data")
	}
}

func TestAPushCarriesNothingOfTheAdminPanel(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ stage, items, want string }{
		"a row":                     {"entities", `{"type":"admin::user","id":1,"data":{}}`, `Remote push cannot transfer protected type "admin::user" at admin::user`},
		"a relation":                {"entities", `{"type":"api::article.article","id":1,"data":{"createdBy":1}}`, `Remote push cannot transfer protected type "admin::user" at api::article.article.createdBy`},
		"a join column":             {"entities", `{"type":"api::article.article","id":1,"data":{"created_by_id":1}}`, `Remote push cannot transfer protected type "admin::user" at api::article.article.created_by_id`},
		"an unknown type":           {"entities", `{"type":"api::x.x","id":1,"data":{}}`, `Remote push received invalid relation payload at api::x.x: unknown schema "api::x.x"`},
		"data that is no object":    {"entities", `{"type":"api::article.article","id":1,"data":[]}`, `Remote push received invalid relation payload at api::article.article: expected entity data object`},
		"no data":                   {"entities", `{"type":"api::article.article","id":1}`, `Remote push received invalid relation payload at api::article.article: expected entity data object`},
		"a component that is text":  {"entities", `{"type":"api::article.article","id":1,"data":{"seo":"x"}}`, `Remote push received invalid relation payload at api::article.article.seo: expected component object`},
		"a zone that is an object":  {"entities", `{"type":"api::article.article","id":1,"data":{"sections":{}}}`, `Remote push received invalid relation payload at api::article.article.sections: expected dynamic zone array`},
		"a zone item without type":  {"entities", `{"type":"api::article.article","id":1,"data":{"sections":[{}]}}`, `missing dynamic zone component discriminator`},
		"a zone item of other type": {"entities", `{"type":"api::article.article","id":1,"data":{"sections":[{"__component":"a.b"}]}}`, `unsupported dynamic zone component "a.b"`},
		"a list that is text":       {"entities", `{"type":"api::article.article","id":1,"data":{"seo":{"links":"x"}}}`, `expected component value`},
		"a link from it":            {"links", `{"kind":"relation.basic","left":{"type":"admin::user","ref":1},"right":{"type":"api::article.article","ref":1}}`, `Remote push cannot transfer protected type "admin::user" at link.left`},
		"a link to it":              {"links", `{"kind":"relation.basic","left":{"type":"api::article.article","ref":1},"right":{"type":"admin::user","ref":1}}`, `Remote push cannot transfer protected type "admin::user" at link.right`},
		"no record":                 {"entities", `17`, "entity"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &site{content: transfertest.Sample()})
			w := r.connect(protocol.Push)
			w.begin()
			w.do("start " + test.stage)
			require.Contains(t, w.fails("stream "+test.stage, "["+test.items+"]").Message, test.want)
			// The transfer is over, as at a Strapi server.
			for _, what := range []string{"command status", "action rollback", "action close", "command end", "command init"} {
				bad := w.fails(what)
				require.Equal(t, protocol.MessageTerminated, bad.Message)
				require.Equal(t, protocol.StepTransfer, bad.Details.Step)
			}
			require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
			r.waitForRoom()
		})
	}
}

func TestStatusIsRightOnBothSides(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	for direction, params := range map[protocol.Direction]string{protocol.Push: pushInit, protocol.Pull: pullInit} {
		w := r.connect(direction)
		const idle = `{"active":false,"kind":null,"startedAt":null,"elapsed":null}`
		require.JSONEq(t, idle, string(w.do("command status")))
		w.initialize(params)
		status, err := protocol.ParseStatus(w.do("command status"))
		require.NoError(t, err)
		require.True(t, status.Active)
		require.Equal(t, direction, *status.Kind)
		require.InDelta(t, time.Now().UnixMilli(), *status.StartedAt, 5000)
		require.GreaterOrEqual(t, *status.Elapsed, int64(0))
		w.do("command end", fmt.Sprintf(`{"transferID":%q}`, w.id))
		require.JSONEq(t, idle, string(w.do("command status")))
	}
}

func TestDiagnosticsAreThoseOfStrapi(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Push)
	init := w.request("command init", pushInit)
	w.say(string(init.Append(nil)))
	w.answer()
	boot := w.request("action bootstrap")
	w.say(string(boot.Append(nil)))
	w.answer()
	start := w.request("start entities")
	w.say(string(start.Append(nil)))
	w.answer()
	require.Len(t, w.diagnostics, 3)
	for i, text := range []string{
		"received command:init uuid:" + init.UUID, "received transfer action:bootstrap step:action uuid:" + boot.UUID,
		"received transfer action:start step:step uuid:" + start.UUID,
	} {
		d := w.diagnostics[i]
		require.Equal(t, text, d.Details.Message)
		require.Equal(t, "push-handler", d.Details.Origin)
		require.Equal(t, protocol.DiagnosticInfo, d.Kind)
		_, err := time.Parse("2006-01-02T15:04:05.000Z", d.Details.CreatedAt)
		require.NoError(t, err)
	}
}
