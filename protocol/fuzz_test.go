package protocol_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/transfer-runner/runner/protocol"
)

// addTranscripts adds the frames of one direction of some transcripts as seeds.
func addTranscripts(f *testing.F, dir string) {
	f.Helper()
	for _, name := range []string{"push-client-4.25.22", "push-order-errors", "pull-basic-and-status", "push-envelope-errors", "pull-flush-error"} {
		text, err := os.ReadFile("testdata/transcripts/" + name + ".jsonl")
		if err != nil {
			f.Fatal(err)
		}
		for text := range bytes.Lines(text) {
			var l line
			if json.Unmarshal(text, &l) == nil && l.Dir == dir && l.message() && len(l.Frame) < 2000 {
				f.Add([]byte(l.Frame))
			}
		}
	}
}

// checkVerdict compares whether a text was refused as malformed with what encoding/json and the rules on top of it say.
func checkVerdict(t *testing.T, text []byte, err error) {
	t.Helper()
	valid := json.Valid(text) && utf8.Valid(text)
	switch {
	case err == nil && !valid:
		t.Fatalf("%q was accepted", text)
	case errors.Is(err, protocol.ErrIgnored) && !valid:
		t.Fatalf("%q was taken for a message without a meaning", text)
	case valid && (errors.Is(err, protocol.ErrInvalidJSON) || errors.Is(err, protocol.ErrInvalidUTF8)):
		t.Fatalf("%q was refused: %v", text, err)
	case errors.Is(err, protocol.ErrNotObject) && valid && bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")):
		t.Fatalf("%q is an object", text)
	}
}

func FuzzServerMessage(f *testing.F) {
	addTranscripts(f, "s2c")
	f.Add([]byte(`{"uuid":"\u0000","data":{"type":"transfer","data":[1e400,"\ud83d"],"ended":"","error":{},"id":"é"}}`))
	f.Add([]byte(`{"uuid":"u","data":{"type":"transfer","type":"x"},"error":{"details":{"step":"transfer","details":{}}}}`))
	f.Add([]byte(`{"diagnostic":{"kind":"error","details":{"message":"m","error":{"a":[]},"params":1}},"uuid":"u"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := protocol.ParseServerMessage(text)
		checkVerdict(t, text, err)
		if err != nil {
			return
		}
		// What was read is written and read again, and must be the same in all that counts, content to the byte.
		var again []byte
		switch {
		case m.Response != nil:
			requireInside(t, text, m.Response.Data)
			again = m.Response.Append(nil)
		case m.Frame != nil:
			requireInside(t, text, m.Frame.Data)
			again = m.Frame.Append(nil)
		case m.Diagnostic != nil:
			again = m.Diagnostic.Append(nil)
		}
		n, err := protocol.ParseServerMessage(again)
		if m.Response != nil && m.Response.UUID == "" && m.Response.Error == nil {
			t.Fatalf("%q is a response to nothing", text)
		}
		if err != nil {
			t.Fatalf("%q was written as %q: %v", text, again, err)
		}
		var third []byte
		switch {
		case n.Response != nil && m.Response != nil:
			third = n.Response.Append(nil)
		case n.Frame != nil && m.Frame != nil && n.Frame.UUID == m.Frame.UUID && n.Frame.Stream == m.Frame.Stream:
			third = n.Frame.Append(nil)
		case n.Diagnostic != nil && m.Diagnostic != nil:
			third = n.Diagnostic.Append(nil)
		}
		if !bytes.Equal(again, third) {
			t.Fatalf("%q was written as %q and then as %q", text, again, third)
		}
	})
}

// requireInside checks that raw is a part of text and not a copy or an invention.
func requireInside(t *testing.T, text []byte, raw json.RawMessage) {
	t.Helper()
	if len(raw) > 0 && (!bytes.Contains(text, raw) || !json.Valid(raw)) {
		t.Fatalf("%q is not a part of %q", raw, text)
	}
}

func FuzzClientMessage(f *testing.F) {
	addTranscripts(f, "c2s")
	f.Add([]byte(`{"uuid":"u"}`))
	f.Add([]byte(`{"uuid":"","type":"transfer","kind":"step","action":"stream","step":"assets","data":null,"transferID":5}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := protocol.ParseClientMessage(text)
		checkVerdict(t, text, err)
		if err != nil {
			return
		}
		if m.Request == nil {
			n, err := protocol.ParseClientMessage(protocol.AppendAck(nil, m.Ack))
			if err != nil || n.Ack != m.Ack || m.Ack == "" {
				t.Fatalf("%q was read as the acknowledgement of %q, then of %q: %v", text, m.Ack, n.Ack, err)
			}
			return
		}
		requireInside(t, text, m.Request.Data)
		requireInside(t, text, m.Request.Params)
		again := m.Request.Append(nil)
		n, err := protocol.ParseClientMessage(again)
		if err != nil || n.Request == nil {
			t.Fatalf("%q was written as %q: %v", text, again, err)
		}
		if third := n.Request.Append(nil); !bytes.Equal(again, third) {
			t.Fatalf("%q was written as %q and then as %q", text, again, third)
		}
	})
}

func FuzzItems(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `[]`, `[1, 2,{"a":[]},"\ud83d",1e400,9007199254740993]`, `{"a":1}`, `[1,]`, `[1] 2`, `[[1],[2]]`, ` [ "é" , null ] `, "[\"\xff\"]",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var items []json.RawMessage
		var failed error
		for item, err := range protocol.Items(data) {
			if failed != nil {
				t.Fatal("an item after an error")
			}
			if failed = err; err == nil {
				items = append(items, item)
			}
		}
		trimmed := bytes.TrimLeft(data, " \t\r\n")
		if len(trimmed) > 0 {
			checkVerdict(t, data, failed)
		}
		if failed != nil || !bytes.HasPrefix(trimmed, []byte("[")) {
			return
		}
		var want []json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		if len(want) != len(items) {
			t.Fatalf("%d items, not %d, in %q", len(items), len(want), data)
		}
		for i := range want {
			if !bytes.Equal(want[i], items[i]) {
				t.Fatalf("item %d of %q is %q, not %q", i, data, items[i], want[i])
			}
		}
	})
}

func FuzzAssetItems(f *testing.F) {
	for _, seed := range []string{
		`[[{"action":"start","assetID":"a","data":{"filename":"f","filepath":"p","stats":{"size":1},"metadata":{}}}]]`,
		`[{"action":"stream","assetID":"a","encoding":"base64","data":"aGVsbG8="},{"action":"end","assetID":"a"}]`,
		`[{"action":"stream","assetID":"a","data":{"type":"Buffer","data":[1,2,255]}}]`, `{"action":"stream","assetID":"a","data":"\/\/\/\/"}`,
		`[{"action":"end","assetID":"é","checksum":{"algorithm":"sha256","value":"00"}}]`, `null`, `[[[]]]`, `[5]`,
		`[{"action":"keep","assetID":"a","data":{"filename":"f.png","filepath":"/uploads/f.png","stats":{"size":7},"metadata":{"id":1}}}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var failed error
		for item, err := range protocol.AssetItems(data, nil) {
			if failed != nil {
				t.Fatal("an item after an error")
			}
			if failed = err; err == nil {
				checkAsset(t, item)
			}
		}
		if len(bytes.TrimLeft(data, " \t\r\n")) > 0 {
			checkVerdict(t, data, failed)
		}
	})
}

// checkAsset writes an item and reads it again.
func checkAsset(t *testing.T, item protocol.AssetItem) {
	t.Helper()
	var text []byte
	switch item.Action {
	case protocol.AssetStarts:
		text = protocol.AppendAssetStart(nil, *item.Start)
	case protocol.AssetKeeps:
		text = protocol.AppendAssetKeep(nil, *item.Start)
	case protocol.AssetStreams:
		chunk, err := item.DecodeChunk([]byte("x"))
		if err != nil {
			if !errors.Is(err, protocol.ErrInvalidChunk) || string(chunk) != "x" {
				t.Fatalf("%q: %v", chunk, err)
			}
			return
		}
		text = protocol.AppendAssetChunk(nil, item.AssetID, item.Encoding(), chunk[1:])
	case protocol.AssetEnds:
		sum := ""
		if item.Checksum != nil {
			sum = item.Checksum.Value
		}
		text = protocol.AppendAssetEnd(nil, item.AssetID, sum)
	default:
		t.Fatalf("an item of action %q", item.Action)
	}
	again, err := protocol.ParseAssetItem(text)
	if err != nil || again.Action != item.Action || again.AssetID != item.AssetID {
		t.Fatalf("%q: %v", text, err)
	}
	if item.Start != nil && (again.Start.Filename != item.Start.Filename || again.Start.Size != max(item.Start.Size, 0)) {
		t.Fatalf("%+v was read back as %+v", *item.Start, *again.Start)
	}
}

// FuzzChunks encodes bytes in both ways and compares base64 text with what the standard library makes of it.
func FuzzChunks(f *testing.F) {
	f.Add([]byte("hello"), "aGVsbG8=")
	f.Add([]byte{}, "")
	f.Add(bytes.Repeat([]byte{0, 255, 9, 10, 99, 100}, 100), "AA\n==")
	f.Fuzz(func(t *testing.T, chunk []byte, text string) {
		for _, enc := range []protocol.ChunkEncoding{protocol.ChunkBase64, protocol.ChunkBuffer} {
			item, err := protocol.ParseAssetItem(protocol.AppendAssetChunk(nil, "a", enc, chunk))
			if err != nil || item.Encoding() != enc {
				t.Fatal(err)
			}
			if got, err := item.DecodeChunk(nil); err != nil || !bytes.Equal(got, chunk) {
				t.Fatalf("%q became %q: %v", chunk, got, err)
			}
		}
		if !utf8.ValidString(text) {
			return
		}
		quoted, err := json.Marshal(map[string]string{"action": "stream", "assetID": "a", "data": text})
		if err != nil {
			t.Fatal(err)
		}
		item, err := protocol.ParseAssetItem(quoted)
		if err != nil {
			t.Fatal(err)
		}
		want, bad := base64.StdEncoding.DecodeString(text)
		got, err := item.DecodeChunk(nil)
		if (bad == nil) != (err == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%q: %q, %v, not %q, %v", text, got, err, want, bad)
		}
	})
}

// FuzzStart reads answers to the start of a stage, and what was read once more.
func FuzzStart(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{"ok":true}`, `{"ok":true,"id":"s","totals":{"totalBytes":1.5,"totalCount":3}}`,
		`{"ok":true,"known":{"a.png":7,"\u00e9<&>":0,"b":-1,"c":"7","a.png":9}}`, `{"known":[["a",1]]}`, `{"known":{"\ud800":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := protocol.ParseStartResult(text)
		if err != nil {
			return
		}
		bytes := 0
		for name, size := range r.Known {
			if bytes += len(name); size < 0 || !utf8.ValidString(name) {
				t.Fatalf("%q has %d bytes", name, size)
			}
		}
		if len(r.Known) > protocol.MaxKnownAssets || bytes > protocol.MaxKnownText {
			t.Fatalf("%d names of %d bytes", len(r.Known), bytes)
		}
		again, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := protocol.ParseStartResult(again)
		if err != nil || !maps.Equal(n.Known, r.Known) || n.ID != r.ID || n.OK != r.OK {
			t.Fatalf("%q was read as %+v, and then as %+v: %v", text, r, n, err)
		}
	})
}

// FuzzFlow walks at random. Whatever a client may send, both kinds of servers take; a client never does what hangs a server.
func FuzzFlow(f *testing.F) {
	words := strings.Split("init, end, badend, status, bootstrap, getMetadata, getSchemas, beforeTransfer, rollback, close, jump, destroy, "+
		"start entities, stream entities, end entities, start assets, stream assets, end assets, start links, stream links, end links, "+
		"start configuration, stream configuration, end configuration, start schemas, end moon", ", ")
	seed := func(text string) (walked []byte) {
		for word := range strings.SplitSeq(text, ", ") {
			for i := range words {
				if words[i] == word {
					walked = append(walked, byte(i))
				}
			}
		}
		return walked
	}
	f.Add(seed(wholePush), false)
	f.Add(seed("init, bootstrap, start entities, rollback, close, end, init"), false)
	f.Add(seed("init, bootstrap, start links, end links, close, end"), true)
	f.Fuzz(func(t *testing.T, walked []byte, pull bool) {
		direction := protocol.Push
		if pull {
			direction = protocol.Pull
		}
		client := protocol.Flow{Rules: protocol.RulesClient, Direction: direction}
		strapi := protocol.Flow{Rules: protocol.RulesStrapi, Direction: direction}
		server := protocol.Flow{Rules: protocol.RulesServer, Direction: direction}
		var sent []string
		for _, i := range walked {
			word := words[int(i)%len(words)]
			before := client
			if err := client.Advance(request(word)); err != nil {
				if client != before {
					t.Fatalf("the refusal of %s after %v changed the state", word, sent)
				}
				continue
			}
			if sent = append(sent, word); word == "init" {
				client.TransferID = "t"
			}
			for _, f := range []*protocol.Flow{&strapi, &server} {
				if err := f.Advance(request(word)); err != nil {
					t.Fatalf("%v: %v", sent, err)
				}
				if word == "init" {
					f.TransferID = "t"
				}
			}
			if client.Open() != server.Open() || client.Active() != strapi.Active() || client.Closed() != server.Closed() {
				t.Fatalf("%v: the two sides do not agree", sent)
			}
		}
		if !pull {
			checkSent(t, sent)
		}
	})
}

// checkSent checks what a client may never do, in its own words.
func checkSent(t *testing.T, sent []string) {
	t.Helper()
	rollbacks, closed, open, ended := 0, false, "", map[string]bool{}
	for _, word := range sent {
		verb, stage, isStep := strings.Cut(word, " ")
		switch {
		case word == "init":
			rollbacks, closed, open, ended = 0, false, "", map[string]bool{}
		case word == "rollback":
			rollbacks++
			open = ""
		case word == "close":
			if open != "" {
				t.Fatalf("%v: closed while %s was open", sent, open)
			}
			closed = true
		case word == "end" && !closed && rollbacks == 0 && len(ended) > 0:
			t.Fatalf("%v: end without close", sent)
		case isStep && verb == "start":
			if open != "" || ended[stage] {
				t.Fatalf("%v: a stage in or after another", sent)
			}
			open, ended[stage] = stage, true
		case isStep && open != stage:
			t.Fatalf("%v: %s out of its stage", sent, word)
		case isStep && verb == "end":
			open = ""
		}
		if rollbacks > 1 || closed && (isStep || word == "rollback") {
			t.Fatalf("%v: %s must not come", sent, word)
		}
	}
}
