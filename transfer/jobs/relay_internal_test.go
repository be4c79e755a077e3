package jobs

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
)

// A volatile event is the same at the other end.
func TestRelayedEventsKeepTheirMeaning(t *testing.T) {
	id, err := NewID()
	require.NoError(t, err)
	job := Job{ID: id, State: StateProcessing, Step: StepAssets, Revision: 7, Seq: 3, Stages: []Stage{{Stage: transfer.StageAssets, Items: 2}}}
	picture, err := json.Marshal(job)
	require.NoError(t, err)
	now := time.Now().UTC()
	for name, e := range map[string]Event{
		"progress": {JobID: id, Type: EventProgress, Time: now, Data: picture, Job: &job, Diagnostics: []Diagnostic{{Level: transfer.NoteWarning, Message: "m"}}},
		"an item":  {JobID: id, Type: EventTransferred, Time: now, Data: json.RawMessage(`{"item":"a.png"}`), Job: &job},
	} {
		t.Run(name, func(t *testing.T) {
			var sent [][]byte
			m := &Manager{opts: Options{Relay: collector{&sent}}}
			m.relay(t.Context(), []Event{e})
			require.Len(t, sent, 1)
			back, err := unrelay(sent[0])
			require.NoError(t, err)
			require.Equal(t, &e, back)
		})
	}
}

func TestWhatIsNotRelayedIsNotTaken(t *testing.T) {
	for _, text := range []string{``, `{}`, `{"type":"job_completed","data":{}}`, `{"type":"job_progress","data":{"id":"x"}}`, `{"type":"job_progress","data":7}`} {
		_, err := unrelay([]byte(text))
		require.Error(t, err, text)
	}
}

type collector struct{ sent *[][]byte }

func (c collector) Publish(_ context.Context, message []byte) error {
	*c.sent = append(*c.sent, message)
	return nil
}

func (c collector) Subscribe(ctx context.Context, _ func([]byte), _ func()) error {
	<-ctx.Done()
	return nil
}
