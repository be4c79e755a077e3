package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// own are the recordings that only the server's tests need.
const own = "testdata/transcripts"

// replay says to the server what a client said in a recording of a pull, and compares what the server says.
type replay struct {
	*wire

	t       *testing.T
	answers map[string]*protocol.Response // of Strapi, the first to each uuid
	frames  map[string]*protocol.Frame    // of Strapi
	stages  map[string]protocol.Stage     // of Strapi's streams
	ours    map[string]string             // stream of ours that stands for one of Strapi's
	was     string                        // Strapi's name for the transfer
	acked   map[string]bool
	early   []protocol.Frame // that nobody has asked for yet
}

func readLines(t *testing.T, folder, name string) (lines []recorded) {
	t.Helper()
	file, err := os.Open(filepath.Join(folder, name+".jsonl"))
	require.NoError(t, err)
	defer file.Close()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 64<<20)
	for scanner.Scan() {
		var line recorded
		require.NoError(t, json.Unmarshal(scanner.Bytes(), &line))
		lines = append(lines, line)
	}
	require.NoError(t, scanner.Err())
	return lines
}

// newReplay learns what Strapi answered.
func newReplay(t *testing.T, w *wire, lines []recorded) *replay {
	t.Helper()
	r := &replay{
		wire: w, t: t, answers: make(map[string]*protocol.Response), frames: make(map[string]*protocol.Frame),
		stages: make(map[string]protocol.Stage), ours: make(map[string]string), acked: make(map[string]bool),
	}
	started := make(map[string]protocol.Stage)
	for _, line := range lines {
		if line.Kind != "" {
			continue
		}
		if line.Dir == "c2s" {
			if m, err := protocol.ParseClientMessage(line.Frame); err == nil && m.Request != nil && m.Request.Verb == protocol.VerbStart {
				started[m.Request.UUID] = m.Request.Stage
			}
			continue
		}
		m, err := protocol.ParseServerMessage(line.Frame)
		if err != nil {
			continue
		}
		if m.Frame != nil {
			r.frames[m.Frame.UUID] = m.Frame
		}
		if m.Response == nil || r.answers[m.Response.UUID] != nil {
			continue
		}
		r.answers[m.Response.UUID] = m.Response
		if result, err := protocol.ParseStartResult(m.Response.Data); err == nil && started[m.Response.UUID] != "" {
			r.stages[result.ID] = started[m.Response.UUID]
		}
	}
	return r
}

// say1 says one line of the recording. It returns false when the client has left.
func (r *replay) say1(line recorded) bool {
	if line.Kind == "close" {
		return false
	}
	var raw struct {
		Raw string `json:"raw"`
	}
	if json.Unmarshal(line.Frame, &raw) == nil && raw.Raw != "" {
		r.say(raw.Raw)
		require.NotZero(r.t, r.ends(), "nobody says %s and stays", raw.Raw)
		return false
	}
	text := line.Frame
	if r.was != "" {
		text = bytes.ReplaceAll(text, []byte(r.was), []byte(r.id))
	}
	m, err := protocol.ParseClientMessage(text)
	require.NoError(r.t, err)
	if m.Request == nil {
		r.acknowledge(m.Ack, text)
		return true
	}
	r.request1(*m.Request, text)
	return true
}

func (r *replay) request1(request protocol.Request, text []byte) {
	r.say(string(text))
	got := r.answer()
	require.Equal(r.t, request.UUID, got.UUID)
	want := r.answers[request.UUID]
	if want == nil {
		return // here Strapi's server hangs
	}
	if request.Command == protocol.CommandInit && want.Error == nil {
		result, err := protocol.ParseInitResult(want.Data)
		require.NoError(r.t, err)
		r.was = result.TransferID
		result, err = protocol.ParseInitResult(got.Data)
		require.NoError(r.t, err)
		r.id = result.TransferID
	}
	if request.Verb == protocol.VerbStart && want.Error == nil {
		theirs, err := protocol.ParseStartResult(want.Data)
		require.NoError(r.t, err)
		result, err := protocol.ParseStartResult(got.Data)
		require.NoError(r.t, err)
		require.Equal(r.t, theirs.Totals != nil, result.Totals != nil)
		r.ours[theirs.ID] = result.ID
	}
	r.compare(request, want, got)
}

// compare compares two answers as far as a client looks at them.
func (r *replay) compare(request protocol.Request, want, got *protocol.Response) {
	what := string(request.Append(nil))
	if want.Error != nil {
		require.NotNil(r.t, got.Error, what)
		require.Equal(r.t, want.Error.Message, got.Error.Message, what)
		require.Equal(r.t, want.Error.Details.Step, got.Error.Details.Step, what)
		return
	}
	require.Nil(r.t, got.Error, what)
	switch {
	case request.Command == protocol.CommandStatus: // Strapi's says the opposite of what is
	case request.Action == protocol.ActionGetSchemas: // other schemas
	case bytes.HasPrefix(want.Data, []byte("{")):
		require.Equal(r.t, members(r.t, want.Data), members(r.t, got.Data), what)
	default:
		require.JSONEq(r.t, orNull(want.Data), orNull(got.Data), what)
	}
}

// acknowledge takes as many frames of ours as the recording's client takes with this acknowledgement.
func (r *replay) acknowledge(uuid string, text []byte) {
	theirs := r.frames[uuid]
	if theirs == nil || r.acked[uuid] {
		r.say(string(text)) // means nothing
		return
	}
	r.acked[uuid] = true
	for {
		f := r.of(r.ours[theirs.Stream])
		if f.Ended && !theirs.Ended { // this site is smaller
			r.early = append(r.early, f)
			return
		}
		if !f.Ended {
			r.shape(theirs, f)
		}
		r.say(strings.ReplaceAll(string(text), uuid, f.UUID))
		if !theirs.Ended || f.Ended {
			early := theirs.Error != nil && bytes.Contains(theirs.Error, []byte("PREMATURE")) // which it is not where it was asked for
			require.Equal(r.t, protocol.Truthy(theirs.Error) && !early, protocol.Truthy(f.Error))
			return
		}
	}
}

// of returns the next frame of a stream.
func (r *replay) of(stream string) protocol.Frame {
	for i, f := range r.early {
		if f.Stream == stream {
			r.early = append(r.early[:i:i], r.early[i+1:]...)
			return f
		}
	}
	for {
		f := r.frame()
		if f.Stream == stream {
			return f
		}
		r.early = append(r.early, f)
	}
}

// shape compares the first items of two frames: whether they are in a list of their own, and what they consist of.
func (r *replay) shape(theirs *protocol.Frame, ours protocol.Frame) {
	first := func(data json.RawMessage) (item json.RawMessage, depth int) {
		item = data
		for bytes.HasPrefix(item, []byte("[")) {
			var list []json.RawMessage
			require.NoError(r.t, json.Unmarshal(item, &list))
			require.NotEmpty(r.t, list)
			item = list[0]
			depth++
		}
		return item, depth
	}
	if theirs.Ended {
		return
	}
	want, depth := first(theirs.Data)
	got, depthOfOurs := first(ours.Data)
	require.Equal(r.t, depth, depthOfOurs)
	if r.stages[theirs.Stream] == protocol.StageAssets { // a frame may begin anywhere in a file
		require.Contains(r.t, members(r.t, got), "assetID")
		return
	}
	require.Equal(r.t, members(r.t, want), members(r.t, got))
}

// counted is a source that can say how much it has.
type counted struct{ transfer.Source }

func (counted) Count(context.Context, transfer.Stage) (transfer.Count, error) {
	return transfer.Count{Records: 4, Bytes: 1 << 20}, nil
}

func TestTheServerAnswersRecordedPullsAsStrapiDoes(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{
		"pull-cli": whole, "pull-cli-connection-lost": whole, "pull-basic-and-status": short, "pull-empty-ack-and-resend": short,
		"pull-end-before-finished": short, "pull-two-stages-at-once": short, "pull-flush-error": short,
		"pull-disconnect-mid-stage": own, "pull-duplicate-uuid": own, "pull-invalid-json-while-waiting-for-ack": own,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &site{content: transfertest.Sample()}
			s.source = func(content *transfertest.Site) transfer.Source { return counted{transfertest.NewMemory(content)} }
			if name == "pull-flush-error" {
				s.source = func(content *transfertest.Site) transfer.Source {
					return counted{&transfertest.FailingSource{Source: transfertest.NewMemory(content), Stage: transfer.StageAssets, After: 3}}
				}
			}
			rig := newRig(t, s)
			lines := readLines(t, folder, name)
			r := newReplay(t, rig.connect(protocol.Pull), lines)
			said := 0
			for _, line := range lines {
				if line.Dir != "c2s" || line.Kind == "http-upgrade" {
					continue
				}
				if !r.say1(line) {
					break
				}
				said++
			}
			require.Greater(t, said, 2)
			require.NoError(t, r.conn.NetConn().Close())
			require.Eventually(t, func() bool { return rig.sessions() == 0 }, patience, 5*time.Millisecond, "the session is freed")
		})
	}
}

// sessions is how many connections the server says are open.
func (r *rig) sessions() (n int) {
	r.tb.Helper()
	response, err := r.http.Client().Get(r.http.URL + "/metrics")
	require.NoError(r.tb, err)
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if name, count, ok := strings.Cut(lines.Text(), " "); ok && strings.HasPrefix(name, "transfer_runner_sessions{") {
			some, err := strconv.Atoi(count)
			require.NoError(r.tb, err)
			n += some
		}
	}
	require.NoError(r.tb, lines.Err())
	return n
}
