package remote_test

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// playing returns a hook that answers the start of a stage and then sends frames, each without its uuid, one for each ack.
func playing(stage transfer.Stage, frames ...string) func(*wire, message) bool {
	return func(c *wire, m message) bool {
		if m.Action != "start" || m.Step != string(stage) {
			return false
		}
		c.answer(m, fmt.Sprintf(`{"ok":true,"id":%q}`, streamID(stage)))
		c.frames = slices.Clone(frames)
		c.next()
		return true
	}
}

const category = `{"type":"api::category.category","id":%d,"data":{"name":"n"}}`

func entity(id int) string { return fmt.Sprintf(category, id) }

func TestClientStatement33TakesOnlyFramesOfItsStream(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	play := playing(transfer.StageEntities, frame(transfer.StageEntities, "["+entity(1)+"]"), lastFrame(transfer.StageEntities))
	r.hook = func(c *wire, m message) bool {
		if m.String() == "start entities" {
			c.send(`{"uuid":"x1","data":{"type":"transfer","data":[` + entity(66) + `],"ended":false,"error":null,"id":"another-stream"}}`)
			c.send(`{"uuid":"x2","data":{"type":"something","data":[` + entity(67) + `],"ended":false,"error":null,"id":"stream-entities"}}`)
		}
		return play(c, m)
	}
	keys, err := read(t.Context(), r.source(remote.Options{}), transfer.StageEntities)
	require.NoError(t, err)
	require.Equal(t, []string{"api::category.category 1"}, keys)
	for _, m := range r.messages(0) {
		require.False(t, m.Type == "" && strings.HasPrefix(m.UUID, "x"), "a frame that was not taken over is not acknowledged")
	}
}

func TestClientStatement34AcknowledgesEachFrameOnce(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	src := r.source(remote.Options{})
	for _, stage := range transfer.Stages() {
		_, err := read(t.Context(), src, stage)
		require.NoError(t, err)
	}
	seen := make(map[string]int)
	for _, m := range r.messages(0) {
		if m.Type == "" {
			require.Equal(t, fmt.Sprintf(`{"uuid":%q}`, m.UUID), m.Raw)
			seen[m.UUID]++
		}
	}
	require.Len(t, seen, 4+5+2+2, "frames of entities, assets, links and configuration, each with a last one")
	for id, n := range seen {
		require.Equal(t, 1, n, id)
	}
	// That of an error frame, too.
	r = newRunner(t, transfertest.Sample())
	r.hook = playing(transfer.StageLinks, `{"type":"transfer","data":null,"ended":true,"error":{},"id":"stream-links"}`)
	_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageLinks)
	require.Error(t, err)
	n := 0
	for _, m := range r.messages(0) {
		if m.Raw == `{"uuid":"frame-0-1"}` {
			n++
		}
	}
	require.Equal(t, 1, n)
}

func TestClientStatement35TakesAFrameThatComesWithTheAnswer(t *testing.T) {
	t.Parallel()
	text := func(s string) []byte { // a WebSocket frame as a server writes it
		head := []byte{0x81, 126, byte(len(s) >> 8), byte(len(s))}
		return append(head, s...)
	}
	first := `{"uuid":"f1","data":` + frame(transfer.StageEntities, "["+entity(1)+"]") + `}`
	for name, early := range map[string]bool{"in the same read": false, "even before it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			r.hook = func(c *wire, m message) bool {
				switch {
				case m.String() == "start entities":
					parts := [][]byte{text(fmt.Sprintf(`{"uuid":%q,"data":{"ok":true,"id":"stream-entities"},"error":null}`, m.UUID)), text(first)}
					if early {
						slices.Reverse(parts)
					}
					_, _ = c.conn.NetConn().Write(slices.Concat(parts...))
					return true
				case m.UUID == "f1":
					c.frames = []string{lastFrame(transfer.StageEntities)}
					c.next()
					return true
				}
				return false
			}
			keys, err := read(t.Context(), r.source(remote.Options{}), transfer.StageEntities)
			require.NoError(t, err)
			require.Equal(t, []string{"api::category.category 1"}, keys)
		})
	}
}

// With a window, a server sends as much as that holds as soon as the stage has started, all of which may come before the answer is read.
func TestClientTakesAWholeWindowThatComesBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	const window = 16
	for name, test := range map[string]struct {
		frames int
		fails  string
	}{"a window": {window, ""}, "far more": {4 * window, "does not wait for acknowledgements"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			acked := 0
			r.hook = func(c *wire, m message) bool {
				switch {
				case m.String() == "start entities":
					for i := 1; i <= test.frames; i++ {
						c.send(fmt.Sprintf(`{"uuid":"early-%d","data":%s}`, i, frame(transfer.StageEntities, "["+entity(i)+"]")))
					}
					c.send(fmt.Sprintf(`{"uuid":%q,"data":{"ok":true,"id":"stream-entities"},"error":null}`, m.UUID))
					return true
				case strings.HasPrefix(m.UUID, "early-"):
					if acked++; acked == test.frames {
						c.frames = []string{lastFrame(transfer.StageEntities)}
						c.next()
					}
					return true
				}
				return false
			}
			keys, err := read(t.Context(), r.source(remote.Options{Offer: protocol.Extensions{Window: window}}), transfer.StageEntities)
			if test.fails != "" {
				require.ErrorIs(t, err, transfer.ErrConnection)
				require.ErrorContains(t, err, test.fails)
				return
			}
			require.NoError(t, err)
			require.Len(t, keys, test.frames)
			require.Equal(t, "api::category.category 16", keys[window-1])
		})
	}
}

func TestClientStatement36ReadsEveryShapeOfData(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data []string
		want []string
	}{
		"an array":               {[]string{"[" + entity(1) + "," + entity(2) + "]"}, []string{"1", "2"}},
		"one item":               {[]string{entity(1)}, []string{"1"}},
		"an empty array":         {[]string{"[]", "[" + entity(3) + "]"}, []string{"3"}},
		"null":                   {[]string{"null", "[" + entity(3) + "]"}, []string{"3"}},
		"white space in between": {[]string{" [ \n" + entity(1) + " ,\t" + entity(2) + " ] "}, []string{"1", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var frames []string
			for _, data := range test.data {
				frames = append(frames, frame(transfer.StageEntities, data))
			}
			r := newRunner(t, transfertest.Sample())
			r.hook = playing(transfer.StageEntities, append(frames, lastFrame(transfer.StageEntities))...)
			keys, err := read(t.Context(), r.source(remote.Options{}), transfer.StageEntities)
			require.NoError(t, err)
			for i := range keys {
				keys[i] = strings.TrimPrefix(keys[i], "api::category.category ")
			}
			require.Equal(t, test.want, keys)
		})
	}
	for name, data := range map[string]string{
		"assets in an array of arrays": "[[" + item("start", "") + "," + item("stream", "") + "," + item("end", "") + "]]",
		"assets in one array":          "[" + item("start", "") + "," + item("stream", "") + "," + item("end", "") + "]",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			r.noChecksums = true
			r.hook = playing(transfer.StageAssets, frame(transfer.StageAssets, data), lastFrame(transfer.StageAssets))
			keys, err := read(t.Context(), r.source(remote.Options{}), transfer.StageAssets)
			require.NoError(t, err)
			require.Equal(t, []string{"a.txt"}, keys)
		})
	}
}

// item is an asset item of the file A, whose content is "hello" in one chunk. extra goes into it.
func item(action, extra string) string { return itemOf("A", action, extra) }

func itemOf(id, action, extra string) string {
	switch action {
	case "start":
		return fmt.Sprintf(`{"action":"start","assetID":%q,"data":{"filename":"a.txt","filepath":"/srv/a.txt","stats":{"size":5},"metadata":{"id":1}}%s}`, id, extra)
	case "stream":
		return fmt.Sprintf(`{"action":"stream","assetID":%q,"encoding":"base64","data":"aGVsbG8="%s}`, id, extra)
	default:
		return fmt.Sprintf(`{"action":"end","assetID":%q%s}`, id, extra)
	}
}

// helloSum is the checksum of "hello".
const helloSum = `,"checksum":{"algorithm":"sha256","value":"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}`

func TestClientStatement37ReadsEveryFormOfAChunk(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		chunk string
		ok    bool
	}{
		"base64, and says so":    {`"encoding":"base64","data":"aGVsbG8="`, true},
		"base64, and says not":   {`"data":"aGVsbG8="`, true},
		"base64 with escapes":    {`"data":"aGVsb\u0047\u0038\u003d"`, true},
		"a Buffer":               {`"data":{"type":"Buffer","data":[104,101,108,108,111]}`, true},
		"a byte out of range":    {`"data":{"type":"Buffer","data":[104,256]}`, false},
		"not base64":             {`"data":"aGVsbG8"`, false},
		"nothing":                {`"encoding":"base64"`, false},
		"something else":         {`"data":[104]`, false},
		"a Buffer without bytes": {`"data":{"type":"Buffer"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			r.hook = playing(transfer.StageAssets, frame(transfer.StageAssets, `[[`+item("start", "")+`,{"action":"stream","assetID":"A",`+test.chunk+`},`+item("end", helloSum)+`]]`),
				lastFrame(transfer.StageAssets))
			_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageAssets)
			if test.ok {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, transfer.ErrDamaged)
			require.Contains(t, err.Error(), "a.txt")
		})
	}
}

func TestClientStatement38EndsAStageAfterItsLastFrameButNotAfterAnError(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	src := r.source(remote.Options{})
	_, err := read(t.Context(), src, transfer.StageConfiguration)
	require.NoError(t, err)
	var order []string
	for _, m := range r.messages(0)[2:] {
		order = append(order, strings.TrimSpace(m.String()+" "+map[bool]string{true: m.UUID}[m.Type == ""]))
	}
	require.Equal(t, []string{"start configuration", "ack frame-0-1", "ack frame-0-2", "end configuration"}, order)

	r = newRunner(t, transfertest.Sample())
	r.hook = playing(transfer.StageConfiguration, `{"type":"transfer","data":null,"ended":true,"error":{"code":"ERR_STREAM_PREMATURE_CLOSE"},"id":"stream-configuration"}`)
	src = r.source(remote.Options{})
	_, err = read(t.Context(), src, transfer.StageConfiguration)
	require.ErrorIs(t, err, transfer.ErrDamaged)
	require.NoError(t, src.Close())
	require.NotContains(t, r.flow(0), "end configuration")
}

func TestClientStatement39TakesEveryTruthyErrorAsAFailure(t *testing.T) {
	t.Parallel()
	for _, value := range []string{`{}`, `[]`, `true`, `1`, `"x"`, `{"code":"ERR_STREAM_PREMATURE_CLOSE"}`} {
		for _, ended := range []bool{true, false} {
			r := newRunner(t, transfertest.Sample())
			play := playing(transfer.StageAssets, fmt.Sprintf(`{"type":"transfer","data":null,"ended":%v,"error":%s,"id":"stream-assets"}`, ended, value))
			r.hook = func(c *wire, m message) bool {
				if m.String() == "start assets" {
					c.diagnose("error", "[Data transfer] Error in assets read stream: fetch failed")
				}
				return play(c, m)
			}
			_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageAssets)
			require.ErrorIs(t, err, transfer.ErrDamaged, value)
			require.Contains(t, err.Error(), "fetch failed", "the text that came before")
		}
	}
	for _, value := range []string{`null`, `false`, `0`, `""`} {
		r := newRunner(t, transfertest.Sample())
		r.hook = playing(transfer.StageLinks, fmt.Sprintf(`{"type":"transfer","data":null,"ended":true,"error":%s,"id":"stream-links"}`, value))
		_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageLinks)
		require.NoError(t, err, value)
	}
}

func TestClientStatement40GivesUpWhenNoFrameComes(t *testing.T) {
	t.Parallel()
	for name, frames := range map[string][]string{
		"none at all":      nil,
		"not the next one": {frame(transfer.StageEntities, "["+entity(1)+"]")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			r.hook = playing(transfer.StageEntities, frames...)
			src := r.source(remote.Options{StallTimeout: 150 * time.Millisecond})
			_, err := read(t.Context(), src, transfer.StageEntities)
			require.ErrorIs(t, err, transfer.ErrStalled)
			require.NoError(t, src.Close())
		})
	}
	t.Run("but a slow reader is not a stalled server", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, transfertest.Sample())
		src := r.source(remote.Options{StallTimeout: 100 * time.Millisecond})
		n := 0
		for _, err := range src.Read(t.Context(), transfer.StageEntities, 0) {
			require.NoError(t, err)
			if n++; n == 2 {
				<-time.After(400 * time.Millisecond)
			}
		}
		require.Len(t, transfertest.Sample().Records[transfer.StageEntities], n)
	})
}

func TestClientStatement41RejectsFilesThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	other := `,"checksum":{"algorithm":"sha256","value":"` + strings.Repeat("0", 64) + `"}`
	md5 := `,"checksum":{"algorithm":"md5","value":"5d41402abc4b2a76b9719d911017c592"}`
	for name, test := range map[string]struct {
		items []string
		text  string
	}{
		"a repeated start":            {[]string{item("start", ""), item("start", "")}, "starts twice"},
		"a start after the end":       {[]string{item("start", ""), item("stream", ""), item("end", helloSum), item("start", "")}, "starts twice"},
		"a chunk after the end":       {[]string{item("start", ""), item("stream", ""), item("end", helloSum), item("stream", "")}, "after its end"},
		"an end after the end":        {[]string{item("start", ""), item("stream", ""), item("end", helloSum), item("end", helloSum)}, "after its end"},
		"a chunk before the start":    {[]string{item("stream", "")}, "without its start"},
		"a missing checksum":          {[]string{item("start", ""), item("stream", ""), item("end", "")}, "without its checksum"},
		"a wrong checksum":            {[]string{item("start", ""), item("stream", ""), item("end", other)}, "checksum mismatch"},
		"a checksum of another kind":  {[]string{item("start", ""), item("stream", ""), item("end", md5)}, "unknown kind"},
		"no end at all":               {[]string{item("start", ""), item("stream", "")}, "the stage ends before"},
		"another file inside":         {[]string{item("start", ""), itemOf("B", "start", "")}, "not supported"},
		"a chunk of another file":     {[]string{item("start", ""), itemOf("B", "stream", "")}, "without its start"},
		"an unknown action":           {[]string{item("start", ""), strings.Replace(item("end", ""), `"end"`, `"stop"`, 1)}, "Invalid asset flow action"},
		"an item without a file":      {[]string{`{"action":"start","data":{}}`}, "assetID"},
		"a number in place of a file": {[]string{`17`}, "asset"},
		"less than was announced":     {[]string{strings.Replace(item("start", ""), `"size":5`, `"size":50`, 1), item("stream", ""), item("end", helloSum)}, "promised"},
		"more than was announced":     {[]string{strings.Replace(item("start", ""), `"size":5`, `"size":3`, 1), item("stream", ""), item("end", helloSum)}, "promised"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			r.hook = playing(transfer.StageAssets, frame(transfer.StageAssets, "[["+strings.Join(test.items, ",")+"]]"), lastFrame(transfer.StageAssets))
			_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageAssets)
			require.ErrorIs(t, err, transfer.ErrDamaged)
			require.ErrorContains(t, err, test.text)
		})
	}
	t.Run("what the reader of a file leaves unread is checked, too", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, transfertest.Sample())
		r.hook = playing(transfer.StageAssets, frame(transfer.StageAssets, "[["+strings.Join([]string{item("start", ""), item("stream", ""), item("end", other)}, ",")+"]]"),
			lastFrame(transfer.StageAssets))
		var last error
		for found, err := range r.source(remote.Options{}).Read(t.Context(), transfer.StageAssets, 0) {
			if last = err; err == nil {
				body, err := found.Record.(transfer.Asset).Content(t.Context())
				require.NoError(t, err)
				_, err = io.ReadFull(body, make([]byte, 5))
				require.NoError(t, err)
				require.NoError(t, body.Close())
			}
		}
		require.ErrorIs(t, last, transfer.ErrDamaged)
	})
	t.Run("a size that was only hearsay need not be true", func(t *testing.T) {
		t.Parallel()
		for _, start := range []string{
			strings.Replace(item("start", ""), `"size":5`, `"size":0`, 1),
			strings.Replace(strings.Replace(item("start", ""), `"size":5`, `"size":3`, 1), "/srv/a.txt", "https://cdn.example.org/a.txt", 1),
			strings.Replace(item("start", ""), `,"stats":{"size":5}`, ``, 1),
		} {
			r := newRunner(t, transfertest.Sample())
			r.hook = playing(transfer.StageAssets, frame(transfer.StageAssets, "[["+strings.Join([]string{start, item("stream", ""), item("end", helloSum)}, ",")+"]]"),
				lastFrame(transfer.StageAssets))
			_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageAssets)
			require.NoError(t, err)
		}
	})
}

func TestClientStatement42UsesTotalsForProgressOnly(t *testing.T) {
	t.Parallel()
	for totals, want := range map[string]*transfer.Count{
		``: nil,
		`,"totals":{"totalBytes":10764202.18,"totalCount":54}`: {Records: 54, Bytes: 10764202},
		`,"totals":{"totalBytes":-3,"totalCount":1e300}`:       {Records: 1 << 53},
		`,"totals":"many"`: nil,
		`,"totals":null`:   nil,
	} {
		r := newRunner(t, transfertest.Sample())
		r.hook = func(c *wire, m message) bool {
			if m.String() != "start assets" {
				return false
			}
			c.pull(transfer.StageAssets)
			c.answer(m, `{"ok":true,"id":"stream-assets"`+totals+`}`)
			c.next()
			return true
		}
		src := r.source(remote.Options{})
		_, err := src.Count(t.Context(), transfer.StageAssets)
		require.Error(t, err, "not known before")
		keys, err := read(t.Context(), src, transfer.StageAssets)
		require.NoError(t, err)
		require.Len(t, keys, len(transfertest.Sample().Files), "whatever the totals say")
		count, err := src.Count(t.Context(), transfer.StageAssets)
		require.Equal(t, want == nil, err != nil, totals)
		if want != nil {
			require.Equal(t, *want, count)
		}
	}
}

func TestClientStatement43LeavesAdminRowsBehindAndNeverLogsThem(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample().WithAdmin())
	log := &logbook{}
	to := transfertest.NewMemory(nil)
	to.Blank = true
	report, err := transfer.Run(t.Context(), r.source(remote.Options{Logger: log.logger()}), to, transfer.Options{Logger: log.logger()})
	require.NoError(t, err)
	require.NotEmpty(t, report.Excluded)
	records := to.Site().Records
	text := strings.Join(slices.Concat(records[transfer.StageEntities], records[transfer.StageLinks]), "\n")
	require.NotContains(t, text, "admin::user")
	require.NotEmpty(t, log.String())
	require.NotContains(t, log.String(), "$2a$secret")
	require.NotContains(t, log.String(), token)
}

func TestClientStatement44SendsNothingButJSONObjects(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	src := r.source(remote.Options{})
	transfertest.ReadSite(t, src)
	require.NoError(t, push(t, r.destination(remote.Options{}), transfertest.Sample()))
	n := 0
	for i := range 3 {
		for _, m := range r.messages(i) {
			require.True(t, json.Valid([]byte(m.Raw)) && m.Raw[0] == '{', "%.100s", m.Raw)
			n++
		}
	}
	require.Greater(t, n, 40)
}

func TestClientStatement45FinishesWithCloseEndAndACloseFrame(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	src := r.source(remote.Options{})
	transfertest.ReadSite(t, src)
	require.NoError(t, src.Close())
	flow := r.flow(0)
	require.Equal(t, []string{"close", "end"}, flow[len(flow)-2:])
	require.Eventually(t, func() bool { return len(r.ends()) == 1 }, 10*time.Second, time.Millisecond)
	var closed *websocket.CloseError
	require.ErrorAs(t, r.ends()[0], &closed)
	require.Equal(t, websocket.CloseNormalClosure, closed.Code)
}

func TestReadReconnectsAfterALoss(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	src := r.source(remote.Options{})
	r.hook = func(c *wire, m message) bool {
		if c.index == 0 && m.String() == "end entities" {
			c.drop()
			return true
		}
		return false
	}
	_, err := read(t.Context(), src, transfer.StageEntities)
	require.ErrorIs(t, err, transfer.ErrConnection)
	keys, err := read(t.Context(), src, transfer.StageEntities)
	require.NoError(t, err)
	require.Len(t, keys, len(transfertest.Sample().Records[transfer.StageEntities]))
}

func TestBreakingOffEndsTheStageAtTheServer(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	src := r.source(remote.Options{})
	for _, err := range src.Read(t.Context(), transfer.StageAssets, 0) {
		require.NoError(t, err)
		break
	}
	_, err := read(t.Context(), src, transfer.StageEntities)
	require.NoError(t, err)
	require.NoError(t, src.Close())
	require.Empty(t, r.messages(1), "one connection is enough")
	require.Contains(t, r.flow(0), "end assets")

	// A server that does not play along costs the connection, not the time.
	r = newRunner(t, transfertest.Sample())
	r.hook = func(c *wire, m message) bool { return c.index == 0 && m.String() == "end assets" }
	src = r.source(remote.Options{})
	for _, err := range src.Read(t.Context(), transfer.StageAssets, 0) {
		require.NoError(t, err)
		break
	}
	_, err = read(t.Context(), src, transfer.StageEntities)
	require.NoError(t, err)
	require.NotEmpty(t, r.messages(1))
}

func TestAFileIsVoidOnceTheSourceHasGoneOn(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	var kept []transfer.Asset
	for found, err := range r.source(remote.Options{}).Read(t.Context(), transfer.StageAssets, 0) {
		require.NoError(t, err)
		kept = append(kept, found.Record.(transfer.Asset))
	}
	for _, a := range kept {
		_, err := a.Content(t.Context())
		require.Error(t, err, a.Filename)
		require.NotErrorIs(t, err, io.EOF)
	}
	require.Len(t, kept, 4)
}

func TestBinaryFramesThatWereNotAgreedOnAreRefused(t *testing.T) {
	t.Parallel()
	data := `[[` + item("start", "") + `,` + string(protocol.AppendBinaryChunk(nil, "A", 5)) + `,` + item("end", helloSum) + `]]`
	for name, test := range map[string]struct {
		stage   transfer.Stage
		data    string
		payload string
		agreed  bool
		want    string
	}{
		"agreed on":          {stage: transfer.StageAssets, data: data, payload: "hello", agreed: true},
		"other bytes":        {stage: transfer.StageAssets, data: data, payload: "hullo", agreed: true, want: "checksum mismatch"},
		"bytes of nobody":    {stage: transfer.StageAssets, data: data, payload: "hello!", agreed: true, want: "belong to no item"},
		"too few bytes":      {stage: transfer.StageAssets, data: data, payload: "hell", agreed: true, want: protocol.ErrInvalidChunk.Error()},
		"not agreed on":      {stage: transfer.StageAssets, data: data, payload: "hello", want: "not agreed on"},
		"of another stage":   {stage: transfer.StageEntities, data: "[" + entity(1) + "]", payload: "x", agreed: true, want: "not agreed on"},
		"an empty one, even": {stage: transfer.StageEntities, data: "[" + entity(1) + "]", agreed: true, want: "not agreed on"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			r.hook = func(c *wire, m message) bool {
				switch {
				case m.Command == "init" && test.agreed:
					c.answer(m, `{"transferID":"t","checksums":true,"extensions":{"binaryAssets":true}}`)
					return true
				case m.Action == "start" && m.Step == string(test.stage):
					c.answer(m, fmt.Sprintf(`{"ok":true,"id":%q}`, streamID(test.stage)))
					f := protocol.Frame{UUID: "f", Stream: streamID(test.stage), Data: json.RawMessage(test.data), Payload: append([]byte{}, test.payload...)}
					_ = c.conn.WriteMessage(websocket.BinaryMessage, f.Append(nil))
					c.frames = []string{lastFrame(test.stage)}
					c.next()
					return true
				}
				return false
			}
			_, err := read(t.Context(), r.source(remote.Options{Offer: protocol.Extensions{BinaryAssets: true}}), test.stage)
			if test.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, transfer.ErrDamaged)
			require.ErrorContains(t, err, test.want)
		})
	}
}
