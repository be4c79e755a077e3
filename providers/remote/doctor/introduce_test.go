package doctor_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote/doctor"
)

// introduced answers requests by the name of their command or action; what is not listed is answered with null. Each request is noted.
func introduced(answers map[string]string, mu *sync.Mutex, asked *[]string) func(*websocket.Conn) {
	return func(c *websocket.Conn) {
		for {
			_, text, err := c.ReadMessage()
			if err != nil {
				return
			}
			r, err := protocol.ParseRequest(text)
			if err != nil {
				continue
			}
			name := string(r.Command) + string(r.Action)
			mu.Lock()
			*asked = append(*asked, name)
			mu.Unlock()
			answer := answers[name]
			if answer == "" {
				answer = `"data":null,"error":null`
			}
			_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"uuid":%q,%s}`, r.UUID, answer))
		}
	}
}

func TestWhatIsToldOfAServer(t *testing.T) {
	t.Parallel()
	const (
		stock = `"data":{"transferID":"t","checksums":true},"error":null`
		ours  = `"data":{"transferID":"t","checksums":true,"extensions":{"window":8,"compression":"zstd"}},"error":null`
		meta  = `"data":{"createdAt":"2026-11-21T06:46:56.444Z","strapi":{"version":"5.54.0"}},"error":null`
	)
	for name, tt := range map[string]struct {
		answers map[string]string
		scopes  string
		version string
		says    string // of the check
		note    string
		asked   string // after status
	}{
		"Strapi":                {answers: map[string]string{"init": stock, "getMetadata": meta}, version: "5.54.0", says: "Strapi 5.54.0", asked: "init bootstrap getMetadata close end"},
		"a server of ours":      {answers: map[string]string{"init": ours, "getMetadata": meta}, version: "5.54.0", says: "Strapi 5.54.0; a server of transfer's own kind, window 8, zstd", asked: "init bootstrap getMetadata close end"},
		"one without a version": {answers: map[string]string{"init": ours}, says: "a server of transfer's own kind, window 8, zstd", asked: "init bootstrap getMetadata close end"},
		"one without content": {
			answers: map[string]string{"init": ours, "bootstrap": `"data":null,"error":{"code":"Error","message":"push first, not with ` + token + `"}`},
			says:    "a server of transfer's own kind", note: "push first, not with ***", asked: "init bootstrap close end",
		},
		"one that takes no more": {answers: map[string]string{"init": `"data":null,"error":{"code":"Error","message":"shutting down"}`}, says: "not told", note: "shutting down", asked: "init"},
		"one that babbles":       {answers: map[string]string{"init": `"data":7,"error":null`}, says: "not told", asked: "init"},
		"a token for pushes":     {answers: map[string]string{"init": stock, "getMetadata": meta}, scopes: "push", says: "told only to tokens that may pull"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex // guards what was asked
			var pulled, pushed []string
			server := strapi{scopes: tt.scopes}
			asked := &pulled // of the connection that is opened next
			if tt.scopes == "push" {
				asked = &pushed
			}
			server.speak = func(c *websocket.Conn) {
				mu.Lock()
				mine := asked
				asked = &pushed
				mu.Unlock()
				introduced(tt.answers, &mu, mine)(c)
			}
			r := examine(t, start(t, server)+"/admin", doctor.Options{Token: token})
			require.Nil(t, r.Finding)
			require.Equal(t, tt.version, r.Version)
			require.Positive(t, r.RoundTrip)
			require.Equal(t, "round trip", r.Checks[len(r.Checks)-2].Name)
			require.Contains(t, r.Checks[len(r.Checks)-1].Detail, tt.says)
			if tt.note != "" {
				require.Len(t, r.Notes, 1)
				require.Equal(t, doctor.NotReady, r.Notes[0].Problem)
				require.Contains(t, r.Notes[0].Cause, tt.note)
			}
			mu.Lock()
			defer mu.Unlock()
			require.Equal(t, tt.asked, strings.Join(strings.Fields(strings.ReplaceAll(strings.Join(pulled, " "), "status", "")), " "))
			require.Equal(t, "status status status", strings.Join(pushed, " "), "a push is never begun")
			text, err := json.Marshal(r)
			require.NoError(t, err)
			require.Contains(t, string(text), `"roundTripMs":`)
		})
	}
}
