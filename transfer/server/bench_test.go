package server_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// heavy is content of some kind.
func heavy(files, rows int) *transfertest.Site {
	s := empty()
	body := make([]byte, 1<<20)
	_, _ = rand.Read(body)
	for i := range files {
		name := fmt.Sprintf("file_%d.bin", i)
		s.Files = append(s.Files, transfertest.File{Name: name, Metadata: fmt.Sprintf(`{"id":%d,"name":%q}`, i+1, name), Body: body})
		s.Records[transfer.StageEntities] = append(s.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":"plugin::upload.file","id":%d,"data":{"name":%q,"url":"/uploads/%s"}}`, i+1, name, name))
	}
	for i := range rows {
		s.Records[transfer.StageEntities] = append(s.Records[transfer.StageEntities],
			fmt.Sprintf(`{"type":"api::category.category","id":%d,"data":{"name":"%d %s","documentId":"d%d"}}`, i+1, i, strings.Repeat("lorem ", 100), i))
		s.Records[transfer.StageLinks] = append(s.Records[transfer.StageLinks],
			fmt.Sprintf(`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::category.category","field":"parent","ref":%d},"right":{"type":"api::category.category","ref":%d,"pos":1}}`, i+1, max(i, 1)))
	}
	return s
}

// drain is a destination that takes everything and keeps nothing.
type drain struct{ *transfertest.Memory }

func (d drain) Write(ctx context.Context, batch transfer.Batch) error {
	for _, r := range batch.Records {
		if _, ok := r.(transfer.Asset); ok {
			return d.Memory.Write(ctx, batch)
		}
	}
	return context.Cause(ctx)
}

// BenchmarkRoundTrips moves files, and rows with links, over a line with and without 40 ms of round-trip time, in turn, and tells what
// is left of the rate. It is so much content that the round trips which a stage takes at least, for its start and its end, do not count.
func BenchmarkRoundTrips(b *testing.B) {
	for _, content := range []struct {
		name        string
		files, rows int
	}{{"files", 1024, 0}, {"rows", 0, 1_000_000}} {
		for _, window := range []int{1, 8, 16} {
			files, rows := content.files, content.rows
			if window == 1 { // a fraction is enough to show what it would be like
				files, rows = files/32, rows/32
			}
			site1 := heavy(files, rows)
			for _, direction := range []protocol.Direction{protocol.Push, protocol.Pull} {
				b.Run(fmt.Sprintf("%s/window=%d/%s", content.name, window, direction), func(b *testing.B) {
					r := newRig(b, &site{content: site1, blank: true})
					target := strings.TrimPrefix(r.http.URL, "http://")
					near, far := transfertest.Lag(b, target, 0), transfertest.Lag(b, target, 20*time.Millisecond)
					offer := extensions()
					offer.Window = window
					var short, long []float64 // seconds
					measure := func(address string) float64 {
						runtime.GC() // of what the one before has left
						return r.move(b, direction, address, offer, site1).Seconds()
					}
					measure(near)  // the first is faster than any that follows, or slower
					for b.Loop() { // each comes first as often as the other
						short, long = append(short, measure(near)), append(long, measure(far))
						long, short = append(long, measure(far)), append(short, measure(near))
					}
					items := float64(files + 2*rows)
					b.ReportMetric(0, "ns/op")
					b.ReportMetric(100*mean(short)/mean(long), "%-of-the-rate")
					b.ReportMetric(items/mean(long), content.name+"/s")
					b.ReportMetric(items/mean(short), content.name+"/s-without")
				})
			}
		}
	}
}

func mean(of []float64) (m float64) {
	for _, x := range of {
		m += x / float64(len(of))
	}
	return m
}

// move returns how long the stages of a transfer take that have content to speak of: what each of the others costs is a few round
// trips, however much there is to move.
func (r *rig) move(b *testing.B, direction protocol.Direction, address string, offer protocol.Extensions, content *transfertest.Site) time.Duration {
	b.Helper()
	url := "http://" + address + "/admin"
	memory := drain{transfertest.NewMemory(nil)}
	memory.Blank = true
	var src transfer.Source = transfertest.NewMemory(content)
	var dst transfer.Destination = memory
	if direction == protocol.Push {
		dst = remote.NewDestination(url, r.options(offer))
	} else {
		src = remote.NewSource(url, r.options(offer))
	}
	report, err := transfer.Run(b.Context(), src, dst, transfer.Options{Orphans: transfer.OrphansSkip})
	require.NoError(b, err)
	require.NoError(b, src.Close())
	require.NoError(b, dst.Close())
	var took time.Duration
	for _, stage := range report.Stages {
		if stage.Bytes > 1<<20 {
			took += stage.Elapsed
		}
	}
	return took
}

// BenchmarkManyPulls pulls one site with 50 clients at a time.
func BenchmarkManyPulls(b *testing.B) {
	const clients = 50
	content := heavy(8, 2000)
	size := 0
	for _, f := range content.Files {
		size += len(f.Body)
	}
	for _, rows := range content.Records {
		for _, row := range rows {
			size += len(row)
		}
	}
	r := newRig(b, &site{content: content})
	for b.Loop() {
		var pulls sync.WaitGroup
		for range clients {
			pulls.Go(func() {
				r.move(b, protocol.Pull, strings.TrimPrefix(r.http.URL, "http://"), extensions(), nil)
			})
		}
		pulls.Wait()
	}
	b.SetBytes(int64(size * clients))
}
