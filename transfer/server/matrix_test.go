package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// What can go wrong on the wire and at its ends, and the tests that make it go wrong. "Push" and "pull" are
// TestAPushSurvivesEveryFaultOfItsConnection and TestAPullSurvivesEveryFaultOfItsConnection, which do each of it to each message.
//
//	1, 2    the connection ends anywhere: push, pull (cut, cut inside, cut after)
//	3       it is reset: push, pull (reset; noticed within a second)
//	4       kill -9 of the server: TestAServerThatIsKilled…, vault's TestAWriterKilledAtAnyPointLeavesOldOrNew
//	5       kill -9 of the client: TestAClientThatIsKilled…, TestAPullThatIsKilled…
//	6       kill -9 of both: TestBothSidesKilled…
//	7       signals: cmd/transfer's TestSignals, TestInterruption; TestAShutdownLetsATransferEndAndRollsBackWhatDoesNot
//	8, 9    a message comes twice, at once or later: push, pull (duplicate, again), TestServerStatement52AnswersEachMessageOnceAndAgain
//	10      during the work on it: TestServerStatement52AnswersACopyThatComesDuringTheWorkOnceThatIsDone
//	11      one uuid, two messages: TestServerStatement52AnswersEachMessageOnceAndAgain
//	12      messages change places: push, pull (swap), TestWindowedMessagesAreTakenInTheirOrder
//	13      an answer comes after the resend: push, pull (delay), TestWorkThatTakesLongerThanTheResendIsDoneOnce
//	14, 15  an answer or a request is lost: push, pull (drop, drop always), TestAServerThatNeverAnswersIsGivenUpInTime
//	16      an acknowledgement is lost: pull (drop of the client)
//	17, 18  the peer vanishes without a word: push, pull (stall), TestAClientThatVanishedMakesRoomForItsSuccessor
//	29, 30  the token expires or is revoked: TestATokenThatIsRevokedAtAnyMessageStopsTheTransfer, TestServerStatement53…
//	31      it is for something else: TestServerStatement46AnswersUpgradesAndRefusals
//	32      a bit changes: TestNoChangedBitGoesUnnoticed; of what stock peers send, only files have a checksum and rows are counted
//	33      files that are not what was said: TestServerStatement60… to 62…, remote's TestClientStatement41…
//	34      counts that differ: TestServerStatement59…, remote's TestClientStatement24ComparesTheServersAccount
//	35      archives that are cut: archive's TestAnArchiveCutAnywhereIsDamaged
//	38      huge frames: TestServerStatement48…, TestMalformedMessagesEndOneSessionAndNoOther, dispatcher's TestWebSocketRefuses
//	39      malformed messages: TestMalformedMessagesEndOneSessionAndNoOther, the fuzz tests of protocol, dispatcher and this package
//	40      texts and numbers: TestEveryTextAndNumberArrivesAsItWas
//	41      two writers: TestASecondWriterIsToldWhoTheFirstIsAtAnyMessage
//
// The numbers are those of the project's reliability matrix.

// slowWriter is a destination that takes its time.
type slowWriter struct {
	transfer.Destination

	takes  time.Duration
	writes *atomic.Int64
}

func (s slowWriter) Write(ctx context.Context, batch transfer.Batch) error {
	s.writes.Add(1)
	if batch.Stage == transfer.StageAssets { // one message holds several
		<-time.After(s.takes / 5)
	} else {
		<-time.After(s.takes)
	}
	return s.Destination.Write(ctx, batch)
}

func TestWorkThatTakesLongerThanTheResendIsDoneOnce(t *testing.T) {
	t.Parallel()
	for name, offer := range peers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			count := func(takes time.Duration) int64 {
				writes := new(atomic.Int64)
				s := &site{content: old(), blank: true, wrap: func(d transfer.Destination) transfer.Destination { return slowWriter{d, takes, writes} }}
				inWorld(t, s, func(w *world) {
					require.NoError(w.t, w.push(atServer, offer))
					require.Equal(w.t, "new", whichOf(s.current()))
					require.Equal(w.t, 1, s.committed())
				})
				return writes.Load()
			}
			require.Equal(t, count(0), count(75*time.Second), "75 s are 2.5 times what an answer is waited for")
		})
	}
}

func TestAServerThatNeverAnswersIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	for _, from := range []transfertest.Peer{transfertest.Client, transfertest.Server} {
		inWorld(t, &site{content: old(), blank: true}, func(w *world) {
			w.behind(transfertest.Fault{Do: transfertest.Drop, Always: true, From: from, Count: 1})
			began := time.Now()
			require.ErrorIs(w.t, w.push(atProxy, extensions()), transfer.ErrStalled)
			require.InDelta(w.t, 7*30, time.Since(began).Seconds(), 21, "the message and six more, each 30 s apart")
		})
	}
}

// countMessages returns how many messages a push takes, by side.
func countMessages(t *testing.T, offer protocol.Extensions) (count func(transfertest.Peer) int) {
	t.Helper()
	inWorld(t, &site{content: old(), blank: true}, func(w *world) {
		p := w.behind(transfertest.Fault{})
		require.NoError(w.t, w.push(atProxy, offer))
		count = p.Counted
	})
	return count
}

// at returns a fault with a channel that is closed when it happens.
func at(f transfertest.Fault) (transfertest.Fault, <-chan struct{}) {
	happens := make(chan struct{})
	var clients atomic.Int64
	f.Match = func(text []byte) bool {
		m, err := protocol.ParseClientMessage(text)
		if f.From == transfertest.Client && (err != nil || m.Request == nil) {
			return false
		}
		if clients.Add(1) == int64(f.Count) {
			close(happens)
		}
		return true
	}
	return f, happens
}

func TestAClientThatVanishedMakesRoomForItsSuccessor(t *testing.T) {
	t.Parallel()
	messages := countMessages(t, extensions())(transfertest.Client)
	for n := 1; n < messages; n++ {
		s := &site{content: old(), blank: true}
		inWorld(t, s, func(w *world) {
			fault, vanished := at(transfertest.Fault{Do: transfertest.Stall, From: transfertest.Client, Count: n})
			w.behind(fault)
			first := make(chan error, 1)
			go func() { first <- w.push(atProxy, extensions()) }()
			<-vanished
			held := w.room()
			require.LessOrEqual(w.t, held, server.DefaultHeartbeatTimeout+server.DefaultHeartbeatInterval, "message %d", n)
			before := s.committed()
			require.NoError(w.t, w.push(atServer, extensions()))
			<-first
			require.Equal(w.t, before+1, s.committed(), "what vanished never comes back")
			require.Equal(w.t, "new", whichOf(s.current()))
		})
	}
}

func TestASecondWriterIsToldWhoTheFirstIsAtAnyMessage(t *testing.T) {
	t.Parallel()
	messages := countMessages(t, extensions())(transfertest.Client)
	refused := 0
	for n := 1; n <= messages; n++ {
		s := &site{content: old(), blank: true}
		inWorld(t, s, func(w *world) {
			// While the first waits for its message to get through, the second does all that it can.
			fault, now := at(transfertest.Fault{Do: transfertest.Delay, Delay: time.Second, From: transfertest.Client, Count: n})
			w.behind(fault)
			first := make(chan error, 1)
			go func() { first <- w.push(atProxy, extensions()) }()
			<-now
			began := time.Now()
			dst := remote.NewDestination("http://"+atServer+"/admin", w.options(extensions()))
			_, err := transfer.Run(w.t.Context(), transfertest.NewMemory(small()), dst, transfer.Options{})
			require.NoError(w.t, dst.Close())
			require.LessOrEqual(w.t, time.Since(began), 600*time.Millisecond, "it does not wait")
			if err != nil {
				refused++
				require.Equal(w.t, transfer.StateUntouched, dst.State())
				require.ErrorIs(w.t, err, transfer.ErrUnwritable)
				require.ErrorContains(w.t, err, `by token "all" from`)
			}
			require.NoError(w.t, <-first, "message %d", n)
			require.Equal(w.t, "new", whichOf(s.current()))
		})
	}
	require.Greater(t, refused, messages/2)
}

// revocable is an authority whose only token can be revoked.
type revocable struct {
	anyone

	revoked atomic.Bool
}

func (r *revocable) Check(context.Context, string) (token.Token, error) {
	if r.revoked.Load() {
		return token.Token{}, token.ErrInvalid
	}
	return anyToken(), nil
}

func TestATokenThatIsRevokedAtAnyMessageStopsTheTransfer(t *testing.T) {
	t.Parallel()
	messages := countMessages(t, extensions())(transfertest.Client)
	for n := 1; n <= messages; n++ {
		s, authority := &site{content: old(), blank: true}, &revocable{}
		inWorld(t, s, func(w *world) {
			// The delay is longer than what is known of a token is trusted.
			fault, now := at(transfertest.Fault{Do: transfertest.Delay, Delay: 5 * time.Second, From: transfertest.Client, Count: n})
			w.behind(fault)
			go func() {
				<-now
				authority.revoked.Store(true)
			}()
			began := time.Now()
			err := w.push(atProxy, extensions())
			require.LessOrEqual(w.t, time.Since(began), 30*time.Second, "message %d: %v", n, err)
			authority.revoked.Store(false)
			<-time.After(server.DefaultAuthInterval) // so long the server remembers
			w.room()
			if whichOf(s.current()) == "new" {
				require.True(w.t, err == nil || errors.Is(err, transfer.ErrOutcomeUnknown), "message %d: %v", n, err)
			} else {
				require.Equal(w.t, "old", whichOf(s.current()))
				require.ErrorIs(w.t, err, transfer.ErrAuth, "message %d", n)
			}
		}, func(c *server.Config) { c.Tokens = authority })
	}
}

func TestNoChangedBitGoesUnnoticed(t *testing.T) {
	t.Parallel()
	const seed = 20261125
	random := rand.New(rand.NewPCG(seed, 0))
	var all []transfertest.Fault
	count := countMessages(t, extensions())
	for _, from := range []transfertest.Peer{transfertest.Client, transfertest.Server} {
		for n := 1; n <= count(from); n++ {
			for range 6 { // short messages are hit in all of their parts, long ones somewhere
				all = append(all, transfertest.Fault{Do: transfertest.Corrupt, From: from, Count: n, At: 1 + random.IntN(1<<(4+random.IntN(14)))})
			}
		}
	}
	for name, offer := range map[string]protocol.Extensions{
		"packed": extensions(), "plain": {Seals: true, Schemas: true}, "a window": {Window: 8, Seals: true, Schemas: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parallel(t, thinned(all), func(t *testing.T, fault transfertest.Fault) {
				t.Helper()
				inWorld(t, &site{content: old(), blank: true}, func(w *world) { w.pushOnce(fault, offer) })
				inWorld(t, &site{content: small()}, func(w *world) { w.pullOnce(fault, offer) })
			})
		})
	}
}

func TestAChangedBitIsToldToBeOne(t *testing.T) {
	t.Parallel()
	for _, from := range []transfertest.Peer{transfertest.Client, transfertest.Server} {
		inWorld(t, &site{content: old(), blank: true}, func(w *world) {
			w.behind(transfertest.Fault{
				Do: transfertest.Corrupt, From: from, Count: 1, At: 30,
				Match: func(text []byte) bool {
					return bytes.Contains(text, []byte(map[transfertest.Peer]string{
						transfertest.Client: `"action":"bootstrap"`, transfertest.Server: `"data":null`,
					}[from]))
				},
			})
			require.ErrorIs(w.t, w.push(atProxy, extensions()), transfer.ErrDamaged, "changed on the way from the %s", from)
		})
	}
}

// texts are rows and settings that a mover is tempted to change.
func texts() *transfertest.Site {
	s := transfertest.Sample()
	values := []string{
		`"\u0000"`, `"\ud83d"`, `"\ude00\ud83d"`, `"🚢\ud83d\udea2"`, `"שלום\u202eabc"`, `"e\u0301 é"`, `"\/\b\f"`, `"<>&\u2028"`,
		`9007199254740993`, `9223372036854775808`, `-0`, `-0.0`, `1e-320`, `1E+400`, `123456789012345678901234567890.123456789`, `0.10`, `{"b":1,"a":{}}`, `[]`,
		`"` + strings.Repeat("long ", 2<<20) + `"`,
	}
	s.Records[transfer.StageEntities] = nil
	for i, value := range values {
		s.Records[transfer.StageEntities] = append(s.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":"api::article.article","id":%d,"data":{"title":%s,"documentId":"d%d"}}`, i+1, value, i))
		s.Records[transfer.StageConfiguration] = append(s.Records[transfer.StageConfiguration],
			fmt.Sprintf(`{"type":"core-store","value":{"key":"k%d","value":%s}}`, i, value))
	}
	s.Records[transfer.StageLinks], s.Files = nil, nil
	for i, name := range []string{"e\u0301_1.txt", "é_2.txt", "שלום_3.txt", "🚢_4.txt", "a b+c%20d_5.txt"} {
		s.Files = append(s.Files, transfertest.File{Name: name, Metadata: fmt.Sprintf(`{"id":%d,"name":%q}`, i+1, name), Body: []byte(name)})
		s.Records[transfer.StageEntities] = append(s.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":"plugin::upload.file","id":%d,"data":{"name":%q,"url":"/uploads/%s"}}`, i+1, name, name))
	}
	return s
}

func TestEveryTextAndNumberArrivesAsItWas(t *testing.T) {
	t.Parallel()
	want := texts().Lines()
	var results sync.Map
	for name, offer := range peers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &site{content: old(), blank: true}
			inWorld(t, s, func(w *world) {
				require.NoError(w.t, w.pushFrom(texts(), atServer, w.options(offer)))
				got, err := w.pull(atServer, offer)
				require.NoError(w.t, err)
				results.Store(name, got.Site().Lines())
			})
			got, _ := results.Load(name)
			require.Equal(t, want, got)
		})
	}
}
