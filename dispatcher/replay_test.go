package dispatcher_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

func TestARequestIsAdmittedOnce(t *testing.T) {
	t.Parallel()
	r := dispatcher.NewReplays()
	admit := func(uuid, text string) dispatcher.Admission {
		a, _ := r.Admit(uuid, []byte(text))
		return a
	}
	require.Equal(t, dispatcher.AdmitNew, admit("a", "1"))
	require.Equal(t, dispatcher.AdmitRunning, admit("a", "1"))
	require.Equal(t, dispatcher.AdmitRunning, admit("a", "1"))
	require.Equal(t, dispatcher.AdmitConflict, admit("a", "2"))
	require.Equal(t, dispatcher.AdmitNew, admit("b", "1"))
	require.Equal(t, 3, r.Done(protocol.Response{UUID: "a", Data: json.RawMessage(`{"x":1}`)}), "the copies are owed an answer, too")
	require.Zero(t, r.Done(protocol.Response{UUID: "a"}), "only the first answer counts")
	require.Zero(t, r.Done(protocol.Response{UUID: "unknown"}))
	require.Equal(t, 1, r.Done(protocol.Response{UUID: "b", Error: protocol.TransferError("no", nil)}))
	for range 3 {
		admission, answer := r.Admit("a", []byte("1"))
		require.Equal(t, dispatcher.AdmitAnswered, admission)
		require.Equal(t, protocol.Response{UUID: "a", Data: json.RawMessage(`{"x":1}`)}, answer)
	}
	admission, answer := r.Admit("b", []byte("1"))
	require.Equal(t, dispatcher.AdmitAnswered, admission)
	require.Equal(t, "no", answer.Error.Message)
	require.Equal(t, dispatcher.AdmitConflict, admit("b", "2"))
}

func TestAnEndlessCopyIsOwedABoundedNumberOfAnswers(t *testing.T) {
	t.Parallel()
	r := dispatcher.NewReplays()
	for range 1000 {
		r.Admit("a", nil)
	}
	require.Equal(t, 16, r.Done(protocol.Response{UUID: "a"}))
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	r := dispatcher.NewReplays()
	shared := json.RawMessage(strings.Repeat(" ", 1<<20))
	for i := range 200 { // one answer that many requests get, such as the schemas, counts once
		uuid := fmt.Sprintf("s%d", i)
		a, _ := r.Admit(uuid, nil)
		require.Equal(t, dispatcher.AdmitNew, a)
		r.Done(protocol.Response{UUID: uuid, Data: shared})
	}
	for i := range 100 {
		uuid := fmt.Sprintf("o%d", i)
		if a, _ := r.Admit(uuid, nil); a == dispatcher.AdmitFull {
			require.GreaterOrEqual(t, i, 62)
			return
		}
		r.Done(protocol.Response{UUID: uuid, Data: json.RawMessage(strings.Repeat(" ", 1<<20))})
	}
	t.Fatal("everything is remembered")
}

func BenchmarkReplays(b *testing.B) {
	text := []byte(strings.Repeat("x", 1<<20))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	r := dispatcher.NewReplays()
	for i := range b.N {
		uuid := fmt.Sprintf("%036d", i)
		r.Admit(uuid, text)
		r.Done(protocol.Response{UUID: uuid})
	}
}
