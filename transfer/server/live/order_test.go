package live_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// follow is a Socket.IO client that subscribes to one job and notes what it hears until the job's end.
func follow(ctx context.Context, base string, job jobs.ID, wait time.Duration) (steps []string, err error) {
	conn, response, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(base, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	_ = response.Body.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte(`40{"token":"secret","events":"job"}`)); err != nil {
		return nil, err
	}
	timer := time.NewTimer(wait)
	<-timer.C
	if err := conn.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `420["job:subscribe",%q]`, job)); err != nil {
		return nil, err
	}
	last, ended, patience := int64(-1), false, 30*time.Second
	for {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return steps, err
		}
		_, text, err := conn.ReadMessage()
		if err != nil && ended {
			return steps, nil // nothing more
		}
		if err != nil {
			return steps, err
		}
		rest, ok := strings.CutPrefix(string(text), "42")
		if !ok {
			continue
		}
		var parts []json.RawMessage
		var body struct{ Step, Status, Position string }
		if json.Unmarshal([]byte(rest), &parts) != nil || json.Unmarshal(parts[1], &body) != nil {
			return steps, fmt.Errorf("not an event: %s", text)
		}
		at, err := jobs.ParsePosition(body.Position)
		if err != nil || at.Seq < last {
			return steps, fmt.Errorf("position went back from %d: %s", last, text)
		}
		last = at.Seq
		if state := body.Status + "/" + body.Step; len(steps) == 0 || steps[len(steps)-1] != state {
			steps = append(steps, state)
		}
		if ended {
			return steps, fmt.Errorf("after the end: %s", text)
		}
		if body.Status == string(jobs.StateCompleted) {
			ended, patience = true, 100*time.Millisecond
		}
	}
}

// However a subscription falls between the events, it begins with a snapshot, and everything after that comes once and in order.
func TestSubscriptionsFallBetweenEvents(t *testing.T) {
	f, url := serve(t)
	stages := []transfer.Stage{
		transfer.StageSchemas, transfer.StageEntities, transfer.StageAssets, transfer.StageLinks, transfer.StageConfiguration,
	}
	order := make(map[string]int)
	for i, step := range jobs.Steps() {
		order["processing/"+string(step)] = i
	}
	order["completed/completed"] = order["processing/completed"]
	for range 8 {
		r := f.begin(t)
		var group sync.WaitGroup
		for range 30 {
			wait := time.Duration(rand.IntN(50)) * time.Millisecond
			group.Go(func() {
				steps, err := follow(t.Context(), url, r.ID(), wait)
				if err != nil {
					t.Errorf("%v: %v", steps, err)
					return
				}
				for i := 1; i < len(steps); i++ {
					before, ok := order[steps[i-1]]
					after, known := order[steps[i]]
					// Every step that this job goes through after the first one heard is heard.
					if !ok || !known || after <= before || before >= order["processing/schemas"] && after != before+1 {
						t.Errorf("out of order: %v", steps)
					}
				}
			})
		}
		for i, stage := range stages {
			timer := time.NewTimer(time.Duration(rand.IntN(15)) * time.Millisecond)
			<-timer.C
			r.Observe(transfer.Event{Kind: transfer.EventStageStarted, Time: time.Now(), Stage: stage})
			r.Observe(moved(stage, int64(i+1), ""))
		}
		r.End(jobs.Outcome{}, nil)
		group.Wait()
	}
}

// A client that was away while the server was started again goes on where it was.
func TestStreamsGoOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	start := func() (f *feeds, url string, stop func()) {
		store, err := jobs.OpenSQLite(t.Context(), dir)
		require.NoError(t, err)
		f, err = newFeeds(store)
		require.NoError(t, err)
		require.NoError(t, f.manager.Open(t.Context()))
		ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
		done := make(chan error, 1)
		go func() { done <- f.run(ctx) }()
		web := httptest.NewServer(f.handler())
		return f, web.URL, func() {
			cancel()
			require.NoError(t, <-done)
			web.Close()
			require.NoError(t, store.Close())
		}
	}
	f, url, stop := start()
	r := f.begin(t)
	path := "/api/jobs/" + string(r.ID()) + "/stream"
	s := open(t, url, path, false)
	id := ""
	for id == "" {
		if text, ok := strings.CutPrefix(s.line(), "id: "); ok {
			id = text
		}
	}
	require.NoError(t, s.conn.Close())
	r.Observe(transfer.Event{Kind: transfer.EventStageStarted, Time: time.Now(), Stage: transfer.StageEntities})
	r.End(jobs.Outcome{}, nil)
	stop()

	_, url, stop = start()
	defer stop()
	s = open(t, url, path+"?lastEventId="+id, false)
	var heard []string
	for len(heard) == 0 || heard[len(heard)-1] != "completed" {
		line := s.line()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			heard = append(heard, name)
		}
		require.NotContains(t, line, `"snapshot":true`)
	}
	require.Equal(t, []string{"progress", "completed"}, heard)
}
