package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

// binaryItems are two files in one message: "hello" in two chunks, and an empty one.
func binaryItems() (data json.RawMessage, payload []byte) {
	data = append(data, '[')
	data = protocol.AppendAssetStart(data, protocol.AssetStart{ID: "a", Filename: "hello.txt", Size: 5})
	data = protocol.AppendBinaryChunk(append(data, ','), "a", 3)
	data = protocol.AppendBinaryChunk(append(data, ','), "a", 0)
	data = protocol.AppendBinaryChunk(append(data, ','), "a", 2)
	data = protocol.AppendAssetEnd(append(data, ','), "a", "")
	return append(data, ']'), []byte("hello")
}

func binaryRequest() protocol.Request {
	data, payload := binaryItems()
	return protocol.Request{
		UUID: "u", Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: protocol.VerbStream, Stage: protocol.StageAssets,
		TransferID: "t", Seq: 7, Data: data, Payload: payload,
	}
}

// chunks puts together what the items of a message carry.
func chunks(data json.RawMessage, payload []byte) (body []byte, err error) {
	for item, err := range protocol.AssetItems(data, payload) {
		if err != nil {
			return body, err
		}
		if item.Action != protocol.AssetStreams {
			continue
		}
		chunk, err := item.Bytes(nil)
		if err != nil {
			return body, err
		}
		body = append(body, chunk...)
	}
	return body, nil
}

func TestBinaryMessages(t *testing.T) {
	t.Parallel()
	request := binaryRequest()
	message := request.Append([]byte("before "))[len("before "):]
	require.True(t, protocol.IsBinary(message))
	sealed, err := protocol.CheckSeal(message)
	require.NoError(t, err)
	require.True(t, sealed)
	require.Equal(t, message, protocol.AppendSealed(nil, message), "it needs no second seal")
	back, err := protocol.ParseClientMessage(message)
	require.NoError(t, err)
	require.Equal(t, request, *back.Request)
	body, err := chunks(back.Request.Data, back.Request.Payload)
	require.NoError(t, err)
	require.Equal(t, "hello", string(body))
	for item, err := range protocol.AssetItems(back.Request.Data, back.Request.Payload) {
		require.NoError(t, err)
		if item.Action == protocol.AssetStreams {
			require.Equal(t, protocol.ChunkBinary, item.Encoding())
			decoded, err := item.DecodeChunk([]byte("x"))
			require.NoError(t, err)
			require.Equal(t, byte('x'), decoded[0])
		}
	}

	data, payload := binaryItems()
	frame := protocol.Frame{UUID: "f", Stream: "s", Data: append(append(json.RawMessage{'['}, data...), ']'), Payload: payload}
	message = frame.Append(nil)
	got, err := protocol.ParseServerMessage(message)
	require.NoError(t, err)
	require.Equal(t, payload, got.Frame.Payload)
	body, err = chunks(got.Frame.Data, got.Frame.Payload)
	require.NoError(t, err)
	require.Equal(t, "hello", string(body))

	frame.Payload = nil
	text := frame.Append(nil)
	head, tail := protocol.BinaryParts(text, payload)
	require.Equal(t, message, slices.Concat(head[:], text, payload, tail[:]), "in parts it is the same")
}

func TestEveryChangedBitOfABinaryMessageIsNoticed(t *testing.T) {
	t.Parallel()
	message := binaryRequest().Append(nil)
	for i := range message {
		for bit := range 8 {
			changed := bytes.Clone(message)
			changed[i] ^= 1 << bit
			sealed, err := protocol.CheckSeal(changed)
			if i == 0 {
				require.False(t, sealed, "it is no such message any more")
				continue
			}
			require.ErrorIs(t, err, protocol.ErrChanged, "byte %d", i)
		}
		_, err := protocol.CheckSeal(message[:i])
		require.True(t, i == 0 || errors.Is(err, protocol.ErrChanged), "cut at byte %d", i)
	}
}

func TestBinaryMessagesThatAreNone(t *testing.T) {
	t.Parallel()
	request := binaryRequest()
	whole := request.Append(nil)
	long := bytes.Clone(whole)
	long[1] = 0xff
	other := request
	other.Verb = protocol.VerbEnd
	action := protocol.Request{UUID: "u", Type: protocol.TypeTransfer, Kind: protocol.KindAction, Action: protocol.ActionBootstrap, Payload: []byte("x")}
	for name, message := range map[string][]byte{
		"nothing more":                 {0},
		"cut in its head":              whole[:8],
		"a text longer than it":        long,
		"an end with bytes":            other.Append(nil),
		"an action with bytes":         action.Append(nil),
		"a text that is none":          {0, 0, 0, 0, 1, '{', 0, 0, 0, 0},
		"a server's message of a kind": protocol.Frame{UUID: "x", Stream: "s", Payload: []byte("y")}.Append(nil),
	} {
		_, err := protocol.ParseClientMessage(message)
		require.Error(t, err, name)
	}
	for name, message := range map[string][]byte{"nothing more": {0}, "a client's message": whole, "a text longer than it": long} {
		_, err := protocol.ParseServerMessage(message)
		require.Error(t, err, name)
	}
	for name, test := range map[string]struct {
		data, payload string
		want          error
	}{
		"more than there is":    {data: `[{"action":"stream","assetID":"a","encoding":"binary","data":6}]`, payload: "hello", want: protocol.ErrInvalidChunk},
		"less than nothing":     {data: `[{"action":"stream","assetID":"a","encoding":"binary","data":-1}]`, payload: "hello", want: protocol.ErrInvalidChunk},
		"no number":             {data: `[{"action":"stream","assetID":"a","encoding":"binary","data":"aGVsbG8="}]`, payload: "hello", want: protocol.ErrInvalidChunk},
		"nothing":               {data: `[{"action":"stream","assetID":"a","encoding":"binary"}]`, payload: "hello", want: protocol.ErrInvalidChunk},
		"bytes of nobody":       {data: `[{"action":"stream","assetID":"a","encoding":"binary","data":4}]`, payload: "hello", want: protocol.ErrInvalidBinary},
		"bytes without an item": {data: `[]`, payload: "hello", want: protocol.ErrInvalidBinary},
		"an item without bytes": {data: `[{"action":"stream","assetID":"a","encoding":"binary","data":5}]`, want: protocol.ErrInvalidChunk},
		"none of none":          {data: `[{"action":"stream","assetID":"a","encoding":"binary","data":0}]`, want: protocol.ErrInvalidChunk},
	} {
		var payload []byte
		if test.payload != "" {
			payload = []byte(test.payload)
		}
		_, err := chunks(json.RawMessage(test.data), payload)
		require.ErrorIs(t, err, test.want, name)
	}
	mixed, err := chunks(json.RawMessage(`[{"action":"stream","assetID":"a","encoding":"base64","data":"aGVs"},{"action":"stream","assetID":"a","encoding":"binary","data":2}]`), []byte("lo"))
	require.NoError(t, err)
	require.Equal(t, "hello", string(mixed))
}

// FuzzBinaryMessage looks for messages that are read in another way than they were written, or that make a reader fail.
func FuzzBinaryMessage(f *testing.F) {
	f.Add(binaryRequest().Append(nil))
	data, payload := binaryItems()
	f.Add(protocol.Frame{UUID: "f", Stream: "s", Data: data, Payload: payload}.Append(nil))
	f.Add([]byte{0, 0, 0, 0, 2, '{', '}', 0, 0, 0, 0})
	f.Add([]byte{0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, message []byte) {
		if !protocol.IsBinary(message) {
			return
		}
		if m, err := protocol.ParseClientMessage(message); err == nil {
			require.NotNil(t, m.Request)
			require.NotNil(t, m.Request.Payload)
			again, err := protocol.ParseClientMessage(m.Request.Append(nil))
			require.NoError(t, err)
			require.Equal(t, m.Request.Payload, again.Request.Payload)
			require.Equal(t, m.Request.UUID, again.Request.UUID)
			if body, err := chunks(m.Request.Data, m.Request.Payload); err == nil {
				require.GreaterOrEqual(t, len(body), len(m.Request.Payload))
			}
		}
		if m, err := protocol.ParseServerMessage(message); err == nil {
			require.NotNil(t, m.Frame)
			again, err := protocol.ParseServerMessage(m.Frame.Append(nil))
			require.NoError(t, err)
			require.Equal(t, m.Frame.Payload, again.Frame.Payload)
		}
	})
}
