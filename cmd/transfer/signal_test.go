//go:build unix

package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

// deafRunner is a server that answers everything until the first stage starts, and nothing after that.
type deafRunner struct {
	started chan struct{}
}

func (d *deafRunner) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		_, text, err := conn.ReadMessage()
		if err != nil {
			return
		}
		req, err := protocol.ParseRequest(text)
		if err != nil {
			continue
		}
		if req.Verb == protocol.VerbStart {
			close(d.started)
			for { // deaf, but the connection stays
				if _, _, err := conn.ReadMessage(); err != nil {
					return
				}
			}
		}
		answer := protocol.Response{UUID: req.UUID, Data: d.answer(req)}
		if conn.WriteMessage(websocket.TextMessage, answer.Append(nil)) != nil {
			return
		}
	}
}

func (d *deafRunner) answer(req protocol.Request) json.RawMessage {
	switch req.Command {
	case protocol.CommandInit:
		return json.RawMessage(`{"transferID":"t","checksums":true,"assetEncoding":"base64"}`)
	case protocol.CommandEnd:
		return json.RawMessage(`{"ok":true}`)
	case protocol.CommandStatus:
	}
	return nil
}

// The first signal asks the server to undo what was begun; a second one waits for nothing.
func TestSignals(t *testing.T) {
	t.Parallel()
	path, err := binary()
	require.NoError(t, err)
	tests := map[string]struct {
		signals int
		within  time.Duration
	}{
		"once":  {1, 15 * time.Second}, // the server gets ten seconds to confirm the rollback
		"twice": {2, 5 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &deafRunner{started: make(chan struct{})}
			listener := httptest.NewServer(server)
			t.Cleanup(listener.Close)
			source, err := filepath.Abs("sample")
			require.NoError(t, err)
			var output strings.Builder
			cmd := exec.CommandContext(t.Context(), path, "push", "--yes", "--from", "dir:"+source, "--to", listener.URL+"/admin", "--to-token", "secret-token", "--orphans", "skip")
			cmd.Stderr, cmd.Stdout = &output, &output
			require.NoError(t, cmd.Start())
			select {
			case <-server.started:
			case <-time.After(20 * time.Second):
				require.NoError(t, cmd.Process.Kill())
				_ = cmd.Wait()
				t.Fatalf("the transfer did not begin: %s", output.String())
			}
			began := time.Now()
			for range test.signals {
				require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
				<-time.After(400 * time.Millisecond)
			}
			_ = cmd.Wait()
			require.Equal(t, 130, cmd.ProcessState.ExitCode(), output.String())
			require.Less(t, time.Since(began), test.within)
			require.NotContains(t, output.String(), "secret-token")
			if test.signals == 1 {
				require.Contains(t, output.String(), "destination:", "one line says in which state it is")
			}
		})
	}
}
