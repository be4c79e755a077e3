package server_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
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

// impatient is for peers of which one does not keep its word.
func (r *rig) impatient(offer protocol.Extensions) remote.Options {
	return remote.Options{
		Token: r.secret, Offer: offer, RetryMessageTimeout: 60 * time.Millisecond, StallTimeout: 700 * time.Millisecond,
		CloseTimeout: 200 * time.Millisecond, PrepareTimeout: 700 * time.Millisecond,
		AssetsStartTimeout: 200 * time.Millisecond, HeartbeatInterval: 300 * time.Millisecond, HeartbeatTimeout: time.Second,
	}
}

// through is the address of a server behind a proxy.
func (r *rig) through(f transfertest.Fault) (*transfertest.Proxy, string) {
	p := transfertest.NewProxy(r.tb, strings.TrimPrefix(r.http.URL, "http://"), f)
	return p, "http://" + p.Address() + "/admin"
}

// faultRig is a rig whose server does not wait for dead peers for long.
func faultRig(t *testing.T, s *site) *rig {
	t.Helper()
	return newRig(t, s, func(c *server.Config) {
		c.HeartbeatInterval, c.HeartbeatTimeout, c.AckTimeout = 200*time.Millisecond, 3*time.Second, time.Second
	})
}

func push(t *testing.T, url string, options remote.Options) error {
	t.Helper()
	dst := remote.NewDestination(url, options)
	_, err := transfer.Run(t.Context(), transfertest.NewMemory(small()), dst, transfer.Options{})
	require.NoError(t, dst.Close())
	return err
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

// pushOnce returns whether the push says that it went well, and makes sure that the site is one thing or the other.
func pushOnce(t *testing.T, f transfertest.Fault, offer protocol.Extensions) (fired bool) {
	t.Helper()
	r := faultRig(t, &site{content: old(), blank: true})
	p, url := r.through(f)
	err := push(t, url, r.impatient(offer))
	what := fmt.Sprintf("%s %s %d: %v", f.Do, f.From, f.Count, err)
	r.waitForRoom() // the lock is free, whoever held it
	now := whichOf(r.site.current())
	switch {
	case err == nil:
		require.Equal(t, "new", now, what)
	case now == "new":
		require.ErrorIs(t, err, transfer.ErrOutcomeUnknown, what)
	default:
		require.Equal(t, "old", now, what)
	}
	require.NoError(t, push(t, r.url(), r.options(offer)), "the next push succeeds without further ado")
	return p.Fired()
}

// faults are all faults of a transfer, of which count messages come from each side.
func faults(count func(transfertest.Peer) int) (all []transfertest.Fault) {
	for _, from := range []transfertest.Peer{transfertest.Client, transfertest.Server} {
		for n := 1; n <= count(from); n++ {
			for _, do := range transfertest.Mishaps() {
				all = append(all, transfertest.Fault{Do: do, From: from, Count: n, Delay: 150 * time.Millisecond})
			}
		}
	}
	return all
}

// requireFaults skips the test unless it is asked for: it lives on timeouts of a fraction of a second, which a busy machine does not keep
// to.
func requireFaults(t *testing.T) {
	t.Helper()
	if os.Getenv("TRANSFER_FAULTS") == "" {
		t.Skip("set TRANSFER_FAULTS=1, on a machine with nothing else to do, to try every fault of a connection (make faults)")
	}
}

// sample thins faults out for a quick run: one in every, shifted so that all kinds come.
func sample(all []transfertest.Fault, every int) (some []transfertest.Fault) {
	if !testing.Short() {
		return all
	}
	for i := 0; i < len(all); i += every {
		some = append(some, all[i])
	}
	return some
}

// quick is how many faults are left out between two that are tried with -short. It shares no divisor with the number of mishaps.
const quick = 7

// parallel runs f for each fault, a few at a time: they mostly wait.
func parallel(t *testing.T, all []transfertest.Fault, f func(t *testing.T, fault transfertest.Fault)) {
	t.Helper()
	work := make(chan transfertest.Fault)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for fault := range work {
				t.Run(fmt.Sprintf("%s/%s/%d", fault.From, fault.Do, fault.Count), func(t *testing.T) { f(t, fault) })
			}
		})
	}
	for _, fault := range all {
		work <- fault
	}
	close(work)
	workers.Wait()
}

func TestAPushSurvivesEveryFaultOfItsConnection(t *testing.T) {
	requireFaults(t)
	t.Parallel()
	for name, offer := range map[string]protocol.Extensions{"stock": {}, "ours": extensions()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := faultRig(t, &site{content: old(), blank: true})
			p, url := r.through(transfertest.Fault{})
			require.NoError(t, push(t, url, r.options(offer)))
			all := sample(faults(p.Counted), quick)
			t.Logf("%d faults", len(all))
			parallel(t, all, func(t *testing.T, fault transfertest.Fault) {
				t.Helper()
				pushOnce(t, fault, offer)
			})
		})
	}
}

func pull(t *testing.T, r *rig, url string, offer protocol.Extensions) (*transfertest.Memory, error) {
	t.Helper()
	src := remote.NewSource(url, r.impatient(offer))
	dst := transfertest.NewMemory(old())
	dst.Blank = true
	_, err := transfer.Run(t.Context(), src, dst, transfer.Options{})
	require.NoError(t, src.Close())
	return dst, err
}

func TestAPullSurvivesEveryFaultOfItsConnection(t *testing.T) {
	requireFaults(t)
	t.Parallel()
	for name, offer := range map[string]protocol.Extensions{"stock": {}, "ours": extensions()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := faultRig(t, &site{content: small()})
			p, url := r.through(transfertest.Fault{})
			whole, err := pull(t, r, url, offer)
			require.NoError(t, err)
			require.Equal(t, "new", whichOf(whole.Site()))
			parallel(t, sample(faults(p.Counted), quick), func(t *testing.T, fault transfertest.Fault) {
				t.Helper()
				r := faultRig(t, &site{content: small()})
				_, url := r.through(fault)
				dst, err := pull(t, r, url, offer)
				if err == nil {
					require.Equal(t, "new", whichOf(dst.Site()))
					return
				}
				require.Equal(t, "old", whichOf(dst.Site()), "%v", err)
			})
		})
	}
}
