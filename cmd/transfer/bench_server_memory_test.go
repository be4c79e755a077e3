//go:build linux

package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
)

// memory reads a figure of a running server's memory, in bytes: VmRSS is what it has, VmHWM the most that it ever had.
func (d *daemon) memory(tb testing.TB, name string) int64 {
	tb.Helper()
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	require.NoError(tb, err)
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+":"); ok {
			kibibytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64)
			require.NoError(tb, err)
			return kibibytes << 10
		}
	}
	require.NoError(tb, lines.Err())
	tb.Fatalf("the system does not tell %s", name)
	return 0
}

// BenchmarkServerMemory pushes one file of 2 GiB, and many rows, from a server that makes them into our server, and pulls them from
// there into a folder, and tells the memory that our server needed.
func BenchmarkServerMemory(b *testing.B) {
	for name, content := range map[string]bulk{"asset=2GiB": {asset: largeFile}, "rows=100000": {rows: manyRows}} {
		b.Run(name, func(b *testing.B) {
			var peakPush, peakPull int64
			for b.Loop() {
				peakPush, peakPull = throughServer(b, content)
			}
			b.ReportMetric(mebibytes(peakPush), "push-peak-MiB")
			b.ReportMetric(mebibytes(peakPull), "pull-peak-MiB")
		})
	}
}

// throughServer pushes content into a server and pulls it, and returns the most memory that the server had until then.
func throughServer(tb testing.TB, content bulk) (push, pull int64) {
	tb.Helper()
	origin := startBulk(tb, content)
	d := startDaemon(tb)
	measure(tb, []string{"push", "--quiet", "--yes"}, origin.from(), d.to())
	push = d.memory(tb, "VmHWM")
	measure(tb, []string{"pull", "--quiet", "--yes", "--to", "dir:" + filepath.Join(tb.TempDir(), "site")}, d.from())
	pull = d.memory(tb, "VmHWM")
	d.stop()
	return push, pull
}

// TestConformanceServerMemory bounds the memory of the server. It needs no Strapi, but is too slow for every day.
func TestConformanceServerMemory(t *testing.T) {
	if os.Getenv("TRANSFER_CONFORMANCE") == "" {
		t.Skip("set TRANSFER_CONFORMANCE=1 to measure memory")
	}
	t.Parallel()
	push, pull := throughServer(t, bulk{asset: 512 << 20})
	t.Logf("push %.1f MiB, pull %.1f MiB", mebibytes(push), mebibytes(pull))
	require.Less(t, push, int64(maxPeak), "bytes of memory after a push")
	require.Less(t, pull, int64(maxPeak), "bytes of memory after a pull")
}

// BenchmarkIdleConnections opens 1,000 connections with a good token, of which half have begun a pull, and tells what each costs the
// server in memory.
func BenchmarkIdleConnections(b *testing.B) {
	const connections = 1000
	for b.Loop() {
		d := startDaemon(b)
		before := d.memory(b, "VmRSS")
		url := "ws" + strings.TrimPrefix(d.url, "http") + "/transfer/runner/pull"
		open := make([]*websocket.Conn, 0, connections)
		for i := range connections {
			conn, response, err := websocket.DefaultDialer.DialContext(b.Context(), url, http.Header{"Authorization": {"Bearer " + d.token}})
			require.NoError(b, err)
			require.NoError(b, response.Body.Close())
			open = append(open, conn)
			if i%2 == 0 {
				require.NoError(b, conn.WriteMessage(websocket.TextMessage, []byte(`{"type":"command","command":"init","params":{"transfer":"pull"},"uuid":"1"}`)))
				for range 2 { // what it is told, and the answer
					_, _, err := conn.ReadMessage()
					require.NoError(b, err)
				}
			}
		}
		after := d.memory(b, "VmRSS")
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(float64(after-before)/connections/1024, "KiB/connection")
		b.ReportMetric(mebibytes(after), "MiB")
		for _, conn := range open {
			require.NoError(b, conn.Close())
		}
		d.stop()
	}
}
