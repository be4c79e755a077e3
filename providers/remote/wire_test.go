package remote_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// wire is one connection to a runner.
type wire struct {
	*runner
	conn  *websocket.Conn
	index int
	push  bool

	id                   string // of the transfer; "" when none is open
	staged               *transfertest.Site
	sums                 bool
	files                map[string]*upload
	counts               map[string]int
	frames               []string        // of the stage being pulled, each but its uuid
	seen                 map[string]bool // uuids of requests
	answered, answerText string          // the last answer, for requests that come again
	awaiting             string          // uuid of the frame that is not acknowledged
	sequence             int
}

type upload struct {
	name     string
	metadata string
	body     []byte
}

func (c *wire) serve() {
	for {
		_, text, err := c.conn.ReadMessage()
		if err != nil {
			c.mu.Lock()
			c.closings = append(c.closings, err)
			if c.id != "" {
				c.dropped++
			}
			c.mu.Unlock()
			return
		}
		m := message{Raw: string(text)}
		if err := json.Unmarshal(text, &m); err != nil {
			c.t.Errorf("the client sent something that is not a JSON object: %.100s", text)
			return
		}
		c.mu.Lock()
		c.sessions[c.index] = append(c.sessions[c.index], m)
		c.mu.Unlock()
		if m.Type != "" && c.seen[m.UUID] {
			if c.answered == m.UUID {
				c.send(c.answerText)
			}
			continue
		}
		c.seen[m.UUID] = m.Type != ""
		if c.hook == nil || !c.hook(c, m) {
			c.handle(m)
		}
	}
}

func (c *wire) send(text string) {
	_ = c.conn.WriteMessage(websocket.TextMessage, []byte(text))
}

func (c *wire) answer(m message, data string) {
	c.answered, c.answerText = m.UUID, fmt.Sprintf(`{"uuid":%q,"data":%s,"error":null}`, m.UUID, data)
	c.send(c.answerText)
}

func (c *wire) fail(m message, text, step string) {
	details := "{}"
	if step != "" {
		details = fmt.Sprintf(`{"step":%q,"details":{}}`, step)
	}
	c.send(fmt.Sprintf(`{"uuid":%q,"data":null,"error":{"code":"Error","message":%q,"details":%s}}`, m.UUID, text, details))
}

func (c *wire) diagnose(kind, text string) {
	c.send(fmt.Sprintf(`{"diagnostic":{"kind":%q,"details":{"message":%q,"origin":"push-handler","severity":"fatal","name":"Error","createdAt":"2026-11-21T07:02:23.827Z"}},"uuid":"d"}`, kind, text))
}

// drop ends the TCP connection without a close frame.
func (c *wire) drop() { _ = c.conn.NetConn().Close() }

// handle does what Strapi does.
func (c *wire) handle(m message) {
	switch m.String() {
	case "ack":
		if m.UUID == c.awaiting {
			c.awaiting = ""
			c.next()
		}
	case "init":
		c.init(m)
	case "end":
		c.id = ""
		c.answer(m, `{"ok":true}`)
	case "getMetadata":
		c.answer(m, fmt.Sprintf(`{"createdAt":"2026-11-21T06:46:56.444Z","strapi":{"version":%q}}`, c.current().Version))
	case "getSchemas":
		c.answer(m, c.schemas())
	case "close":
		c.commit()
		c.answer(m, "null")
	case "bootstrap", "beforeTransfer":
		c.answer(m, "null")
	case "rollback":
		c.staged = nil
		c.answer(m, "null")
	default:
		c.step(m)
	}
}

func (c *wire) init(m message) {
	var params struct {
		Checksums     bool   `json:"checksums"`
		AssetEncoding string `json:"assetEncoding"`
	}
	_ = json.Unmarshal(m.Params, &params)
	c.id, c.sums, c.files, c.counts = "transfer-1", params.Checksums && !c.noChecksums, make(map[string]*upload), make(map[string]int)
	c.staged = &transfertest.Site{Records: make(map[transfer.Stage][]string)}
	result := map[string]any{"transferID": c.id}
	if !c.noChecksums {
		result["checksums"] = true
	}
	if params.AssetEncoding == "base64" && !c.noEncoding {
		result["assetEncoding"] = "base64"
	}
	if c.skips {
		result["extensions"] = map[string]any{"skips": true}
	}
	text, _ := json.Marshal(result)
	c.answer(m, string(text))
}

func (c *wire) schemas() string {
	site := c.current()
	byUID := make(map[string]json.RawMessage)
	for uid, schema := range site.Schemas(c.t) {
		byUID[uid] = schema.AppendJSON(nil)
	}
	var b strings.Builder
	b.WriteByte('{')
	for i, uid := range slices.Sorted(maps.Keys(byUID)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", uid, byUID[uid])
	}
	return b.String() + "}"
}

// commit makes the staged content the site's, unless nothing was sent.
func (c *wire) commit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.push || c.staged == nil || len(c.counts) == 0 {
		return
	}
	c.staged.Version, c.staged.CreatedAt = c.site.Version, c.site.CreatedAt
	c.staged.Records[transfer.StageSchemas] = c.site.Records[transfer.StageSchemas]
	c.site = c.staged
	c.commits++
}

func (c *wire) step(m message) {
	stage := transfer.Stage(m.Step)
	switch {
	case m.Action == "start" && c.push:
		c.counts[m.Step] = 0
		c.answer(m, `{"ok":true}`)
	case m.Action == "start":
		c.answer(m, c.pull(stage))
		c.next()
	case m.Action == "stream" && stage == transfer.StageAssets:
		if text := c.assets(m.Data); text != "" {
			c.fail(m, text, "transfer")
			return
		}
		c.answer(m, "null")
	case m.Action == "stream":
		var items []json.RawMessage
		if err := json.Unmarshal(m.Data, &items); err != nil {
			c.t.Errorf("stream %s: %v", stage, err)
		}
		for _, item := range items {
			c.staged.Records[stage] = append(c.staged.Records[stage], string(item))
		}
		c.counts[m.Step] += len(items)
		c.answer(m, "null")
	case m.Action == "end" && c.push && !c.noStats:
		n := c.counts[m.Step]
		c.answer(m, fmt.Sprintf(`{"ok":true,"stats":{"started":%d,"finished":%d}}`, n, n))
	case m.Action == "end":
		if c.frames != nil {
			c.frames = []string{`{"type":"transfer","data":null,"ended":true,"error":{"code":"ERR_STREAM_PREMATURE_CLOSE"},"id":"` + streamID(stage) + `"}`}
		}
		c.answer(m, `{"ok":true}`)
	default:
		c.t.Errorf("unexpected message %s", m)
	}
}

// assets takes asset items, and returns what is wrong with them.
func (c *wire) assets(data json.RawMessage) string {
	var items []struct {
		Action   string          `json:"action"`
		AssetID  string          `json:"assetID"`
		Encoding string          `json:"encoding"`
		Data     json.RawMessage `json:"data"`
		Checksum *struct {
			Algorithm string `json:"algorithm"`
			Value     string `json:"value"`
		} `json:"checksum"`
	}
	if err := json.Unmarshal(data, &items); err != nil {
		return err.Error()
	}
	for _, item := range items {
		file := c.files[item.AssetID]
		switch item.Action {
		case "start":
			var start struct {
				Filename string          `json:"filename"`
				Metadata json.RawMessage `json:"metadata"`
			}
			if err := json.Unmarshal(item.Data, &start); err != nil {
				return err.Error()
			}
			c.files[item.AssetID] = &upload{name: start.Filename, metadata: string(start.Metadata)}
			c.counts["assets"]++
		case "stream":
			if file == nil {
				return `No asset "` + item.AssetID + `" for stream action; send start before stream/end`
			}
			chunk, err := decodeChunk(item.Data)
			if err != nil {
				return "Invalid transfer asset stream chunk payload"
			}
			file.body = append(file.body, chunk...)
		case "end":
			sum := sha256.Sum256(file.body)
			got := hex.EncodeToString(sum[:])
			if c.sums && (item.Checksum == nil || item.Checksum.Algorithm != "sha256") {
				return `Missing checksum for asset "` + item.AssetID + `"`
			}
			if item.Checksum != nil && item.Checksum.Value != got {
				return `Checksum mismatch for asset "` + item.AssetID + `" (expected ` + item.Checksum.Value + `, got ` + got + `)`
			}
			c.staged.Files = append(c.staged.Files, transfertest.File{Name: file.name, Metadata: file.metadata, Body: file.body})
			delete(c.files, item.AssetID)
		}
	}
	return ""
}

func decodeChunk(data json.RawMessage) ([]byte, error) {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return base64.StdEncoding.DecodeString(text)
	}
	var buffer struct {
		Type string `json:"type"`
		Data []int  `json:"data"`
	}
	err := json.Unmarshal(data, &buffer)
	chunk := make([]byte, len(buffer.Data))
	for i, b := range buffer.Data {
		chunk[i] = byte(b)
	}
	return chunk, err
}

func streamID(stage transfer.Stage) string { return "stream-" + string(stage) }

// frame is the text of a frame without its uuid.
func frame(stage transfer.Stage, data string) string {
	return fmt.Sprintf(`{"type":"transfer","data":%s,"ended":false,"error":null,"id":%q}`, data, streamID(stage))
}

func lastFrame(stage transfer.Stage) string {
	return fmt.Sprintf(`{"type":"transfer","data":null,"ended":true,"error":null,"id":%q}`, streamID(stage))
}

// pull prepares the frames of a stage and returns the answer to its start.
func (c *wire) pull(stage transfer.Stage) string {
	site := c.current()
	result := fmt.Sprintf(`{"ok":true,"id":%q}`, streamID(stage))
	c.frames = []string{}
	if stage == transfer.StageAssets {
		total := 0
		for _, file := range site.Files {
			c.frames = append(c.frames, c.assetFrames(file)...)
			total += len(file.Body)
		}
		result = fmt.Sprintf(`{"ok":true,"id":%q,"totals":{"totalBytes":%d.25,"totalCount":%d}}`, streamID(stage), total, len(site.Files))
	} else {
		size := max(c.frameItems, 3)
		for items := range slices.Chunk(site.Records[stage], size) {
			c.frames = append(c.frames, frame(stage, "["+strings.Join(items, ",")+"]"))
		}
	}
	c.frames = append(c.frames, lastFrame(stage))
	return result
}

// assetFrames are the frames of one file, as Strapi cuts them.
func (c *wire) assetFrames(file transfertest.File) (frames []string) {
	id := "asset-" + file.Name
	items := []string{fmt.Sprintf(`{"action":"start","assetID":%q,"data":{"metadata":%s,"filepath":"/uploads/%s","filename":%q,"stats":{"size":%d}}}`,
		id, file.Metadata, file.Name, file.Name, len(file.Body))}
	size := 0
	for chunk := range slices.Chunk(file.Body, 64<<10) {
		items = append(items, fmt.Sprintf(`{"action":"stream","assetID":%q,"encoding":"base64","data":%q}`, id, base64.StdEncoding.EncodeToString(chunk)))
		if size += len(chunk); size >= 1<<20 {
			frames = append(frames, frame(transfer.StageAssets, "[["+strings.Join(items, ",")+"]]"))
			items, size = nil, 0
		}
	}
	end := fmt.Sprintf(`{"action":"end","assetID":%q}`, id)
	if c.sums {
		sum := sha256.Sum256(file.Body)
		end = fmt.Sprintf(`{"action":"end","assetID":%q,"checksum":{"algorithm":"sha256","value":%q}}`, id, hex.EncodeToString(sum[:]))
	}
	return append(frames, frame(transfer.StageAssets, "[["+strings.Join(append(items, end), ",")+"]]"))
}

// next sends the next frame, if the client has acknowledged the one before.
func (c *wire) next() {
	if c.awaiting != "" || len(c.frames) == 0 {
		return
	}
	c.sequence++
	c.awaiting = fmt.Sprintf("frame-%d-%d", c.index, c.sequence)
	text := c.frames[0]
	if c.frames = c.frames[1:]; len(c.frames) == 0 {
		c.frames = nil
	}
	c.send(fmt.Sprintf(`{"uuid":%q,"data":%s}`, c.awaiting, text))
}
