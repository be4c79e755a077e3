package remote_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestClientStatement09UsesFreshUUIDsAndOneRequestAtATime(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	var mu sync.Mutex
	unanswered, worst := 0, 0
	r.hook = func(c *wire, m message) bool {
		mu.Lock()
		if unanswered++; unanswered > worst {
			worst = unanswered
		}
		mu.Unlock()
		r.handlers.Go(func() { // while the connection is read on
			<-time.After(2 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			unanswered--
			c.handle(m)
		})
		return true
	}
	require.NoError(t, push(t, r.destination(remote.Options{}), transfertest.Sample()))
	require.Equal(t, 1, worst)
	seen := make(map[string]bool)
	for i := range 2 {
		for _, m := range r.messages(i) {
			id, err := uuid.Parse(m.UUID)
			require.NoError(t, err)
			require.Equal(t, uuid.Version(4), id.Version())
			require.False(t, seen[m.UUID], "uuid used twice")
			seen[m.UUID] = true
		}
	}
	require.Len(t, seen, len(describeFlow())+len(pushFlow()))
}

func TestClientStatement10ResendsTheSameMessageAndGivesUp(t *testing.T) {
	t.Parallel()
	t.Run("at most six resends, then a failure", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, transfertest.Sample())
		r.hook = on("getMetadata", func(*wire, message) {})
		src := r.source(fast())
		_, err := src.Describe(t.Context())
		require.ErrorIs(t, err, transfer.ErrStalled)
		require.Contains(t, err.Error(), "getMetadata")
		var sends []string
		for _, m := range r.messages(0) {
			if m.Action == "getMetadata" {
				sends = append(sends, m.Raw)
			}
		}
		require.Len(t, sends, 7)
		for _, text := range sends {
			require.Equal(t, sends[0], text)
		}
	})
	t.Run("the start of assets has a time of its own", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, transfertest.Sample())
		r.hook = on("start assets", func(c *wire, m message) {
			<-time.After(time.Second) // longer than any other message would be waited for
			c.handle(m)
		})
		keys, err := read(t.Context(), r.source(fast()), transfer.StageAssets)
		require.NoError(t, err)
		require.Len(t, keys, len(transfertest.Sample().Files))
		require.Equal(t, 1, strings.Count(strings.Join(r.flow(0), ","), "start assets"))
	})
	t.Run("preparation may take long", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, transfertest.Sample())
		r.hook = on("beforeTransfer", func(c *wire, m message) {
			<-time.After(time.Second)
			c.handle(m)
		})
		opts := fast()
		opts.StallTimeout = 500 * time.Millisecond
		dst := r.destination(opts)
		_, err := dst.Describe(t.Context())
		require.NoError(t, err)
		_, err = dst.Begin(t.Context(), fullPlan(t, transfertest.Sample()))
		require.NoError(t, err)
	})
}

func TestClientStatement11NamesTheTransferEverywhere(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	require.NoError(t, push(t, r.destination(remote.Options{}), transfertest.Sample()))
	for i := range 2 {
		messages := r.messages(i)
		for _, m := range messages[1 : len(messages)-1] {
			require.Equal(t, "transfer-1", m.TransferID, m.String())
		}
		end := messages[len(messages)-1]
		sameJSON(t, `{"transferID":"transfer-1"}`, string(end.Params))
	}
}

func TestClientStatement12WantsATransferID(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{}`, `null`, `{"transferID":""}`, `{"transferID":null}`, `{"transferID":0}`, `"x"`, `[]`} {
		r := newRunner(t, transfertest.Sample())
		r.hook = func(c *wire, m message) bool {
			c.answer(m, data)
			return true
		}
		_, err := r.source(remote.Options{}).Describe(t.Context())
		require.ErrorIs(t, err, transfer.ErrConnection, data)
		require.Equal(t, []string{"init"}, r.flow(0))
		_, err = r.destination(remote.Options{}).Describe(t.Context())
		require.ErrorIs(t, err, transfer.ErrConnection, data)
	}
}

func TestClientStatement13CopesWithEveryShapeOfError(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		error string
		want  error // nil: any
		text  string
	}{
		"the usual":           {`{"code":"Error","message":"restore failed Error: boom","details":{}}`, nil, "restore failed Error: boom"},
		"with a step":         {`{"code":"Error","message":"Invalid action","details":{"step":"transfer","details":{"action":"x"}}}`, nil, "Invalid action"},
		"without details":     {`{"code":"TypeError","message":"data is not iterable"}`, nil, "data is not iterable"},
		"empty":               {`{}`, nil, "did not say which"},
		"a string":            {`"something"`, nil, "something"},
		"a number":            {`17`, nil, "17"},
		"expired":             {`{"code":"UnauthorizedError","message":"Token expired","details":{}}`, transfer.ErrAuth, "lives longer"},
		"forbidden":           {`{"code":"ForbiddenError","message":"Forbidden","details":{}}`, transfer.ErrAuth, "token"},
		"a full disk":         {`{"code":"Error","message":"restore failed Error: ENOSPC: no space left on device","details":{}}`, transfer.ErrUnwritable, "ENOSPC"},
		"a read-only disk":    {`{"code":"Error","message":"restore failed Error: attempt to write a readonly database","details":{}}`, transfer.ErrUnwritable, "readonly"},
		"a locked database":   {`{"code":"SqliteError","message":"database is locked","details":{}}`, transfer.ErrUnwritable, "locked"},
		"control characters":  {`{"code":"Error","message":"a\u001b[31mb\nc","details":{}}`, nil, "a [31mb c"},
		"details of any kind": {`{"code":"Error","message":"odd","details":[1]}`, nil, "odd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			r.hook = on("beforeTransfer", func(c *wire, m message) {
				c.send(fmt.Sprintf(`{"uuid":%q,"data":null,"error":%s}`, m.UUID, test.error))
			})
			err := push(t, r.destination(remote.Options{}), transfertest.Sample())
			require.Error(t, err)
			require.Contains(t, err.Error(), test.text)
			require.Contains(t, err.Error(), "; ", "every error ends with the way out")
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
		})
	}
}

func TestClientStatement14InitialisesAPushAsStrapiDoes(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample()
	r := newRunner(t, site)
	require.NoError(t, push(t, r.destination(remote.Options{}), site))
	sameJSON(t, `{"options":{"strategy":"restore","restore":{"entities":{"exclude":["admin::user","plugin::content-releases.release",
		"plugin::content-releases.release-action"]},"assets":true,"configuration":{"webhook":true,"coreStore":true}}},"transfer":"push",
		"checksums":true,"assetEncoding":"base64"}`, string(r.messages(1)[0].Params))
	// Asking for the description must ask for nothing to be deleted.
	sameJSON(t, `{"options":{"strategy":"restore","restore":{"entities":{"exclude":[],"include":[]},"assets":false,
		"configuration":{"webhook":false,"coreStore":false}}},"transfer":"push","checksums":true,"assetEncoding":"base64"}`, string(r.messages(0)[0].Params))

	// With a selection of types, and without checksums.
	r = newRunner(t, site)
	dst := r.destination(remote.Options{Checksums: remote.ChecksumsOff})
	_, err := dst.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages()[:2], Restore: transfer.Restore{Include: []string{"api::a.a"}, Exclude: []string{"admin::user"}}})
	require.NoError(t, err)
	sameJSON(t, `{"options":{"strategy":"restore","restore":{"entities":{"exclude":["admin::user"],"include":["api::a.a"]},"assets":false,
		"configuration":{"webhook":false,"coreStore":false}}},"transfer":"push","assetEncoding":"base64"}`, string(r.messages(0)[0].Params))
}

func TestClientStatement15FallsBackToTheFormOfOldServers(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	r.noEncoding, r.noChecksums, r.noStats = true, true, true
	dst := r.destination(remote.Options{})
	require.NoError(t, push(t, dst, transfertest.Sample()))
	require.Equal(t, transfertest.Sample().Lines(), r.current().Lines())
	require.Contains(t, notes(dst), "5.43")
	all := r.all(1, "stream assets")
	require.Contains(t, all, `"data":{"type":"Buffer","data":[104,101,108,108,111`)
	require.NotContains(t, all, `"encoding"`)
	require.NotContains(t, all, `"checksum"`)
}

// all joins the texts of the messages of one kind.
func (r *runner) all(session int, what string) string {
	var b strings.Builder
	for _, m := range r.messages(session) {
		if m.String() == what {
			b.WriteString(m.Raw)
		}
	}
	return b.String()
}

func TestClientStatement16SendsChecksumsIfBothSidesKnowThem(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("hello, world"))
	for name, test := range map[string]struct {
		client remote.Checksums
		old    bool
		want   bool
	}{
		"both":           {want: true},
		"not the client": {client: remote.ChecksumsOff},
		"not the server": {old: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			r.noChecksums = test.old
			dst := r.destination(remote.Options{Checksums: test.client})
			require.NoError(t, push(t, dst, transfertest.Sample()))
			text := `"checksum":{"algorithm":"sha256","value":"` + hex.EncodeToString(sum[:]) + `"}`
			require.Equal(t, test.want, strings.Contains(r.all(1, "stream assets"), text))
			require.Equal(t, test.want, strings.Contains(r.all(1, "stream assets"), `"checksum"`))
			require.Equal(t, test.old, strings.Contains(notes(dst), "does not know checksums"))
		})
	}
}

func TestClientStatement17InitialisesAPullAndVerifiesIfTheServerCan(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample()
	wrong := func(c *wire, m message) bool {
		if m.String() == "start assets" {
			c.answer(m, c.pull(transfer.StageAssets))
			for i, text := range c.frames {
				c.frames[i] = strings.Replace(text, `aGVsbG8sIHdvcmxk`, `aGVsbG8sIHdvcmxE`, 1) // a flipped bit
			}
			c.next()
			return true
		}
		return false
	}
	r := newRunner(t, site)
	r.hook = wrong
	_, err := read(t.Context(), r.source(remote.Options{}), transfer.StageAssets)
	require.ErrorIs(t, err, transfer.ErrDamaged)
	require.Contains(t, err.Error(), "checksum mismatch for file a_1.txt")
	sameJSON(t, `{"transfer":"pull","checksums":true}`, string(r.messages(0)[0].Params))

	r = newRunner(t, site)
	r.hook, r.noChecksums = wrong, true
	src := r.source(remote.Options{})
	_, err = read(t.Context(), src, transfer.StageAssets)
	require.NoError(t, err)
	require.Contains(t, notes(src), "does not know checksums")

	r = newRunner(t, site)
	_, err = read(t.Context(), r.source(remote.Options{Checksums: remote.ChecksumsOff}), transfer.StageAssets)
	require.NoError(t, err)
	require.Equal(t, json.RawMessage(nil), r.messages(0)[0].Params, "as Strapi's client does")
}
