package server_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
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

// The names of the tests carry the numbers of part II of the conformance checklist.

func TestServerStatement46AnswersUpgradesAndRefusals(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	_, pullOnly := r.grant(tokenFor(protocol.Pull))
	_, expired := r.grant(specWith(time.Second))
	_, elsewhere := r.grant(siteSpec("blog"))
	for name, test := range map[string]struct {
		method, path, secret string
		header               http.Header
		want                 int
		body                 string
	}{
		"no token":                    {path: "/admin/transfer/runner/push", want: 401, body: `{"data":null,"error":{"status":401,"name":"UnauthorizedError","message":"Missing or invalid credentials","details":{}}}`},
		"a bad token":                 {path: "/admin/transfer/runner/push", secret: "x", want: 401, body: `{"data":null,"error":{"status":401,"name":"UnauthorizedError","message":"Missing or invalid credentials","details":{}}}`},
		"a token in the query":        {path: "/admin/transfer/runner/push?token=" + r.secret, want: 401},
		"the wrong scope":             {path: "/admin/transfer/runner/push", secret: pullOnly, want: 403, body: `{"data":null,"error":{"status":403,"name":"ForbiddenError","message":"Forbidden","details":{}}}`},
		"the wrong site":              {path: "/admin/transfer/runner/pull", secret: elsewhere, want: 403},
		"another path":                {path: "/transfer/runner/push", secret: r.secret, want: 404, body: `{"data":null,"error":{"status":404,"name":"NotFoundError","message":"Not Found","details":{}}}`},
		"another direction":           {path: "/admin/transfer/runner/both", secret: r.secret, want: 404},
		"two slashes":                 {path: "/admin//transfer/runner/push", secret: r.secret, want: 404},
		"an unknown site":             {path: "/nobody/admin/transfer/runner/push", secret: r.secret, want: 404},
		"a path with dots":            {path: "/blog/../admin/transfer/runner/push", secret: r.secret, want: 404},
		"no upgrade":                  {path: "/admin/transfer/runner/push", secret: r.secret, want: 404},
		"no upgrade and no token":     {path: "/admin/transfer/runner/push", want: 401},
		"another method":              {method: http.MethodPost, path: "/admin/transfer/runner/push", secret: r.secret, want: 405, body: "Method Not Allowed"},
		"another version":             {path: "/admin/transfer/runner/push", secret: r.secret, header: upgradeHeader("websocket", "12"), want: 400},
		"a list of upgrades":          {path: "/admin/transfer/runner/push", secret: r.secret, header: upgradeHeader("websocket, h2c", "13"), want: 400},
		"a good one":                  {path: "/admin/transfer/runner/push", secret: r.secret, header: upgradeHeader("WebSocket", "13"), want: 101},
		"a slash at the end":          {path: "/admin/transfer/runner/push/?x=1", secret: r.secret, header: upgradeHeader("websocket", "13"), want: 101},
		"a site of its own":           {path: "/blog/admin/transfer/runner/pull", secret: elsewhere, header: upgradeHeader("websocket", "13"), want: 101},
		"the scheme in capitals":      {path: "/admin/transfer/runner/push", secret: "BEARER  " + r.secret, header: upgradeHeader("websocket", "13"), want: 101},
		"an origin of another site":   {path: "/admin/transfer/runner/push", secret: r.secret, header: withOrigin("https://evil.example"), want: 403},
		"the origin null":             {path: "/admin/transfer/runner/push", secret: r.secret, header: withOrigin("null"), want: 403},
		"the server's own origin":     {path: "/admin/transfer/runner/push", secret: r.secret, header: withOrigin(r.http.URL), want: 101},
		"its host at another scheme":  {path: "/admin/transfer/runner/push", secret: r.secret, header: withOrigin("https" + strings.TrimPrefix(r.http.URL, "http")), want: 403},
		"its host as another's start": {path: "/admin/transfer/runner/push", secret: r.secret, header: withOrigin(r.http.URL + ".evil.example"), want: 403},
	} {
		t.Run(name, func(t *testing.T) {
			method := test.method
			if method == "" {
				method = http.MethodGet
			}
			req, err := http.NewRequestWithContext(t.Context(), method, r.http.URL+test.path, http.NoBody)
			require.NoError(t, err)
			if test.header != nil {
				req.Header = test.header.Clone()
			}
			if test.secret != "" {
				secret := test.secret
				if !strings.HasPrefix(secret, "BEARER") {
					secret = "bearer " + secret
				}
				req.Header.Set("Authorization", secret)
			}
			client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
			defer client.CloseIdleConnections()
			response, err := client.Do(req)
			require.NoError(t, err)
			defer response.Body.Close()
			require.Equal(t, test.want, response.StatusCode)
			if test.body != "" {
				text := make([]byte, 1000)
				n, _ := response.Body.Read(text)
				require.Equal(t, test.body, string(text[:n]))
			}
		})
	}
	t.Run("an expired token", func(t *testing.T) {
		require.Eventually(t, func() bool {
			_, response, err := r.dial(protocol.Push, expired)
			if err == nil {
				return false
			}
			defer response.Body.Close()
			text := make([]byte, 1000)
			n, _ := response.Body.Read(text)
			return response.StatusCode == http.StatusUnauthorized && strings.Contains(string(text[:n]), `"message":"Token expired"`)
		}, patience, 100*time.Millisecond)
	})
}

func TestServerStatement47OffersNoSubprotocolAndNoCompression(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	url := "ws" + strings.TrimPrefix(r.http.URL, "http") + "/admin/transfer/runner/push"
	header := http.Header{"Authorization": {"Bearer " + r.secret}}
	dialer := &websocket.Dialer{EnableCompression: true}
	conn, response, err := dialer.DialContext(t.Context(), url, header)
	require.NoError(t, err)
	defer response.Body.Close()
	defer conn.Close()
	require.Empty(t, response.Header.Get("Sec-Websocket-Protocol"))
	require.Empty(t, response.Header.Get("Sec-Websocket-Extensions"))

	dialer = &websocket.Dialer{Subprotocols: []string{"a", "b"}}
	other, response, err := dialer.DialContext(t.Context(), url, header)
	require.NoError(t, err)
	defer response.Body.Close()
	defer other.Close()
	require.Equal(t, "a", other.Subprotocol())
}

func TestServerStatement48TakesMessagesUpToTheLimit(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 100<<20, server.DefaultMessageLimit)
	r := newRig(t, &site{content: empty()}, func(c *server.Config) { c.MessageLimit = 1 << 20 })
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start entities")
	fits := fmt.Sprintf(`{"type":"api::category.category","id":1,"data":{"name":%q}}`, strings.Repeat("x", 1<<20-1000))
	w.do("stream entities", "["+fits+"]")
	w.say(string(w.request("stream entities", "["+strings.Repeat(" ", 1<<20)+"]").Append(nil)))
	for {
		if _, err := w.hear(patience); err != nil {
			require.True(t, websocket.IsCloseError(err, websocket.CloseMessageTooBig), "%v", err)
			return
		}
	}
}

func TestServerStatement49TakesTheLossOfAConnectionForAnAbort(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before func(w *wire)
		kept   bool
	}{
		"before close":               {func(w *wire) { w.do("start entities"); w.do("stream entities", "["+entity(1)+"]") }, false},
		"between close and end":      {func(w *wire) { w.do("action close") }, true},
		"after end":                  {func(w *wire) { w.finish() }, true},
		"in the middle of a file":    {func(w *wire) { w.do("start assets"); w.do("stream assets", "["+assetStart("a", 10)+"]") }, false},
		"after end without close":    {func(w *wire) { w.do("command end", fmt.Sprintf(`{"transferID":%q}`, w.id)) }, false},
		"after a rollback and close": {func(w *wire) { w.do("action rollback"); w.do("action close") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &site{content: transfertest.Sample()})
			w := r.connect(protocol.Push)
			w.begin()
			test.before(w)
			require.NoError(t, w.conn.NetConn().Close())
			require.Eventually(t, func() bool { // the next writer gets in
				next := r.connect(protocol.Push)
				ok := next.ask("command init", pushInit).Error == nil && next.ask("action bootstrap").Error == nil &&
					next.ask("action beforeTransfer").Error == nil
				_ = next.conn.NetConn().Close()
				return ok
			}, patience, 20*time.Millisecond)
			require.Equal(t, map[bool]int{true: 1}[test.kept], r.site.commits)
			if !test.kept {
				require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
			}
		})
	}
}

func TestServerStatement50OverlooksWhatMeansNothing(t *testing.T) {
	t.Parallel()
	for _, direction := range []protocol.Direction{protocol.Push, protocol.Pull} {
		r := newRig(t, &site{content: transfertest.Sample()})
		w := r.connect(direction)
		for _, text := range []string{
			`{}`, `{"type":"command","command":"status"}`, `{"uuid":17,"type":"command","command":"status"}`,
			`{"uuid":"a","type":"other"}`, `{"uuid":"nobody waits for this"}`, `{"uuid":"b","type":17}`,
		} {
			w.say(text)
		}
		w.initialize(map[protocol.Direction]string{protocol.Push: pushInit, protocol.Pull: pullInit}[direction])
		w.do("action bootstrap")
		w.say(`{"uuid":"c","type":"transfer","kind":"other"}`)
		require.Equal(t, protocol.Response{UUID: "c"}, plain(w.answer()))
		w.say(`{"uuid":"d","type":"transfer","kind":"step","action":"other","step":"entities"}`)
		require.Equal(t, protocol.Response{UUID: "d"}, plain(w.answer()))
		w.say(`{"uuid":"","type":"command","command":"status"}`)
		require.Equal(t, protocol.MessageMissingUUID, w.answer().Error.Message)
		require.Equal(t, "Invalid transfer command", w.fails("command other").Message)
		require.Equal(t, `Invalid action provided: "other"`, w.fails("action other").Message)
	}
}

func plain(r *protocol.Response) protocol.Response {
	if string(r.Data) == "null" {
		r.Data = nil
	}
	return *r
}

func TestServerStatement51AnswersEverythingAlsoAfterAFailedInit(t *testing.T) {
	t.Parallel()
	broken := &site{content: transfertest.Sample(), wrap: func(d transfer.Destination) transfer.Destination { return d }}
	r := newRig(t, broken)
	w := r.connect(protocol.Push)
	require.NotEmpty(t, w.fails("command init", `{"options":"nonsense"}`).Message)
	w.do("action rollback")
	w.do("action close")
	w.do("command end")
	require.Equal(t, protocol.MessageNoTransfer, w.fails("start entities").Message)
	w.begin() // a failed init does not count
}

func TestServerStatement52AnswersEachMessageOnceAndAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: empty()})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start entities")
	first := w.request("stream entities", "["+entity(1)+"]")
	w.say(string(first.Append(nil)))
	original := *w.answer()
	for i := range 5 {
		w.do("stream entities", "["+entity(2+i)+"]")
	}
	diagnostics := len(w.diagnostics)
	w.say(string(first.Append(nil))) // long past
	require.Equal(t, plain(&original), plain(w.answer()))
	require.Len(t, w.diagnostics, diagnostics, "a replay is not announced")
	first.Data = []byte("[" + entity(99) + "]")
	w.say(string(first.Append(nil)))
	require.Contains(t, w.answer().Error.Message, "uuid belongs to another message")
	require.Equal(t, protocol.Stats{Started: 6, Finished: 6}, stats(t, w.do("end entities")))
	w.finish()
	require.Len(t, r.site.current().Records[transfer.StageEntities], 6)
}

func TestServerStatement52AnswersACopyThatComesDuringTheWorkOnceThatIsDone(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	r := newRig(t, &site{content: empty(), wrap: func(d transfer.Destination) transfer.Destination {
		return &hooked{Destination: d, write: func(b transfer.Batch) error {
			if b.Stage == transfer.StageEntities && len(b.Records) > 0 {
				close(entered)
				<-leave
			}
			return nil
		}}
	}})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start entities")
	slow := w.request("stream entities", "["+entity(1)+"]")
	w.say(string(slow.Append(nil)))
	<-entered
	w.say(string(slow.Append(nil)))
	next := w.request("end entities")
	w.say(string(next.Append(nil)))
	close(leave)
	var order []string
	for len(order) == 0 || order[len(order)-1] != next.UUID {
		a := w.answer()
		require.Nil(t, a.Error)
		order = append(order, a.UUID)
	}
	require.Equal(t, slow.UUID, order[0])
	w.finish()
	require.Len(t, r.site.current().Records[transfer.StageEntities], 1)
}

func TestServerStatement53ChecksTheTokenWithEachMessage(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(t *testing.T, r *rig)
		code   string
	}{
		"revoked": {func(t *testing.T, r *rig) {
			t.Helper()
			_, err := r.tokens.Revoke(t.Context(), r.token.ID)
			require.NoError(t, err)
		}, protocol.CodeUnauthorized},
		"without its permission": {func(t *testing.T, r *rig) {
			t.Helper()
			require.NoError(t, r.tokens.Permit(t.Context(), r.token.ID, nil, ""))
		}, protocol.CodeForbidden},
		"limited to another place": {func(t *testing.T, r *rig) {
			t.Helper()
			require.NoError(t, r.tokens.Permit(t.Context(), r.token.ID, r.token.Permissions, "blog"))
		}, protocol.CodeForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &site{content: transfertest.Sample()}, func(c *server.Config) { c.HeartbeatInterval = time.Second })
			w := r.connect(protocol.Push)
			w.begin()
			w.do("start entities")
			test.change(t, r)
			require.Eventually(t, func() bool {
				a := w.ask("stream entities", "["+entity(1)+"]")
				return a.Error != nil && a.Error.Code == test.code
			}, patience, 5*time.Millisecond)
			require.Equal(t, test.code, w.fails("action close").Code)
			require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
			for { // the session ends by itself
				if _, err := w.hear(patience); err != nil {
					require.True(t, websocket.IsCloseError(err, websocket.ClosePolicyViolation), "%v", err)
					return
				}
			}
		})
	}
}

func TestServerStatement53EndsASilentSessionWhoseTokenIsRevoked(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	w.open("entities")
	w.frame() // is not acknowledged
	_, err := r.tokens.Revoke(t.Context(), r.token.Name)
	require.NoError(t, err)
	for {
		if _, err := w.hear(patience); err != nil {
			require.True(t, websocket.IsCloseError(err, websocket.ClosePolicyViolation), "%v", err)
			return
		}
	}
}

func TestServerStatement54AnswersInit(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Push)
	data := w.do("command init", pushInit)
	require.Regexp(t, `^\{"transferID":"[0-9a-f-]{36}","checksums":true,"assetEncoding":"base64"\}$`, string(data))
	require.Equal(t, protocol.MessageInProgress, w.fails("command init", pushInit).Message)
	bad := w.fails("command end", `{"transferID":"x"}`)
	require.Equal(t, "Bad transfer ID provided", bad.Message)
	require.Equal(t, protocol.StepTransfer, bad.Details.Step)

	for params, want := range map[string]string{
		`{"options":{"strategy":"restore"},"assetEncoding":"other"}`: `^\{"transferID":"[0-9a-f-]{36}","checksums":true\}$`,
		``:   `^\{"transferID":"[0-9a-f-]{36}","checksums":true\}$`,
		`{}`: `^\{"transferID":"[0-9a-f-]{36}","checksums":true\}$`,
	} {
		w := r.connect(protocol.Push)
		var data []byte
		if params == "" {
			data = w.do("command init")
		} else {
			data = w.do("command init", params)
		}
		require.Regexp(t, want, string(data))
	}
	again := r.connect(protocol.Push)
	again.begin()
	again.finish()
	again.begin() // another transfer over the same connection
	again.finish()
	require.Equal(t, 2, r.site.commits)
}

func TestServerStatement55AnswersNoVersionThatAClientCouldRefuse(t *testing.T) {
	t.Parallel()
	blank := newRig(t, &site{content: transfertest.Sample(), blank: true}).connect(protocol.Push)
	blank.initialize(pushInit)
	blank.do("action bootstrap")
	require.Equal(t, "null", string(blank.do("action getMetadata")))
	fixed := newRig(t, &site{content: transfertest.Sample()}).connect(protocol.Push)
	fixed.initialize(pushInit)
	fixed.do("action bootstrap")
	require.JSONEq(t, `{"createdAt":"2026-11-21T06:46:56.444Z","strapi":{"version":"5.54.0"}}`, string(fixed.do("action getMetadata")))
}

func TestServerStatement56AnswersSchemasOrNull(t *testing.T) {
	t.Parallel()
	fixed := newRig(t, &site{content: transfertest.Sample()}).connect(protocol.Push)
	fixed.initialize(pushInit)
	fixed.do("action bootstrap")
	data := fixed.do("action getSchemas")
	require.Contains(t, string(data), `"api::article.article":{`)
	require.Equal(t, string(data), string(fixed.do("action getSchemas")))
	// A stock client drops what does not fit: old schemas of a site that takes any would cost it its new content types.
	blank := newRig(t, &site{content: transfertest.Sample(), blank: true}).connect(protocol.Push)
	blank.initialize(pushInit)
	blank.do("action bootstrap")
	require.Equal(t, "null", string(blank.do("action getSchemas")))
}

var errDisk = errors.New("no space left on device: /srv/secret")

func TestServerStatement57FailsBeforeTransferWithoutDetails(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample(), wrap: func(d transfer.Destination) transfer.Destination {
		return &hooked{Destination: d, begin: func() error { return fmt.Errorf("%w: %w", transfer.ErrUnwritable, errDisk) }}
	}})
	w := r.connect(protocol.Push)
	w.initialize(pushInit)
	w.do("action bootstrap")
	bad := w.fails("action beforeTransfer")
	require.True(t, strings.HasPrefix(bad.Message, "restore failed "), bad.Message)
	require.NotContains(t, bad.Message, "/srv/secret", "paths of the server are nobody's business")
	require.Zero(t, bad.Details)
}

func TestServerStatement58TakesALoneEndAnywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Push)
	w.begin()
	require.Zero(t, stats(t, w.do("end entities")))
	w.do("start assets")
	w.do("end assets")
	require.Zero(t, stats(t, w.do("end links")))
	require.Zero(t, stats(t, w.do("end configuration")))
	w.finish()
	require.Empty(t, r.site.current().Files)
	require.Empty(t, r.site.current().Records[transfer.StageEntities])
}

func TestServerStatement59CountsWhatItReceived(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: empty()})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start entities")
	w.do("stream entities", "["+entity(1)+","+entity(2)+"]")
	w.do("stream entities", "[]")
	w.do("stream entities", "["+entity(3)+"]")
	require.Equal(t, protocol.Stats{Started: 3, Finished: 3}, stats(t, w.do("end entities")))
}

func TestServerStatement60FailsTheEndOfAssetsAfterAFailedMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start assets")
	bad := w.fails("stream assets", `[{"action":"stream","assetID":"x","data":"AA=="}]`)
	require.Equal(t, `No asset "x" for stream action; send start before stream/end`, bad.Message)
	require.Equal(t, bad.Message, w.fails("end assets").Message)
	require.Contains(t, w.fails("action close").Message, "nothing was committed")
	require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
}

func assetStart(id string, size int) string {
	return fmt.Sprintf(`{"action":"start","assetID":%q,"data":{"filename":"%s_1.bin","filepath":"/up/%s","stats":{"size":%d},"metadata":{"id":1}}}`, id, id, id, size)
}

func assetChunk(id string, body []byte) string {
	return string(protocol.AppendAssetChunk(nil, id, protocol.ChunkBase64, body))
}

func assetEnd(id string, body []byte) string {
	sum := sha256.Sum256(body)
	return string(protocol.AppendAssetEnd(nil, id, hex.EncodeToString(sum[:])))
}

func TestServerStatement61TakesFilesInAllForms(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: empty()})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start assets")
	large := make([]byte, 3<<20)
	for i := range large {
		large[i] = byte(i * 7)
	}
	legacy := string(protocol.AppendAssetChunk(nil, "legacy", protocol.ChunkBuffer, large[:1000]))
	unmarked := fmt.Sprintf(`{"action":"stream","assetID":"plain","data":%q}`, base64.StdEncoding.EncodeToString(large[:500]))
	w.do("stream assets", "["+assetStart("small", 10)+","+assetChunk("small", large[:10])+","+assetEnd("small", large[:10])+","+
		assetStart("none", 0)+","+assetEnd("none", nil)+","+assetStart("large", len(large))+","+assetChunk("large", large[:2<<20])+"]")
	w.do("stream assets", "["+assetChunk("large", large[2<<20:])+"]")
	w.do("stream assets", "["+assetEnd("large", large)+","+assetStart("legacy", 1000)+","+legacy+","+assetEnd("legacy", large[:1000])+","+
		assetStart("plain", 500)+","+unmarked+","+assetEnd("plain", large[:500])+"]")
	w.do("stream assets", "null")
	require.Equal(t, protocol.Stats{Started: 5, Finished: 5}, stats(t, w.do("end assets")))
	w.finish()
	sizes := make(map[string]int)
	for _, f := range r.site.current().Files {
		sizes[f.Name] = len(f.Body)
		require.Equal(t, large[:len(f.Body)], append([]byte{}, f.Body...))
	}
	require.Equal(t, map[string]int{"small_1.bin": 10, "none_1.bin": 0, "large_1.bin": 3 << 20, "legacy_1.bin": 1000, "plain_1.bin": 500}, sizes)
}

func TestServerStatement62EnforcesChecksumsIffAskedTo(t *testing.T) {
	t.Parallel()
	body := []byte("hello")
	for name, test := range map[string]struct{ init, end, want string }{
		"right":             {pushInit, assetEnd("a", body), ""},
		"missing":           {pushInit, `{"action":"end","assetID":"a"}`, `Missing checksum for asset "a"`},
		"of another kind":   {pushInit, `{"action":"end","assetID":"a","checksum":{"algorithm":"md5","value":"x"}}`, `Unsupported checksum algorithm "md5" for asset a`},
		"wrong":             {pushInit, `{"action":"end","assetID":"a","checksum":{"algorithm":"sha256","value":"00"}}`, `Checksum mismatch for asset "a" (expected 00, got 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824)`},
		"not asked for":     {strings.Replace(pushInit, `"checksums":true,`, ``, 1), `{"action":"end","assetID":"a"}`, ""},
		"asked for by text": {strings.Replace(pushInit, `"checksums":true,`, `"checksums":"true",`, 1), `{"action":"end","assetID":"a"}`, ""},
		"a lie about size":  {pushInit, "", "is longer than the 4 bytes promised"},
		"bad base64":        {pushInit, `{"action":"stream","assetID":"a","data":"!"}`, protocol.ErrInvalidChunk.Error()},
		"an unknown action": {pushInit, `{"action":"nonsense","assetID":"a"}`, "Invalid asset flow action: nonsense"},
		"another's end":     {pushInit, assetEnd("b", nil), `No asset "b" for end action; send start before stream/end`},
		"a second start":    {pushInit, assetStart("a", 5), "starts before asset"},
		"no end at all":     {pushInit, `{"action":"stream","assetID":"a","data":""}`, ""},
		"a name with slash": {pushInit, strings.Replace(assetStart("b", 1), "b_1.bin", "../b_1.bin", 1), "starts before asset"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &site{content: empty()})
			w := r.connect(protocol.Push)
			w.initialize(test.init)
			w.do("action bootstrap")
			w.do("action beforeTransfer")
			w.do("start assets")
			size := 5
			if test.end == "" {
				size, test.end = 4, assetEnd("a", body)
			}
			a := w.ask("stream assets", "["+assetStart("a", size)+","+assetChunk("a", body)+","+test.end+"]")
			if name == "no end at all" {
				require.Nil(t, a.Error)
				require.Contains(t, w.fails("end assets").Message, "in the middle of file")
				require.NotNil(t, w.ask("action close").Error)
				return
			}
			if test.want == "" {
				require.Nil(t, a.Error)
				w.do("end assets")
				w.finish()
				require.Equal(t, body, r.site.current().Files[0].Body)
				return
			}
			require.NotNil(t, a.Error)
			require.Contains(t, a.Error.Message, test.want)
			require.NotNil(t, w.ask("end assets").Error)
			w.do("action rollback")
			w.finish()
			require.Zero(t, r.site.commits)
		})
	}
}

func TestServerStatement63RollsBackClosesAndEndsAgainAndAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start entities")
	w.do("stream entities", "["+entity(1)+"]")
	for range 2 {
		w.do("action rollback")
	}
	for range 2 {
		w.do("action close")
	}
	w.do("action rollback")
	w.do("command end", fmt.Sprintf(`{"transferID":%q}`, w.id))
	w.do("command end")
	require.Equal(t, transfertest.Sample().Lines(), r.site.current().Lines())
	require.Zero(t, r.site.commits)

	w = r.connect(protocol.Push)
	w.begin()
	w.do("action close")
	w.do("action close")
	w.do("action rollback")
	w.finish()
	require.Equal(t, 1, r.site.commits)
}

func TestServerStatement64CommitsAtClose(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample()})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start entities")
	w.do("stream entities", "["+entity(1)+"]")
	require.Contains(t, w.fails("action close").Message, "close while stage entities is open")
	w.do("end entities")
	require.Zero(t, r.site.commits)
	w.do("action close")
	require.Equal(t, 1, r.site.commits)
	require.Len(t, r.site.current().Records[transfer.StageEntities], 1)
}

// hooked is a destination that can be made to fail or to wait.
type hooked struct {
	transfer.Destination

	begin  func() error
	write  func(transfer.Batch) error
	commit func() error
}

func (h *hooked) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	if h.begin != nil {
		if err := h.begin(); err != nil {
			return nil, err
		}
	}
	return h.Destination.Begin(ctx, plan)
}

func (h *hooked) Write(ctx context.Context, b transfer.Batch) error {
	if h.write != nil {
		if err := h.write(b); err != nil {
			return err
		}
	}
	return h.Destination.Write(ctx, b)
}

func (h *hooked) Commit(ctx context.Context) error {
	if h.commit != nil {
		if err := h.commit(); err != nil {
			return err
		}
	}
	return h.Destination.Commit(ctx)
}
