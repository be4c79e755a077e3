//go:build unix

package main_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

const bulkToken = "bulk-5d41402abc4b2a76b9719d911017c592"

// bulk is content that is made while it is sent.
type bulk struct {
	rows  int   // entities of 1 KiB, and as many links
	asset int64 // bytes of the only file, a multiple of its blocks; 0 for no file
}

const (
	blockBytes = 1 << 20 // a file is the same random block again and again
	bulkAsset  = "bulk-asset"
	bulkFile   = "bulk_0123456789.bin"
)

var bulkSchemas = json.RawMessage(`{"api::note.note":{"collectionName":"notes","info":{"singularName":"note"},"attributes":{"title":{"type":"string"},` +
	`"body":{"type":"text"},"tags":{"type":"component","component":"parts.tag","repeatable":true},"publishedAt":{"type":"datetime"},"locale":{"type":"string"},` +
	`"next":{"type":"relation","relation":"manyToOne","target":"api::note.note"}},"kind":"collectionType","modelType":"contentType","modelName":"note",` +
	`"uid":"api::note.note","globalId":"Note"},` +
	`"parts.tag":{"collectionName":"components_parts_tags","info":{"displayName":"Tag"},"attributes":{"name":{"type":"string"}},"modelType":"component",` +
	`"modelName":"tag","uid":"parts.tag","globalId":"ComponentPartsTag"},` +
	`"plugin::upload.file":{"collectionName":"files","info":{"singularName":"file"},"attributes":{"name":{"type":"string"},"hash":{"type":"string"},` +
	`"ext":{"type":"string"},"mime":{"type":"string"},"size":{"type":"decimal"},"url":{"type":"string"}},"kind":"collectionType","modelType":"contentType",` +
	`"modelName":"file","uid":"plugin::upload.file","plugin":"upload","globalId":"UploadFile"}}`)

// fileRow is the file's row, without its id.
func (b bulk) fileRow() string {
	return fmt.Sprintf(`"name":"bulk.bin","hash":"bulk_0123456789","ext":".bin","mime":"application/octet-stream","size":%d.5,"url":"/uploads/%s"`, b.asset/1000, bulkFile)
}

// entity appends one row of about 1 KiB, with two components in it.
func (b bulk) entity(dst []byte, random *rand.Rand, i int) []byte {
	dst = fmt.Appendf(dst, `{"type":"api::note.note","id":%d,"data":{"title":"Note %d","documentId":"%024x","locale":"en","publishedAt":"2026-11-21T06:46:56.444Z",`+
		`"tags":[{"id":%d,"name":"a"},{"id":%d,"name":"b"}],"body":"`, i, i, i, 2*i, 2*i+1)
	for range 50 {
		dst = fmt.Appendf(dst, "%016x ", random.Uint64())
	}
	return append(dst, `"}}`...)
}

func (b bulk) link(dst []byte, i int) []byte {
	return fmt.Appendf(dst, `{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::note.note","field":"next","ref":%d},`+
		`"right":{"type":"api::note.note","ref":%d,"pos":1}}`, i, max(i-1, 1))
}

// bulkRunner is a server that speaks just enough of the protocol. It makes what is pulled and discards what is pushed, so that what
// is measured is the client.
type bulkRunner struct {
	tb      testing.TB
	content bulk
	http    *httptest.Server
	serving sync.WaitGroup

	mu       sync.Mutex // guards what follows
	received bulk       // by pushes; rows are entities and links
	commits  int
}

func startBulk(tb testing.TB, content bulk) *bulkRunner {
	tb.Helper()
	r := &bulkRunner{tb: tb, content: content}
	r.http = httptest.NewServer(r)
	tb.Cleanup(func() {
		r.http.Close()
		r.serving.Wait()
	})
	return r
}

func (r *bulkRunner) url() string { return r.http.URL + "/admin" }

func (r *bulkRunner) from() []string { return []string{"--from", r.url(), "--from-token", bulkToken} }
func (r *bulkRunner) to() []string   { return []string{"--to", r.url(), "--to-token", bulkToken} }

// requirePushed requires that all of the content came, once, and forgets it.
func (r *bulkRunner) requirePushed(tb testing.TB) {
	tb.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	want := bulk{rows: 2 * r.content.rows, asset: r.content.asset}
	if want.asset > 0 {
		want.rows++ // of the file
	}
	require.Equal(tb, want, r.received)
	require.NotZero(tb, r.commits)
	r.received, r.commits = bulk{}, 0
}

// ServeHTTP implements http.Handler.
func (r *bulkRunner) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.Header.Get("Authorization") != "Bearer "+bulkToken {
		http.Error(w, "", http.StatusUnauthorized)
		return
	}
	r.serving.Add(1)
	defer r.serving.Done()
	upgrader := websocket.Upgrader{ReadBufferSize: 64 << 10, WriteBufferSize: 64 << 10}
	conn, err := upgrader.Upgrade(w, req, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	c := &bulkConn{bulkRunner: r, conn: conn, push: path.Base(req.URL.Path) == string(protocol.Push)}
	for {
		message, err := c.read()
		if err != nil {
			return // the client has left
		}
		if message.Request == nil {
			r.tb.Errorf("an acknowledgement of nothing: %s", message.Ack)
			return
		}
		if err := c.handle(*message.Request); err != nil {
			r.tb.Errorf("%s %s %s: %v", message.Request.Action, message.Request.Verb, message.Request.Stage, err)
			return
		}
	}
}

// bulkConn is one connection to a bulkRunner.
type bulkConn struct {
	*bulkRunner

	conn  *websocket.Conn
	push  bool
	in    bytes.Buffer // the message that is handled
	out   []byte
	chunk []byte
	items int64 // of the current stage
	frame int
}

func (c *bulkConn) read() (protocol.ClientMessage, error) {
	_, r, err := c.conn.NextReader()
	if err != nil {
		return protocol.ClientMessage{}, err
	}
	c.in.Reset()
	if _, err := c.in.ReadFrom(r); err != nil {
		return protocol.ClientMessage{}, err
	}
	return protocol.ParseClientMessage(c.in.Bytes())
}

func (c *bulkConn) send(text []byte) error {
	c.out = text[:0]
	return c.conn.WriteMessage(websocket.TextMessage, text)
}

func (c *bulkConn) answer(req protocol.Request, data string) error {
	return c.send(protocol.Response{UUID: req.UUID, Data: json.RawMessage(data)}.Append(c.out[:0]))
}

func (c *bulkConn) handle(req protocol.Request) error {
	switch {
	case req.Command == protocol.CommandInit:
		return c.answer(req, `{"transferID":"bulk","checksums":true,"assetEncoding":"base64"}`)
	case req.Type == protocol.TypeCommand:
		return c.answer(req, `{"ok":true}`)
	case req.Action == protocol.ActionGetMetadata:
		return c.answer(req, `{"createdAt":"2026-11-21T06:46:56.444Z","strapi":{"version":"5.54.0"}}`)
	case req.Action == protocol.ActionGetSchemas:
		return c.answer(req, string(bulkSchemas))
	case req.Kind == protocol.KindAction:
		if req.Action == protocol.ActionClose && c.push {
			c.mu.Lock()
			c.commits++
			c.mu.Unlock()
		}
		return c.answer(req, "null")
	case req.Verb == protocol.VerbStart && c.push:
		c.items = 0
		return c.answer(req, `{"ok":true}`)
	case req.Verb == protocol.VerbStart:
		if err := c.answer(req, fmt.Sprintf(`{"ok":true,"id":%q}`, req.Stage)); err != nil {
			return err
		}
		return c.pull(req.Stage)
	case req.Verb == protocol.VerbStream:
		if err := c.take(req); err != nil {
			return err
		}
		return c.answer(req, "null")
	default:
		return c.answer(req, fmt.Sprintf(`{"ok":true,"stats":{"started":%d,"finished":%d}}`, c.items, c.items))
	}
}

// pull sends a stage, frame by frame.
func (c *bulkConn) pull(stage protocol.Stage) error {
	var err error
	switch stage {
	case protocol.StageEntities:
		random := rand.New(rand.NewPCG(1, 2))
		err = c.rows(stage, func(dst []byte, i int) []byte { return c.content.entity(dst, random, i) })
	case protocol.StageLinks:
		err = c.rows(stage, c.content.link)
	case protocol.StageAssets:
		err = c.file()
	case protocol.StageConfiguration, protocol.StageSchemas:
	}
	if err != nil {
		return err
	}
	return c.sendFrame(protocol.Frame{Stream: string(stage), Ended: true})
}

// rows sends entities or links in frames of the length that Strapi gives them.
func (c *bulkConn) rows(stage protocol.Stage, appendRow func(dst []byte, i int) []byte) error {
	data := []byte{'['}
	if stage == protocol.StageEntities && c.content.asset > 0 {
		data = fmt.Appendf(data, `{"type":"plugin::upload.file","id":1,"data":{%s}}`, c.content.fileRow())
	}
	for i := 1; i <= c.content.rows; i++ {
		if len(data) > 1 {
			data = append(data, ',')
		}
		data = appendRow(data, i)
		if len(data) < protocol.FrameBytes {
			continue
		}
		if err := c.sendFrame(protocol.Frame{Stream: string(stage), Data: append(data, ']')}); err != nil {
			return err
		}
		data = data[:1]
	}
	return c.sendFrame(protocol.Frame{Stream: string(stage), Data: append(data, ']')})
}

// file sends the file, a block in each frame.
func (c *bulkConn) file() error {
	if c.content.asset == 0 {
		return nil
	}
	block := make([]byte, blockBytes)
	_, _ = rand.NewChaCha8([32]byte{}).Read(block)
	stream := []byte("[[")
	for at := 0; at < len(block); at += protocol.AssetChunkBytes {
		if at > 0 {
			stream = append(stream, ',')
		}
		stream = protocol.AppendAssetChunk(stream, bulkAsset, protocol.ChunkBase64, block[at:at+protocol.AssetChunkBytes])
	}
	stream = append(stream, "]]"...)

	start := protocol.AppendAssetStart([]byte("[["), protocol.AssetStart{
		ID: bulkAsset, Filename: bulkFile, Filepath: "/uploads/" + bulkFile, Size: c.content.asset,
		Metadata: json.RawMessage(`{"id":1,` + c.content.fileRow() + `}`),
	})
	if err := c.sendFrame(protocol.Frame{Stream: string(protocol.StageAssets), Data: append(start, "]]"...)}); err != nil {
		return err
	}
	sum := sha256.New()
	for range c.content.asset / blockBytes {
		sum.Write(block)
		if err := c.sendFrame(protocol.Frame{Stream: string(protocol.StageAssets), Data: stream}); err != nil {
			return err
		}
	}
	end := protocol.AppendAssetEnd([]byte("[["), bulkAsset, hex.EncodeToString(sum.Sum(nil)))
	return c.sendFrame(protocol.Frame{Stream: string(protocol.StageAssets), Data: append(end, "]]"...)})
}

// sendFrame sends a frame and waits for its acknowledgement, as Strapi does.
func (c *bulkConn) sendFrame(f protocol.Frame) error {
	c.frame++
	f.UUID = fmt.Sprintf("frame-%d", c.frame)
	if err := c.send(f.Append(c.out[:0])); err != nil {
		return err
	}
	message, err := c.read()
	if err == nil && message.Ack != f.UUID {
		err = fmt.Errorf("no acknowledgement of %s", f.UUID)
	}
	return err
}

// take counts what is pushed and lets go of it.
func (c *bulkConn) take(req protocol.Request) error {
	var got bulk
	if req.Stage == protocol.StageAssets {
		for item, err := range protocol.AssetItems(req.Data, req.Payload) {
			if err != nil {
				return err
			}
			if item.Action != protocol.AssetStreams {
				continue
			}
			if c.chunk, err = item.DecodeChunk(c.chunk[:0]); err != nil {
				return err
			}
			got.asset += int64(len(c.chunk))
		}
	}
	if req.Stage == protocol.StageEntities || req.Stage == protocol.StageLinks {
		for _, err := range protocol.Items(req.Data) {
			if err != nil {
				return err
			}
			c.items++
			got.rows++
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.received.asset += got.asset
	c.received.rows += got.rows
	return nil
}
