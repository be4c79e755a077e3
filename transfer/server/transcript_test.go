package server_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// recorded is a line of a recording of Strapi's client and server.
type recorded struct {
	Dir   string          `json:"dir"`
	Kind  string          `json:"kind"`
	Frame json.RawMessage `json:"frame"`
}

// recording is what the client of a recording said, and what it was answered, by uuid.
type recording struct {
	said    [][]byte
	answers map[string]*protocol.Response
}

// The recordings of the client are whole but for the bytes of files; in those of the protocol, long messages are cut short.
const (
	whole = "../../providers/remote/testdata/transcripts"
	short = "../../protocol/testdata/transcripts"
)

func load(t *testing.T, folder, name string) *recording {
	t.Helper()
	file, err := os.Open(filepath.Join(folder, name+".jsonl"))
	require.NoError(t, err)
	defer file.Close()
	r := &recording{answers: make(map[string]*protocol.Response)}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 64<<20)
	files := &files{sums: make(map[string]hash.Hash)}
	for lines.Scan() {
		var line recorded
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		if line.Kind != "" || !bytes.HasPrefix(line.Frame, []byte("{")) {
			continue
		}
		if line.Dir == "c2s" {
			text := files.restore(line.Frame)
			if bytes.Contains(text, []byte(`"step":"assets","data"`)) && strings.HasPrefix(name, "push-client") {
				text = files.close(text) // the end of a file was cut off
			}
			// The recordings of single messages replace nothing and send rows all the same, which no command does.
			r.said = append(r.said, bytes.ReplaceAll(text, []byte(`,"include":[]`), nil))
			continue
		}
		if m, err := protocol.ParseServerMessage(line.Frame); err == nil && m.Response != nil {
			if _, again := r.answers[m.Response.UUID]; !again {
				r.answers[m.Response.UUID] = m.Response
			}
		}
	}
	require.NoError(t, lines.Err())
	return r
}

var (
	cut      = regexp.MustCompile(`^[A-Za-z0-9+/=]*<truncated base64: (\d+) chars>$`)
	ofAsset  = regexp.MustCompile(`\{"action":"(stream|end)","assetID":"([^"]+)"(,"encoding":"base64","data":"([^"]*)"|,"checksum":\{[^}]*\})?\}`)
	assetID  = regexp.MustCompile(`"assetID":"([^"]+)"`)
	promised = regexp.MustCompile(`"stats":\{"size":\d+\}`)
)

// files puts bytes back where a recording was cut, and makes sizes and checksums fit them.
type files struct{ sums map[string]hash.Hash }

func (f *files) sum(id string) hash.Hash {
	if f.sums[id] == nil {
		f.sums[id] = sha256.New()
	}
	return f.sums[id]
}

func (f *files) restore(text []byte) []byte {
	text = promised.ReplaceAll(text, []byte(`"stats":{"size":0}`))
	return ofAsset.ReplaceAllFunc(text, func(m []byte) []byte {
		part := ofAsset.FindSubmatch(m)
		id := string(part[2])
		if string(part[1]) == "stream" {
			data := part[4]
			if marked := cut.FindSubmatch(data); marked != nil {
				n, _ := strconv.Atoi(string(marked[1]))
				data = []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xa5}, n/4*3)))
			}
			chunk, _ := base64.StdEncoding.DecodeString(string(data))
			f.sum(id).Write(chunk)
			return bytes.Replace(m, part[4], data, 1)
		}
		if len(part[3]) == 0 {
			return m
		}
		return fmt.Appendf(nil, `{"action":"end","assetID":%q,"checksum":{"algorithm":"sha256","value":"%x"}}`, id, f.sum(id).Sum(nil))
	})
}

// close adds the end of the file that a message leaves open.
func (f *files) close(text []byte) []byte {
	found := assetID.FindAllSubmatch(text, -1)
	if len(found) == 0 || bytes.Contains(text, []byte(`"action":"end"`)) {
		return text
	}
	id := string(found[len(found)-1][1])
	end := protocol.AppendAssetEnd([]byte(","), id, hex.EncodeToString(f.sum(id).Sum(nil)))
	at := bytes.LastIndex(text, []byte(`}],"uuid"`)) + 1
	return slices.Concat(text[:at], end, text[at:])
}

func TestTheServerAnswersStrapisClientAsStrapiDoes(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{
		"push-cli": whole, "push-cli-empty-stages-fail": short, "push-client-5.10.0": short, "push-client-5.44.0": short, "push-client-4.25.22": short,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := load(t, folder, name)
			r := newRig(t, &site{blank: true})
			w := r.connect(protocol.Push)
			for _, text := range rec.said {
				m, err := protocol.ParseClientMessage(text)
				require.NoError(t, err)
				request := *m.Request
				if request.Command == protocol.CommandEnd {
					text = protocol.Request{
						Type: request.Type, Command: request.Command, UUID: request.UUID,
						Params: protocol.EndParams{TransferID: w.id}.Append(nil),
					}.Append(nil)
				}
				w.say(string(text))
				got := w.answer()
				want := rec.answers[request.UUID]
				require.Equal(t, request.UUID, got.UUID)
				if want == nil {
					continue
				}
				if request.Command == protocol.CommandInit {
					result, err := protocol.ParseInitResult(got.Data)
					require.NoError(t, err)
					w.id = result.TransferID
				}
				same(t, request, want, got)
			}
			all := string(bytes.Join(rec.said, nil))
			if strings.Contains(all, `"action":"rollback"`) || !strings.Contains(all, `"action":"close"`) {
				require.Zero(t, r.site.commits)
				return
			}
			require.Equal(t, 1, r.site.commits)
			require.NotEmpty(t, r.site.current().Files)
			require.NotEmpty(t, r.site.current().Records[transfer.StageEntities])
		})
	}
}

// same compares an answer of ours with Strapi's as far as a client looks at it.
func same(t *testing.T, r protocol.Request, want, got *protocol.Response) {
	t.Helper()
	what := fmt.Sprintf("%s%s %s%s", r.Command, r.Action, r.Verb, r.Stage)
	lone := want.Error != nil && strings.Contains(want.Error.Message, "before ending it")
	switch {
	case lone: // Strapi's server does not take what its client sends
		require.Nil(t, got.Error, what)
	case want.Error != nil:
		require.NotNil(t, got.Error, what)
	default:
		require.Nil(t, got.Error, "%s: %v", what, got.Error)
	}
	switch {
	case r.Action == protocol.ActionGetMetadata, r.Action == protocol.ActionGetSchemas:
		require.Equal(t, "null", string(got.Data), "of a site that takes any")
	case lone, want.Error != nil:
	case r.Verb == protocol.VerbEnd, r.Command == protocol.CommandInit: // counts and ids of their own
		require.Equal(t, members(t, want.Data), members(t, got.Data), what)
	default:
		require.JSONEq(t, orNull(want.Data), orNull(got.Data), what)
	}
}

func orNull(data json.RawMessage) string {
	if len(data) == 0 {
		return "null"
	}
	return string(data)
}

func members(t *testing.T, data json.RawMessage) (names []string) {
	t.Helper()
	var m map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &m))
	for name := range m {
		if name != "stats" { // not in all versions
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func TestWhatStrapiRefusesTheServerRefusesInTheSameWords(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"push-terminal-protected-entity", "push-terminal-data-not-object", "push-end-bad-transferID", "push-duplicate-uuid", "push-assets-errors",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := load(t, short, name)
			r := newRig(t, &site{content: empty()})
			w := r.connect(protocol.Push)
			refused := 0
			seen := make(map[string]bool)
			for _, text := range rec.said {
				m, err := protocol.ParseClientMessage(text)
				if err != nil || m.Request == nil || seen[m.Request.UUID] || rec.answers[m.Request.UUID] == nil {
					continue
				}
				seen[m.Request.UUID] = true
				want := rec.answers[m.Request.UUID]
				w.say(string(text))
				got := w.answer()
				if want.Error == nil {
					continue
				}
				refused++
				require.NotNil(t, got.Error, want.Error.Message)
				require.Equal(t, want.Error.Message, got.Error.Message)
				require.Equal(t, want.Error.Details.Step, got.Error.Details.Step)
				if strings.HasPrefix(name, "push-terminal") || name == "push-assets-errors" {
					break // what comes after it, these recordings do to see what happens
				}
			}
			require.NotZero(t, refused+map[string]int{"push-duplicate-uuid": 1}[name])
		})
	}
}
