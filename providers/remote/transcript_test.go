package remote_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// exchange is what a client said in a recording of a real transfer, and what the server said before the client spoke again.
type exchange struct {
	message
	answers []string
}

// recording reads a transcript. Rows that were cut out of it to save space are made up again, and so is the content of files.
func recording(t *testing.T, name string) (all []*exchange) {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "transcripts", name+".jsonl"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	sums := newSummer()
	for lines.Scan() {
		var line struct {
			Dir     string          `json:"dir"`
			Kind    string          `json:"kind"`
			Frame   json.RawMessage `json:"frame"`
			Trimmed struct {
				Dropped int `json:"items_dropped"`
			} `json:"trimmed"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		switch {
		case line.Kind != "":
		case line.Dir == "s2c":
			last := all[len(all)-1]
			last.answers = append(last.answers, sums.restore(string(line.Frame)))
		default:
			e := &exchange{message: message{Raw: string(line.Frame)}}
			require.NoError(t, json.Unmarshal(line.Frame, &e.message))
			e.refill(t, line.Trimmed.Dropped)
			all = append(all, e)
		}
	}
	require.NoError(t, lines.Err())
	return all
}

// refill repeats the last item of a stream for each that was cut out.
func (e *exchange) refill(t *testing.T, dropped int) {
	t.Helper()
	if dropped == 0 {
		return
	}
	items := split(t, e.Data)
	for range dropped {
		items = append(items, items[len(items)-1])
	}
	var err error
	e.Data, err = json.Marshal(items)
	require.NoError(t, err)
}

func split(t *testing.T, data json.RawMessage) (items []json.RawMessage) {
	t.Helper()
	require.NoError(t, json.Unmarshal(data, &items))
	return items
}

// truncated is how a recording abridges the content of a file.
var truncated = regexp.MustCompile(`"[A-Za-z0-9+/]*<truncated base64: (\d+) chars>"`)

// chunkOf makes up a chunk in the place of one whose base64 had n characters, much shorter so that replaying takes no time.
func chunkOf(n int) []byte { return bytes.Repeat([]byte{0xa5}, min(n, 64)/4*3) }

// summer makes up what was abridged, so that the checksums of a recording must be made up, too.
type summer struct{ files map[string][]byte }

func newSummer() *summer { return &summer{files: make(map[string][]byte)} }

var assetItem = regexp.MustCompile(`\{"action":"(stream|end)","assetID":"([^"]+)"(,"encoding":"base64","data":"([^"]*)"|,"checksum":\{[^}]*\})?\}`)

// promised is the size of a file in a recording, which what is made up does not quite have.
var promised = regexp.MustCompile(`"stats":\{"size":\d+\}`)

func (s *summer) restore(text string) string {
	text = promised.ReplaceAllString(text, `"stats":{"size":0}`)
	text = truncated.ReplaceAllStringFunc(text, func(m string) string {
		n, _ := strconv.Atoi(truncated.FindStringSubmatch(m)[1])
		return `"` + base64.StdEncoding.EncodeToString(chunkOf(n)) + `"`
	})
	return assetItem.ReplaceAllStringFunc(text, func(m string) string {
		part := assetItem.FindStringSubmatch(m)
		if part[1] == "stream" {
			chunk, _ := base64.StdEncoding.DecodeString(part[4])
			s.files[part[2]] = append(s.files[part[2]], chunk...)
			return m
		}
		sum := sha256.Sum256(s.files[part[2]])
		return fmt.Sprintf(`{"action":"end","assetID":%q,"checksum":{"algorithm":"sha256","value":%q}}`, part[2], hex.EncodeToString(sum[:]))
	})
}

// player answers with what a real server answered. What the recorded client did not say is answered as Strapi answers it.
type player struct {
	t      *testing.T
	script []*exchange

	mu   sync.Mutex
	at   int
	said []message // what matched the script
}

func newPlayer(t *testing.T, name string) *player {
	t.Helper()
	p := &player{t: t}
	for i, e := range recording(t, name) {
		// Strapi's client asks twice; once is enough for ours.
		if n := len(p.script); i > 0 && e.Action == "getMetadata" && p.script[n-1].Action == "getMetadata" && p.script[n-1].UUID != e.UUID {
			continue
		}
		p.script = append(p.script, e)
	}
	return p
}

// hook plays one connection.
func (p *player) hook(session int) func(c *wire, m message) bool {
	return func(c *wire, m message) bool {
		if c.index != session {
			return false
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.at >= len(p.script) || p.script[p.at].String() != m.String() {
			return p.extra(c, m)
		}
		e := p.script[p.at]
		p.at++
		p.said = append(p.said, m)
		for _, text := range e.answers {
			c.send(strings.ReplaceAll(text, e.UUID, m.UUID))
		}
		if m.Command == "init" {
			c.id, c.staged, c.counts = "recorded", &transfertest.Site{}, make(map[string]int)
		}
		return true
	}
}

// extra answers what was not recorded.
func (p *player) extra(c *wire, m message) bool {
	switch m.String() {
	case "getMetadata", "getSchemas", "beforeTransfer", "rollback", "close", "end":
		c.handle(m)
	default:
		p.t.Errorf("the client says %s where the recording has %v", m, p.script[min(p.at, len(p.script)-1)])
		c.drop()
	}
	return true
}

// finished fails the test if the recorded client said more, up to a message that ours need not say.
func (p *player) finished(until string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.at < len(p.script) {
		require.Equal(p.t, until, p.script[p.at].String(), "the recorded client went on")
	}
}

// replayPush pushes what the recorded client pushed.
func replayPush(t *testing.T, p *player, opts remote.Options) (*remote.Destination, *runner, error) {
	t.Helper()
	r := newRunner(t, transfertest.Sample())
	r.hook = p.hook(0)
	dst := r.destination(opts)
	var init struct {
		Options struct {
			Restore struct {
				Entities      struct{ Exclude, Include []string }
				Assets        bool
				Configuration struct{ CoreStore bool }
			}
		}
	}
	require.NoError(t, json.Unmarshal(p.script[0].Params, &init))
	restore := init.Options.Restore
	plan := transfer.Plan{Stages: transfer.Stages(), Restore: transfer.Restore{
		Exclude: restore.Entities.Exclude, Include: restore.Entities.Include, Assets: restore.Assets, Configuration: restore.Configuration.CoreStore,
	}}
	if !plan.Restore.Assets {
		plan.Stages = []transfer.Stage{transfer.StageSchemas, transfer.StageEntities, transfer.StageLinks, transfer.StageConfiguration}
	} else if plan.Restore.Include != nil {
		plan.Restore.Include = append(plan.Restore.Include, "plugin::upload.file")
	}
	if _, err := dst.Begin(t.Context(), plan); err != nil {
		return dst, r, err
	}
	for _, stage := range transfer.Stages()[1:] {
		for _, record := range p.records(stage) {
			if err := dst.Write(t.Context(), transfer.Batch{Stage: stage, Records: []transfer.Record{record}}); err != nil {
				return dst, r, err
			}
		}
		if err := dst.Write(t.Context(), transfer.Batch{Stage: stage, Last: true}); err != nil {
			return dst, r, err
		}
	}
	return dst, r, dst.Commit(t.Context())
}

// records are what the recorded client sent of a stage.
func (p *player) records(stage transfer.Stage) (records []transfer.Record) {
	p.t.Helper()
	for _, e := range p.script {
		if e.Action != "stream" || e.Step != string(stage) {
			continue
		}
		for _, raw := range split(p.t, e.Data) {
			if stage != transfer.StageAssets {
				record, err := transfer.ParseRecord(stage, raw)
				require.NoError(p.t, err)
				records = append(records, record)
				continue
			}
			var start struct {
				Action string
				Data   struct {
					Filename, Filepath string
					Stats              struct{ Size int64 }
					Metadata           json.RawMessage
				}
			}
			_ = json.Unmarshal(raw, &start)
			if start.Action == "start" {
				a := asset(start.Data.Filename, 0, bytes.NewReader(make([]byte, start.Data.Stats.Size)))
				a.Filepath, a.Length, a.Metadata = start.Data.Filepath, start.Data.Stats.Size, start.Data.Metadata
				records = append(records, a)
			}
		}
	}
	return records
}

// flowOf is what an asset message does, item by item, with the length of each chunk; neither ids nor content.
func flowOf(t *testing.T, data json.RawMessage) (flow []string) {
	t.Helper()
	for _, raw := range split(t, data) {
		var item struct {
			Action, Encoding string
			Data             json.RawMessage
			Checksum         *struct{ Algorithm, Value string }
		}
		require.NoError(t, json.Unmarshal(raw, &item))
		text := item.Action + " " + item.Encoding
		switch item.Action {
		case "start":
			text += string(item.Data)
		case "stream":
			n := len(strings.Trim(string(item.Data), `"`))
			if abridged := strings.Contains(string(item.Data), "<truncated "); abridged { // an expression is slow to look through a mebibyte in vain
				n, _ = strconv.Atoi(truncated.FindStringSubmatch(string(item.Data))[1])
			}
			text += strconv.Itoa(n)
		case "end":
			if item.Checksum != nil {
				text += fmt.Sprintf("%s, %d digits", item.Checksum.Algorithm, len(item.Checksum.Value))
			}
		}
		flow = append(flow, text)
	}
	return flow
}

// same compares what our client said with what the recorded one said: kind, order, fields, data and where messages are cut.
func (p *player) same() {
	p.t.Helper()
	for i, m := range p.said {
		e := p.script[i]
		require.Equal(p.t, e.String(), m.String())
		require.Equal(p.t, e.Type, m.Type)
		require.Equal(p.t, e.Kind, m.Kind)
		require.Equal(p.t, fields(p.t, e.Raw), fields(p.t, m.Raw), m.String())
		if e.Command == "init" {
			sameJSON(p.t, string(e.Params), string(m.Params))
		}
		switch {
		case e.Action == "stream" && e.Step == "assets":
			require.Equal(p.t, flowOf(p.t, e.Data), flowOf(p.t, m.Data))
		case e.Action == "stream":
			require.Equal(p.t, split(p.t, e.Data), split(p.t, m.Data))
		}
	}
}

// fields are the names of a message's members in their order.
func fields(t *testing.T, text string) (names []string) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	_, err := dec.Token()
	require.NoError(t, err)
	for dec.More() {
		name, err := dec.Token()
		require.NoError(t, err)
		names = append(names, name.(string))
		var value json.RawMessage
		require.NoError(t, dec.Decode(&value))
	}
	return names
}

func TestAPushSaysWhatStrapisClientSays(t *testing.T) {
	t.Parallel()
	p := newPlayer(t, "push-cli")
	dst, _, err := replayPush(t, p, remote.Options{})
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	p.finished("")
	p.same()
	o := dst.Outcome()
	require.Equal(t, map[transfer.Stage]int64{"entities": 282, "assets": 54, "links": 338, "configuration": 41}, o.Stored)
	require.Empty(t, o.Skipped)
	require.Equal(t, transfer.StateCommitted, dst.State())
	require.Empty(t, notes(dst))
}

func TestAPushResendsAsStrapisClientDoes(t *testing.T) {
	t.Parallel()
	p := newPlayer(t, "push-cli-retry")
	var kept []*exchange
	sends := 1
	for i, e := range p.script {
		if i > 0 && e.UUID == p.script[i-1].UUID {
			sends++
			e.answers = append(p.script[i-1].answers, e.answers...)
			kept = kept[:len(kept)-1]
		}
		kept = append(kept, e)
	}
	require.Equal(t, 3, sends)
	p.script = kept
	r := newRunner(t, transfertest.Sample())
	play, held := p.hook(0), 0
	r.hook = func(c *wire, m message) bool {
		if m.Action == "getMetadata" && held == 0 {
			held++
			r.handlers.Go(func() {
				<-time.After(250 * time.Millisecond) // while the client sends again
				play(c, m)
			})
			return true
		}
		return play(c, m)
	}
	dst := r.destination(remote.Options{RetryMessageTimeout: 100 * time.Millisecond})
	_, err := dst.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages()[:2]})
	require.NoError(t, err)
	n := 0
	for _, m := range r.messages(0) {
		if m.Action == "getMetadata" {
			n++
		}
	}
	require.GreaterOrEqual(t, n, 2)
}

func TestAPushToAnOldServerSaysWhatStrapisClientSays(t *testing.T) {
	t.Parallel()
	p := newPlayer(t, "push-legacy-buffer-json")
	dst, r, err := replayPush(t, p, remote.Options{})
	require.NoError(t, err)
	require.NoError(t, dst.Close())
	require.Contains(t, r.all(0, "stream assets"), `"data":{"type":"Buffer","data":[0,0`)
	require.Contains(t, notes(dst), "5.43")
	for _, m := range r.messages(0) {
		if m.String() == "stream assets" {
			var want []string
			for _, raw := range split(t, p.asked("stream assets").Data) {
				want = append(want, strings.Join(fields(t, string(raw)), " "))
			}
			var got []string
			for _, raw := range split(t, m.Data) {
				got = append(got, strings.Join(fields(t, string(raw)), " "))
			}
			require.Equal(t, want, got)
		}
	}
}

func (p *player) asked(what string) *exchange {
	for _, e := range p.script {
		if e.String() == what {
			return e
		}
	}
	p.t.Fatalf("no %s in the recording", what)
	return nil
}

func TestAPushTakesRealRefusalsAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want error
		tail []string
	}{
		"push-terminal-protected-entity": {text: `Remote push cannot transfer protected type "admin::`, tail: []string{"stream entities"}},
		"push-auth-expires-midway":       {text: "Token expired", want: transfer.ErrAuth},
		"push-assets-unknown-file":       {text: "File ID not found for ID: 999", tail: []string{"rollback", "close", "end"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t, name)
			// The recording goes on after the error, to see what a server does with a client that does.
			for i, e := range p.script {
				if strings.Contains(strings.Join(e.answers, ""), `"error":{`) {
					p.script = p.script[:i+1]
					break
				}
			}
			switch name {
			case "push-assets-unknown-file": // entities that are started and ended with nothing in them
				p.script = append(p.script[:2], p.script[4:]...)
			case "push-terminal-protected-entity": // a message that is accepted
				p.script = append(p.script[:3], p.script[4:]...)
			case "push-auth-expires-midway": // status, which our client never asks for
				p.script = append(p.script[:2], p.script[3:]...)
			}
			dst, r, err := replayPush(t, p, remote.Options{})
			require.ErrorContains(t, err, test.text)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
			require.NoError(t, dst.Close())
			p.finished("")
			flow := r.flow(0)
			if test.tail != nil {
				require.Equal(t, test.tail, flow[len(flow)-len(test.tail):])
			}
			require.NotContains(t, strings.Join(flow[len(p.said)-1:], ","), "end entities")
		})
	}
}

// replayPull pulls from a real server's recorded answers.
func replayPull(t *testing.T, name string) (*player, *remote.Source, *runner) {
	t.Helper()
	p := newPlayer(t, name)
	r := newRunner(t, transfertest.Sample())
	r.hook = p.hook(0)
	return p, r.source(remote.Options{}), r
}

func TestAPullTakesWhatARealServerSends(t *testing.T) {
	t.Parallel()
	p, src, r := replayPull(t, "pull-cli")
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "5.54.0", d.Version)
	require.NotEmpty(t, d.Schemas)
	got := make(map[transfer.Stage]int)
	for _, stage := range transfer.Stages()[1:] {
		keys, err := read(t.Context(), src, stage)
		require.NoError(t, err)
		got[stage] = len(keys)
	}
	require.Equal(t, p.pulled(), got)
	require.Equal(t, 54, got[transfer.StageAssets])
	require.NoError(t, src.Close())
	p.finished("")
	flow := r.flow(0)
	require.Equal(t, []string{"close", "end"}, flow[len(flow)-2:])
	for i, m := range p.said {
		require.Equal(t, fields(t, p.script[i].Raw), fields(t, m.Raw), m.String())
	}
	require.Len(t, src.Skipped(), 1, "a row whose file is missing")
	require.EqualValues(t, 1, src.Skipped()[0].Count)
}

// pulled counts what the recorded server sent.
func (p *player) pulled() map[transfer.Stage]int {
	counts := make(map[transfer.Stage]int)
	var stage transfer.Stage
	for _, e := range p.script {
		if e.Action == "start" {
			stage = transfer.Stage(e.Step)
		}
		for _, text := range e.answers {
			var f struct {
				Data struct {
					Type string
					Data []json.RawMessage
				}
			}
			if json.Unmarshal([]byte(text), &f) != nil || f.Data.Type != "transfer" {
				continue
			}
			if stage == transfer.StageAssets {
				counts[stage] += strings.Count(text, `"action":"start"`)
				continue
			}
			counts[stage] += len(f.Data.Data)
		}
	}
	return counts
}

func TestAPullTakesRealFailuresAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	t.Run("a file that the server cannot read", func(t *testing.T) {
		t.Parallel()
		p, src, r := replayPull(t, "pull-flush-error")
		keys, err := read(t.Context(), src, transfer.StageAssets)
		require.ErrorIs(t, err, transfer.ErrDamaged)
		require.ErrorContains(t, err, "fetch failed")
		require.Len(t, keys, 10)
		require.NoError(t, src.Close())
		p.finished("end assets")
		require.NotContains(t, r.flow(0), "end assets")
		require.Contains(t, notes(src), "fetch failed")
	})
	t.Run("a token that expires", func(t *testing.T) {
		t.Parallel()
		_, src, _ := replayPull(t, "pull-auth-expires-midway")
		_, err := read(t.Context(), src, transfer.StageConfiguration)
		require.ErrorIs(t, err, transfer.ErrAuth)
	})
	t.Run("a connection that is lost", func(t *testing.T) {
		t.Parallel()
		p, src, r := replayPull(t, "pull-cli-connection-lost")
		play := r.hook
		r.hook = func(c *wire, m message) bool {
			done := play(c, m)
			if p.at == len(p.script) {
				c.drop()
			}
			return done
		}
		_, err := src.Describe(t.Context())
		require.NoError(t, err)
		for _, stage := range transfer.Stages()[1:] {
			if _, err = read(t.Context(), src, stage); err != nil {
				break
			}
		}
		require.ErrorIs(t, err, transfer.ErrConnection)
	})
}
