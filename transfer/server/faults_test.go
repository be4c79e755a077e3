package server_test

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// old is what a site holds before a push of the sample.
func old() *transfertest.Site {
	s := transfertest.Sample()
	s.Records[transfer.StageEntities] = s.Records[transfer.StageEntities][:2]
	s.Records[transfer.StageLinks] = nil
	s.Files = s.Files[:1]
	return s
}

// small is the sample with a smaller file, so that a run takes few milliseconds.
func small() *transfertest.Site {
	s := transfertest.Sample()
	s.Files[2].Body = s.Files[2].Body[:100<<10]
	return s
}

// whichOf says which content a site holds.
func whichOf(s *transfertest.Site) string {
	lines := s.Lines()
	switch {
	case slices.Equal(lines, old().Lines()):
		return "old"
	case slices.Equal(lines, small().Lines()):
		return "new"
	default:
		return "neither: " + strings.Join(lines, "\n")
	}
}

// peers are what the two sides speak with each other.
func peers() map[string]protocol.Extensions {
	return map[string]protocol.Extensions{"stock": {}, "ours": extensions()}
}

// lag is by how much [transfertest.Delay] delays: longer than an answer is waited for before the question is asked again, and not as
// long as silence is suffered.
const lag = 45 * time.Second

// faults are all faults of a transfer, of which count messages come from each side.
func faults(count func(transfertest.Peer) int) (all []transfertest.Fault) {
	for _, from := range []transfertest.Peer{transfertest.Client, transfertest.Server} {
		for n := 1; n <= count(from); n++ {
			for _, do := range transfertest.Mishaps() {
				all = append(all, transfertest.Fault{Do: do, From: from, Count: n, Delay: lag})
			}
			all = append(all, transfertest.Fault{Do: transfertest.Drop, From: from, Count: n, Always: true})
			for _, at := range []int{1, 3, 9} { // inside the head of a frame, and right after it
				all = append(all, transfertest.Fault{Do: transfertest.CutInside, From: from, Count: n, At: at})
			}
		}
	}
	return all
}

// thinned leaves out most faults, but for those who want them all, as "make faults" does: one in so many is tried that all kinds come.
func thinned(all []transfertest.Fault) (some []transfertest.Fault) {
	every := 7 // it shares no divisor with the number of faults of a message, nor does the other one
	if testing.Short() {
		every = 17
	}
	if os.Getenv("TRANSFER_FAULTS") != "" {
		every = 1
	}
	for i := 0; i < len(all); i += every {
		some = append(some, all[i])
	}
	return some
}

// parallel runs f for each fault, as many at a time as there are processors.
func parallel(t *testing.T, all []transfertest.Fault, f func(t *testing.T, fault transfertest.Fault)) {
	t.Helper()
	t.Logf("%d faults", len(all))
	work := make(chan transfertest.Fault)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for fault := range work {
				t.Run(describe(fault), func(t *testing.T) { f(t, fault) })
			}
		})
	}
	for _, fault := range all {
		work <- fault
	}
	close(work)
	workers.Wait()
}

func describe(f transfertest.Fault) string {
	name := fmt.Sprintf("%s/%s/%d", f.From, f.Do, f.Count)
	if f.At != 0 {
		name += fmt.Sprintf("/at %d", f.At)
	}
	if f.Always {
		name += "/always"
	}
	return name
}

// An outcome is what must become of a transfer with a fault of a kind.
type outcome struct {
	ok     bool          // it must succeed; otherwise it may
	within time.Duration // how long it may take
}

// outcomeOf returns what must become of a transfer in a direction. What the network only delays or repeats does no harm, nor does the
// loss of one message of a push, which is sent again; a server never sends a frame of a pull again.
func outcomeOf(direction protocol.Direction, f transfertest.Fault) outcome {
	switch f.Do {
	case transfertest.Duplicate, transfertest.Again, transfertest.Slice:
		return outcome{ok: true, within: time.Second}
	case transfertest.Delay:
		return outcome{ok: true, within: 2 * lag}
	case transfertest.Drop, transfertest.Swap:
		switch {
		case f.Always: // until each resend has failed; a commit is waited for longest
			return outcome{within: 31 * time.Minute}
		case direction == protocol.Push:
			return outcome{ok: true, within: 31 * time.Second}
		}
		return outcome{within: 6 * time.Minute}
	case transfertest.Cut, transfertest.CutInside, transfertest.CutAfter, transfertest.Reset, transfertest.Corrupt:
		return outcome{within: time.Second} // the end of a connection is noticed at once
	case transfertest.Stall:
		return outcome{within: 6 * time.Minute}
	}
	return outcome{}
}

func TestAPushSurvivesEveryFaultOfItsConnection(t *testing.T) {
	t.Parallel()
	for name, offer := range peers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []transfertest.Fault
			inWorld(t, &site{content: old(), blank: true}, func(w *world) {
				p := w.behind(transfertest.Fault{})
				require.NoError(w.t, w.push(atProxy, offer))
				require.Equal(w.t, "new", whichOf(w.site.current()))
				all = thinned(faults(p.Counted))
			})
			parallel(t, all, func(t *testing.T, fault transfertest.Fault) {
				t.Helper()
				inWorld(t, &site{content: old(), blank: true}, func(w *world) { w.pushOnce(fault, offer) })
			})
		})
	}
}

// pushOnce pushes with a fault, and makes sure that the site is one thing or the other, and says so.
func (w *world) pushOnce(f transfertest.Fault, offer protocol.Extensions) {
	w.t.Helper()
	w.behind(f)
	began := time.Now()
	err := w.push(atProxy, offer)
	took, held := time.Since(began), w.room()
	now := whichOf(w.site.current())
	switch {
	case err == nil:
		require.Equal(w.t, "new", now)
	case now == "new":
		require.ErrorIs(w.t, err, transfer.ErrOutcomeUnknown)
	default:
		require.Equal(w.t, "old", now, "%v", err)
	}
	want := outcomeOf(protocol.Push, f)
	require.True(w.t, err == nil || !want.ok, "%v", err)
	require.LessOrEqual(w.t, took, want.within, "%v", err)
	require.LessOrEqual(w.t, held, server.DefaultHeartbeatTimeout+server.DefaultHeartbeatInterval, "a dead client is noticed")
	require.NoError(w.t, w.push(atServer, offer), "the next push succeeds without further ado")
}

func TestAPullSurvivesEveryFaultOfItsConnection(t *testing.T) {
	t.Parallel()
	for name, offer := range peers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var all []transfertest.Fault
			inWorld(t, &site{content: small()}, func(w *world) {
				p := w.behind(transfertest.Fault{})
				whole, err := w.pull(atProxy, offer)
				require.NoError(w.t, err)
				require.Equal(w.t, "new", whichOf(whole.Site()))
				all = thinned(faults(p.Counted))
			})
			parallel(t, all, func(t *testing.T, fault transfertest.Fault) {
				t.Helper()
				inWorld(t, &site{content: small()}, func(w *world) { w.pullOnce(fault, offer) })
			})
		})
	}
}

// pullOnce pulls with a fault, and makes sure that what is here is one thing or the other, and says so.
func (w *world) pullOnce(f transfertest.Fault, offer protocol.Extensions) {
	w.t.Helper()
	w.behind(f)
	began := time.Now()
	dst, err := w.pull(atProxy, offer)
	took := time.Since(began)
	if err == nil {
		require.Equal(w.t, "new", whichOf(dst.Site()))
	} else {
		require.Equal(w.t, "old", whichOf(dst.Site()), "%v", err)
	}
	want := outcomeOf(protocol.Pull, f)
	require.True(w.t, err == nil || !want.ok, "%v", err)
	require.LessOrEqual(w.t, took, want.within, "%v", err)
}
