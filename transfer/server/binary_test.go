package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// binaryItem is the item that stands for n bytes of a message's payload.
func binaryItem(id string, n int) string { return string(protocol.AppendBinaryChunk(nil, id, n)) }

// askBinary sends a stream message with bytes of files and returns its answer.
func (w *wire) askBinary(seq int64, stage, data, payload string) *protocol.Response {
	w.tb.Helper()
	w.sayBinary(seq, stage, data, payload)
	return w.answer()
}

func (w *wire) sayBinary(seq int64, stage, data, payload string) (uuid string) {
	w.tb.Helper()
	m := w.request("stream "+stage, data)
	m.Payload, m.Seq = []byte(payload), seq
	require.NoError(w.tb, w.conn.WriteMessage(websocket.BinaryMessage, m.Append(nil)))
	return m.UUID
}

func withExtensions(params, extensions string) string {
	return strings.TrimSuffix(params, "}") + `,"extensions":` + extensions + `}`
}

func TestBinaryMessagesAreTakenWhereTheyWereAgreedOn(t *testing.T) {
	t.Parallel()
	var r *rig
	begin := func(extensions string) *wire {
		r = newRig(t, &site{content: empty()})
		w := r.connect(protocol.Push)
		w.initialize(withExtensions(pushInit, extensions))
		w.do("action bootstrap")
		w.do("action beforeTransfer")
		return w
	}
	file := assetStart("a", 5) + "," + binaryItem("a", 3) + "," + binaryItem("a", 2) + "," + assetEnd("a", []byte("hello"))

	w := begin(`{"window":4,"schemas":true}`)
	w.do("start assets")
	require.Contains(t, w.askBinary(1, "assets", "["+file+"]", "hello").Error.Message, "none was agreed on")

	for name, test := range map[string]struct{ stage, data, payload, want string }{
		"bytes of nobody":        {"assets", "[" + file + "]", "hello!", "1 bytes belong to no item"},
		"fewer than announced":   {"assets", "[" + file + "]", "hell", protocol.ErrInvalidChunk.Error()},
		"other bytes":            {"assets", "[" + file + "]", "hullo", "Checksum mismatch"},
		"bytes among entities":   {"entities", "[" + entity(1) + "]", "x", "none was agreed on"},
		"text that has no bytes": {"assets", "[" + assetStart("a", 5) + "," + binaryItem("a", 5) + "]", "", protocol.ErrInvalidChunk.Error()},
	} {
		w := begin(`{"window":4,"binaryAssets":true}`)
		w.do("start " + test.stage)
		a := w.askBinary(1, test.stage, test.data, test.payload)
		require.NotNil(t, a.Error, name)
		require.Contains(t, a.Error.Message, test.want, name)
		require.Equal(t, empty().Lines(), r.site.current().Lines(), name)
	}

	w = begin(`{"window":4,"binaryAssets":true}`)
	w.do("start assets")
	require.Nil(t, w.askBinary(1, "assets", "["+file+"]", "hello").Error)
	w.do("end assets")
	w.finish()
	require.Len(t, r.site.current().Files, 1)
	require.Equal(t, "hello", string(r.site.current().Files[0].Body))
}

// gated is a destination that takes no file before it is let, and then fails if it was told to.
type gated struct {
	transfer.Destination

	gate chan error
}

func (g gated) Write(ctx context.Context, batch transfer.Batch) error {
	if batch.Stage == transfer.StageAssets && len(batch.Records) > 0 {
		select {
		case err := <-g.gate:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return g.Destination.Write(ctx, batch)
}

func TestFilesComeInWhileThoseBeforeThemAreWritten(t *testing.T) {
	t.Parallel()
	errFull := errors.New("the disk is full")
	for name, fails := range map[string]error{"all are written": nil, "one fails": errFull} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate := make(chan error)
			r := newRig(t, &site{content: empty(), wrap: func(dst transfer.Destination) transfer.Destination { return gated{dst, gate} }})
			w := r.connect(protocol.Push)
			w.initialize(withExtensions(pushInit, `{"window":8,"binaryAssets":true}`))
			w.do("action bootstrap")
			w.do("action beforeTransfer")
			w.do("start assets")
			for i := range 3 { // none of them is written yet
				id := fmt.Sprintf("f%d", i)
				require.Nil(t, w.askBinary(int64(i+1), "assets", "["+assetStart(id, 5)+","+binaryItem(id, 5)+","+assetEnd(id, []byte("hello"))+"]", "hello").Error)
			}
			end := w.request("end assets")
			w.say(string(end.Append(nil)))
			gate <- nil
			gate <- fails
			if fails == nil {
				gate <- nil
			}
			a := w.answer()
			require.Equal(t, end.UUID, a.UUID, "it is answered when all are written")
			if fails != nil {
				require.NotNil(t, a.Error)
				require.NotNil(t, w.ask("action close").Error, "what is not whole is not committed")
				require.Equal(t, empty().Lines(), r.site.current().Lines())
				return
			}
			require.Nil(t, a.Error)
			w.finish()
			require.Len(t, r.site.current().Files, 3)
		})
	}
}

// A stock client waits for the answer to a message, and takes it that what it answers is written.
func TestAFileOfAClientWithoutWindowIsAnsweredWhenItIsWritten(t *testing.T) {
	t.Parallel()
	gate := make(chan error)
	r := newRig(t, &site{content: empty(), wrap: func(dst transfer.Destination) transfer.Destination { return gated{dst, gate} }})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start assets")
	m := w.request("stream assets", "["+assetStart("a", 5)+","+assetChunk("a", []byte("hello"))+","+assetEnd("a", []byte("hello"))+"]")
	w.say(string(m.Append(nil)))
	gate <- errors.New("the disk is full")
	a := w.answer()
	require.Equal(t, m.UUID, a.UUID)
	require.NotNil(t, a.Error)
}

func TestFilesAreWholeInEveryFormOfTheirMessages(t *testing.T) {
	t.Parallel()
	content := empty()
	for i, size := range []int{0, 1, 64 << 10, 1<<20 - 1, 3 << 20, 3<<20 + 1, 7_654_321} {
		name := fmt.Sprintf("file_%d.bin", i)
		content.Files = append(content.Files, transfertest.File{
			Name: name, Metadata: fmt.Sprintf(`{"id":%d,"name":%q}`, i+1, name), Body: []byte(strings.Repeat(fmt.Sprint(i, "."), size)[:size]),
		})
		content.Records[transfer.StageEntities] = append(content.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":"plugin::upload.file","id":%d,"data":{"name":%q,"url":"/uploads/%s"}}`, i+1, name, name))
	}
	for name, offer := range map[string]protocol.Extensions{
		"stock": {}, "binary": {BinaryAssets: true}, "a window": {Window: 8}, "a wide window, binary": {Window: 64, BinaryAssets: true}, "all": extensions(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, &site{content: empty(), blank: true})
			there := remote.NewDestination(r.url(), r.options(offer))
			_, err := transfer.Run(t.Context(), transfertest.NewMemory(content), there, transfer.Options{})
			require.NoError(t, err)
			require.NoError(t, there.Close())
			require.Equal(t, content.Files, r.site.current().Files)
			src, back := remote.NewSource(r.url(), r.options(offer)), transfertest.NewMemory(nil)
			back.Blank = true
			_, err = transfer.Run(t.Context(), src, back, transfer.Options{})
			require.NoError(t, err)
			require.NoError(t, src.Close())
			require.Equal(t, content.Files, back.Site().Files)
		})
	}
}
