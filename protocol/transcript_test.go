package protocol_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

// line is a line of a transcript: something that a real client or a real server sent.
type line struct {
	Dir    string          `json:"dir"`
	Kind   string          `json:"kind"`
	Opcode string          `json:"opcode"`
	Note   string          `json:"note"`
	Frame  json.RawMessage `json:"frame"`
}

func (l line) message() bool {
	return l.Kind == "" && bytes.HasPrefix(l.Frame, []byte("{")) && l.raw() == ""
}

// raw is the text of a message that was not JSON.
func (l line) raw() string {
	var f struct {
		Raw string `json:"raw"`
	}
	if json.Unmarshal(l.Frame, &f) != nil {
		return ""
	}
	return f.Raw
}

func transcripts(t *testing.T) map[string][]line {
	t.Helper()
	files, err := filepath.Glob("testdata/transcripts/*.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string][]line{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		for lines.Scan() {
			var l line
			require.NoError(t, json.Unmarshal(lines.Bytes(), &l))
			all[name] = append(all[name], l)
		}
	}
	return all
}

func TestTranscriptsOfClients(t *testing.T) {
	t.Parallel()
	requests, acks, ignored := 0, 0, 0
	for name, lines := range transcripts(t) {
		for _, l := range lines {
			if l.Dir != "c2s" || !l.message() {
				continue
			}
			m, err := protocol.ParseClientMessage(l.Frame)
			switch {
			case errors.Is(err, protocol.ErrIgnored):
				require.Equal(t, "push-envelope-errors", name, "%s", l.Frame)
				ignored++
			case err != nil:
				t.Errorf("%s: %s: %v", name, l.Frame, err)
			case m.Request == nil:
				requireKnown(t, l.Frame, protocol.AppendAck(nil, m.Ack))
				acks++
			case recordedFromStock(name):
				require.Equal(t, string(l.Frame), string(m.Request.Append(nil)), name)
				requests++
			default:
				if name != "push-envelope-errors" {
					requireKnown(t, l.Frame, m.Request.Append(nil))
				}
				requests++
			}
			if err == nil && m.Request != nil {
				checkParams(t, name, *m.Request)
				checkItems(t, name, m.Request.Stage, m.Request.Data)
			}
		}
	}
	require.Greater(t, requests, 250)
	require.Greater(t, acks, 30)
	require.Equal(t, 3, ignored)
}

// recordedFromStock reports whether the client of the transcript was Strapi's own, so that our text must be the same to the byte.
func recordedFromStock(name string) bool {
	return strings.Contains(name, "-cli") || strings.HasPrefix(name, "push-client") || name == "push-legacy-buffer-json"
}

// requireKnown compares the members of a request that mean something; the recordings were made with others too.
func requireKnown(t *testing.T, want, got json.RawMessage) {
	t.Helper()
	var w, g map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(want, &w))
	require.NoError(t, json.Unmarshal(got, &g))
	for name, value := range g {
		if in, ok := w[name]; ok {
			require.JSONEq(t, string(in), string(value), "%s in %s", name, want)
		}
	}
}

// checkParams decodes the params of commands and encodes them again.
func checkParams(t *testing.T, name string, r protocol.Request) {
	t.Helper()
	if r.Type != protocol.TypeCommand || !recordedFromStock(name) {
		return
	}
	switch r.Command {
	case protocol.CommandInit:
		p, err := protocol.ParseInitParams(r.Params)
		require.NoError(t, err)
		text, err := p.Append(nil)
		require.NoError(t, err)
		require.Equal(t, string(r.Params), string(text), name)
	case protocol.CommandEnd:
		require.Equal(t, string(r.Params), string(protocol.ParseEndParams(r.Params).Append(nil)), name)
	case protocol.CommandStatus:
	}
}

// checkItems splits data and, for assets, decodes each item and encodes it again.
func checkItems(t *testing.T, name string, stage protocol.Stage, data json.RawMessage) {
	t.Helper()
	if !recordedFromStock(name) || data == nil {
		return
	}
	var items []json.RawMessage
	for item, err := range protocol.Items(data) {
		require.NoError(t, err)
		items = append(items, item)
	}
	if string(data) == "null" {
		require.Empty(t, items)
		return
	}
	require.Equal(t, string(data), string(protocol.AppendItems(nil, items...)))
	if stage != protocol.StageAssets {
		return
	}
	var texts []json.RawMessage
	for item, err := range protocol.AssetItems(data, nil) {
		require.NoError(t, err, "%s: %s", name, data)
		texts = append(texts, appendAsset(t, item))
	}
	if got := protocol.AppendItems(nil, texts...); bytes.HasPrefix(data, []byte("[[")) {
		require.JSONEq(t, string(data), "["+string(got)+"]", name)
	} else {
		require.JSONEq(t, string(data), string(got), name)
	}
}

func appendAsset(t *testing.T, item protocol.AssetItem) json.RawMessage {
	t.Helper()
	switch item.Action {
	case protocol.AssetStarts:
		return protocol.AppendAssetStart(nil, *item.Start)
	case protocol.AssetKeeps:
		return protocol.AppendAssetKeep(nil, *item.Start)
	case protocol.AssetStreams:
		chunk, err := item.DecodeChunk(nil)
		require.NoError(t, err)
		return protocol.AppendAssetChunk(nil, item.AssetID, item.Encoding(), chunk)
	case protocol.AssetEnds:
		sum := ""
		if item.Checksum != nil {
			require.Equal(t, protocol.ChecksumSHA256, item.Checksum.Algorithm)
			sum = item.Checksum.Value
		}
		return protocol.AppendAssetEnd(nil, item.AssetID, sum)
	default:
		t.Fatalf("unknown action %q", item.Action)
		return nil
	}
}

func TestTranscriptsOfServers(t *testing.T) {
	t.Parallel()
	responses, failures, diagnostics, frames := 0, 0, 0, 0
	for name, lines := range transcripts(t) {
		stage := map[string]protocol.Stage{} // of the stream with an id
		asked := map[string]protocol.Request{}
		for _, l := range lines {
			if !l.message() {
				continue
			}
			if l.Dir == "c2s" {
				r, err := protocol.ParseRequest(l.Frame)
				if _, again := asked[r.UUID]; err == nil && !again {
					asked[r.UUID] = r
				}
				continue
			}
			m, err := protocol.ParseServerMessage(l.Frame)
			require.NoError(t, err, "%s: %s", name, l.Frame)
			switch {
			case m.Response != nil:
				requireKnown(t, l.Frame, m.Response.Append(nil))
				responses++
				if m.Response.Error != nil {
					failures++
					continue
				}
				if r := checkResult(t, asked[m.Response.UUID], m.Response.Data); r.ID != "" {
					stage[r.ID] = asked[m.Response.UUID].Stage
				}
			case m.Diagnostic != nil:
				require.JSONEq(t, string(l.Frame), string(m.Diagnostic.Append(nil)), name)
				diagnostics++
			case m.Frame != nil:
				require.Equal(t, string(l.Frame), string(m.Frame.Append(nil)), name)
				require.NotEmpty(t, stage[m.Frame.Stream], "%s: %s", name, l.Frame)
				checkItems(t, name, stage[m.Frame.Stream], m.Frame.Data)
				frames++
			}
		}
	}
	require.Greater(t, responses, 250)
	require.Greater(t, failures, 40)
	require.Greater(t, diagnostics, 300)
	require.Greater(t, frames, 30)
}

// checkResult decodes the answer to a request and encodes it again.
func checkResult(t *testing.T, r protocol.Request, data json.RawMessage) (started protocol.StartResult) {
	t.Helper()
	if string(data) == "null" {
		return started
	}
	var got []byte
	var err, failed error
	switch {
	case r.Command == protocol.CommandInit:
		var v protocol.InitResult
		v, err = protocol.ParseInitResult(data)
		got, failed = v.Append(nil)
	case r.Command == protocol.CommandStatus:
		var v protocol.Status
		v, err = protocol.ParseStatus(data)
		got, failed = v.Append(nil)
		if !bytes.Contains(data, []byte("startedAt")) {
			got = bytes.Replace(got, []byte(`"startedAt":null,`), nil, 1)
		}
	case r.Command == protocol.CommandEnd, r.Verb == protocol.VerbEnd:
		var v protocol.EndResult
		v, err = protocol.ParseEndResult(data)
		got, failed = v.Append(nil)
	case r.Verb == protocol.VerbStart:
		started, err = protocol.ParseStartResult(data)
		got, failed = started.Append(nil)
	case r.Action == protocol.ActionGetMetadata:
		var v *protocol.Metadata
		v, err = protocol.ParseMetadata(data)
		require.NotNil(t, v)
		got, failed = v.Append(nil)
	default:
		return started
	}
	require.NoError(t, err, "%s", data)
	require.NoError(t, failed)
	require.JSONEq(t, string(data), string(got))
	return started
}

func TestTranscriptsOfRefusedConnections(t *testing.T) {
	t.Parallel()
	wants := map[string]error{
		"http-401-bad-token":               protocol.ErrUnauthorized,
		"http-401-expired-token":           protocol.ErrTokenExpired,
		"http-403-pull-only-token-on-push": protocol.ErrForbidden,
		"http-403-push-only-token-on-pull": protocol.ErrForbidden,
	}
	all := transcripts(t)
	for name, want := range wants {
		found := false
		for _, l := range all[name] {
			if l.Kind != "http-response" {
				continue
			}
			var f struct {
				HTTP struct {
					Status int             `json:"status"`
					Body   json.RawMessage `json:"body"`
				} `json:"http"`
			}
			require.NoError(t, json.Unmarshal(l.Frame, &f))
			err := protocol.NewHandshakeError(f.HTTP.Status, http.Header{}, f.HTTP.Body)
			require.ErrorIs(t, err, want, name)
			require.True(t, err.FromStrapi())
			found = true
		}
		require.True(t, found, name)
	}
}

// TestTranscriptsOfTheFlow asks the flow about every recorded request of a push and compares what it says with what Strapi's
// server answered: for each refusal the same text and details, and no refusal of what was accepted.
func TestTranscriptsOfTheFlow(t *testing.T) {
	t.Parallel()
	refusals := 0
	for name, lines := range transcripts(t) {
		answers := map[string]*protocol.Response{}
		for _, l := range lines {
			if l.Dir != "s2c" || !l.message() {
				continue
			}
			if m, err := protocol.ParseServerMessage(l.Frame); err == nil && m.Response != nil && answers[m.Response.UUID] == nil {
				answers[m.Response.UUID] = m.Response
			}
		}
		f := protocol.Flow{Rules: protocol.RulesStrapi, Direction: protocol.Push}
		if strings.HasPrefix(name, "pull") {
			f.Direction = protocol.Pull
		}
		seen := map[string]bool{}
		for _, l := range lines {
			if l.Dir != "c2s" || !l.message() {
				continue
			}
			r, err := protocol.ParseRequest(l.Frame)
			answer := answers[r.UUID]
			if err != nil || seen[r.UUID] || answer == nil || errors.Is(answer.Error, protocol.ErrTokenExpired) {
				continue
			}
			seen[r.UUID] = true
			refusals += compareFlow(t, name, &f, r, answer)
		}
	}
	require.Greater(t, refusals, 30)
}

func compareFlow(t *testing.T, name string, f *protocol.Flow, r protocol.Request, answer *protocol.Response) (refused int) {
	t.Helper()
	if refusal, refused := errors.AsType[*protocol.Error](f.Advance(r)); refused {
		require.NotNil(t, answer.Error, "%s: the flow refused %s with %q, Strapi did not", name, r.Append(nil), refusal)
		require.JSONEq(t, string(answer.Error.Append(nil)), string(refusal.Append(nil)), "%s: %s", name, r.Append(nil))
		return 1
	}
	if answer.Error != nil && flowWords(answer.Error.Message) {
		t.Errorf("%s: Strapi refused %s with %q, the flow did not", name, r.Append(nil), answer.Error)
	}
	if answer.Error != nil && r.Verb == protocol.VerbStream && (r.Stage == protocol.StageEntities || r.Stage == protocol.StageLinks) {
		f.Terminate()
	}
	if r.Command == protocol.CommandInit && answer.Error == nil {
		result, err := protocol.ParseInitResult(answer.Data)
		require.NoError(t, err)
		f.TransferID = result.TransferID
	}
	return 0
}

// flowWords tells the messages that the flow must know from those that content and providers cause.
func flowWords(message string) bool {
	if message == protocol.ErrInvalidChunk.Error() {
		return false
	}
	for _, words := range []string{
		"current flow", "in progress", "need to init", "Invalid action", "Invalid transfer", "Invalid Transfer", "impossible to create",
		"Stream already", "Bad transfer", "Strapi instance", "terminated",
	} {
		if strings.Contains(message, words) {
			return true
		}
	}
	return false
}
