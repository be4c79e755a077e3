package protocol_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

func TestAssetItemsAreWrittenAsStrapiDoes(t *testing.T) {
	t.Parallel()
	start := protocol.AssetStart{
		ID: "a", Filename: "é\".jpg", Filepath: "/x/é.jpg", Size: 7, Metadata: json.RawMessage(`{"id":1,"size":4.20}`),
	}
	require.Equal(t, `{"action":"start","assetID":"a","data":{"filename":"é\".jpg","filepath":"/x/é.jpg","stats":{"size":7},`+
		`"metadata":{"id":1,"size":4.20}}}`, string(protocol.AppendAssetStart(nil, start)))
	require.Equal(t, `{"action":"stream","assetID":"a","encoding":"base64","data":"AP+A"}`,
		string(protocol.AppendAssetChunk(nil, "a", protocol.ChunkBase64, []byte{0, 255, 128})))
	require.Equal(t, `{"action":"stream","assetID":"a","data":{"type":"Buffer","data":[0,255,128]}}`,
		string(protocol.AppendAssetChunk(nil, "a", protocol.ChunkBuffer, []byte{0, 255, 128})))
	require.Equal(t, `{"action":"end","assetID":"a","checksum":{"algorithm":"sha256","value":"00ff"}}`,
		string(protocol.AppendAssetEnd(nil, "a", "00ff")))
	require.Equal(t, `{"action":"end","assetID":"a"}`, string(protocol.AppendAssetEnd(nil, "a", "")))

	require.Equal(t, `{"action":"start","assetID":"a","data":{"filename":"f","filepath":"","stats":{"size":0},"metadata":{}}}`,
		string(protocol.AppendAssetStart(nil, protocol.AssetStart{ID: "a", Filename: "f", Size: -1})))

	item, err := protocol.ParseAssetItem(protocol.AppendAssetStart(nil, start))
	require.NoError(t, err)
	require.Equal(t, &start, item.Start)
}

func TestAssetStartsWithLess(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		data string
		want protocol.AssetStart
	}{
		"nothing":            {`{}`, protocol.AssetStart{ID: "a", Size: -1}},
		"stats without size": {`{"stats":{}}`, protocol.AssetStart{ID: "a", Size: -1}},
		"a size of a text":   {`{"stats":{"size":"9"}}`, protocol.AssetStart{ID: "a", Size: -1}},
		"a size below zero":  {`{"stats":{"size":-9}}`, protocol.AssetStart{ID: "a", Size: -1}},
		"a size beyond all":  {`{"stats":{"size":1e300}}`, protocol.AssetStart{ID: "a", Size: -1}},
		"a fraction":         {`{"stats":{"size":9.7}}`, protocol.AssetStart{ID: "a", Size: 9}},
		"the order of pull": {
			`{"metadata":{"a":1},"filepath":"p","filename":"f","stats":{"size":2}}`,
			protocol.AssetStart{ID: "a", Filename: "f", Filepath: "p", Size: 2, Metadata: json.RawMessage(`{"a":1}`)},
		},
	}
	for name, test := range tests {
		item, err := protocol.ParseAssetItem(json.RawMessage(`{"action":"start","assetID":"a","data":` + test.data + `}`))
		require.NoError(t, err, name)
		require.Equal(t, test.want, *item.Start, name)
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 7000)
	tests := map[string]struct{ item, want string }{
		"base64":                         {`"encoding":"base64","data":"aGVsbG8="`, "hello"},
		"base64 that is not said to be":  {`"data":"aGVsbG8="`, "hello"},
		"base64 with escaped slashes":    {`"data":"\/\/\/\/"`, "\xff\xff\xff"},
		"base64 with other escapes":      {`"data":"aGVsbG8\u003d"`, "hello"},
		"no bytes":                       {`"encoding":"base64","data":""`, ""},
		"a long chunk":                   {`"data":"` + base64.StdEncoding.EncodeToString([]byte(long)) + `"`, long},
		"a Buffer":                       {`"data":{"type":"Buffer","data":[104,101,0,255]}`, "he\x00\xff"},
		"a Buffer in another order":      {`"data":{ "data" : [ 104 , 101 ] , "type" : "Buffer" }`, "he"},
		"an empty Buffer":                {`"data":{"type":"Buffer","data":[]}`, ""},
		"a Buffer that says it's base64": {`"encoding":"base64","data":{"type":"Buffer","data":[104]}`, "h"},
	}
	for name, test := range tests {
		item, err := protocol.ParseAssetItem(json.RawMessage(`{"action":"stream","assetID":"a",` + test.item + `}`))
		require.NoError(t, err, name)
		got, err := item.DecodeChunk([]byte("before "))
		require.NoError(t, err, name)
		require.Equal(t, "before "+test.want, string(got), name)
	}
}

func TestChunksThatAreNone(t *testing.T) {
	t.Parallel()
	for _, item := range []string{
		`"x":1`, `"data":null`, `"data":17`, `"data":true`, `"data":[104]`, `"data":{}`, `"data":{"x":1}`, `"data":{"type":"Buffer"}`,
		`"data":{"type":"Buffer","data":"aGVsbG8="}`, `"data":{"type":"Other","data":[1]}`, `"data":{"type":"Buffer","data":[256]}`,
		`"data":{"type":"Buffer","data":[-1]}`, `"data":{"type":"Buffer","data":[1.5]}`, `"data":{"type":"Buffer","data":[1e1]}`,
		`"data":{"type":"Buffer","data":[null]}`, `"data":{"type":"Buffer","data":["1"]}`, `"data":{"type":"Buffer","data":[[1]]}`,
		`"data":{"type":"Buffer","data":[9999]}`, `"data":{"type":"Buffer","data":[99999999999999999999]}`,
		`"data":"aGVsbG8"`, `"data":"aGVs*G8="`, `"data":"="`, `"data":"aGVsbG8=aGVs"`, `"data":"aGVsbG8=\u0000"`,
	} {
		parsed, err := protocol.ParseAssetItem(json.RawMessage(`{"action":"stream","assetID":"a",` + item + `}`))
		require.NoError(t, err, item)
		got, err := parsed.DecodeChunk([]byte("before"))
		require.ErrorIs(t, err, protocol.ErrInvalidChunk, item)
		require.ErrorContains(t, err, "Invalid transfer asset stream chunk payload")
		require.Equal(t, "before", string(got), item)
	}
	start, err := protocol.ParseAssetItem(json.RawMessage(`{"action":"start","assetID":"a","data":{}}`))
	require.NoError(t, err)
	_, err = start.DecodeChunk(nil)
	require.ErrorIs(t, err, protocol.ErrInvalidChunk)
}

func TestAssetItemsThatAreNone(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want error
	}{
		"no object":              {`"x"`, protocol.ErrInvalidAsset},
		"no asset":               {`{"action":"end"}`, protocol.ErrInvalidAsset},
		"an asset id of number":  {`{"action":"end","assetID":5}`, protocol.ErrInvalidAsset},
		"no action":              {`{"assetID":"a"}`, protocol.ErrInvalidAsset},
		"an unknown action":      {`{"action":"pause","assetID":"a"}`, protocol.ErrInvalidAsset},
		"a start without data":   {`{"action":"start","assetID":"a"}`, protocol.ErrInvalidAsset},
		"a checksum of a text":   {`{"action":"end","assetID":"a","checksum":"00"}`, protocol.ErrInvalidAsset},
		"an action twice":        {`{"action":"end","action":"stream","assetID":"a"}`, protocol.ErrDuplicateMember},
		"data twice":             {`{"action":"stream","assetID":"a","data":"","data":"AA=="}`, protocol.ErrDuplicateMember},
		"an id that is a book":   {`{"action":"end","assetID":"` + strings.Repeat("a", 2000) + `"}`, protocol.ErrTooLarge},
		"a name that is a book":  {`{"action":"start","assetID":"a","data":{"filename":"` + strings.Repeat("a", 70_000) + `"}}`, protocol.ErrTooLarge},
		"text behind the item":   {`{"action":"end","assetID":"a"} 1`, protocol.ErrInvalidJSON},
		"a list where one is":    {`[{"action":"end","assetID":"a"}]`, protocol.ErrInvalidAsset},
		"bad JSON in its middle": {`{"action":"end","assetID":"a","x":[1,}`, protocol.ErrInvalidJSON},
	}
	for name, test := range tests {
		_, err := protocol.ParseAssetItem(json.RawMessage(test.text))
		require.ErrorIs(t, err, test.want, name)
		require.ErrorIs(t, err, protocol.ErrMalformed, name)
	}
}

func TestAssetItemsOfBothDirections(t *testing.T) {
	t.Parallel()
	const a, b = `{"action":"end","assetID":"a"}`, `{"action":"end","assetID":"b"}`
	tests := map[string]struct {
		data string
		want string
		err  error
	}{
		"as clients send them": {`[` + a + `,` + b + `]`, "ab", nil},
		"as servers send them": {`[[` + a + `,` + b + `]]`, "ab", nil},
		"several lists":        {`[[` + a + `],[],[` + b + `]]`, "ab", nil},
		"mixed":                {`[` + a + `,[` + b + `]]`, "ab", nil},
		"a single item":        {a, "a", nil},
		"an empty list":        {`[]`, "", nil},
		"null":                 {`null`, "", nil},
		"nothing":              {``, "", nil},
		"a list too deep":      {`[[[` + a + `]]]`, "", protocol.ErrInvalidAsset},
		"an item that is none": {`[` + a + `,5,` + b + `]`, "a", protocol.ErrInvalidAsset},
		"a list that is cut":   {`[[` + a, "a", protocol.ErrInvalidJSON},
	}
	for name, test := range tests {
		got, last := "", error(nil)
		for item, err := range protocol.AssetItems(json.RawMessage(test.data), nil) {
			require.NoError(t, last, name)
			if last = err; err == nil {
				got += item.AssetID
			}
		}
		require.Equal(t, test.want, got, name)
		require.ErrorIs(t, last, test.err, name)
	}
	for _, err := range protocol.AssetItems(json.RawMessage(`[`+a+`,bad`), nil) {
		require.NoError(t, err)
		break // looks no further
	}
}
