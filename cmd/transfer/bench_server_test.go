//go:build unix

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer/transfertest/strapitest"
)

// daemon is the built command as a server, a process of its own.
type daemon struct {
	cmd   *exec.Cmd
	url   string
	token string
	mute  chan struct{} // closed when it says nothing more
}

var servesAt = regexp.MustCompile(`serving the vault's site default at (\S+)`)

// startDaemon starts a server on a fresh vault. It ends with the test, or with stop.
func startDaemon(tb testing.TB) *daemon {
	tb.Helper()
	path, err := binary()
	require.NoError(tb, err)
	dir := tb.TempDir()
	d := &daemon{mute: make(chan struct{}), cmd: exec.CommandContext(context.WithoutCancel(tb.Context()), path, "serve", "--listen", "127.0.0.1:0", "--data", dir)}
	d.cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "TMPDIR=" + dir}
	stdout, err := d.cmd.StdoutPipe()
	require.NoError(tb, err)
	stderr, err := d.cmd.StderrPipe()
	require.NoError(tb, err)
	require.NoError(tb, d.cmd.Start())
	tb.Cleanup(func() { d.stop() })
	said := bufio.NewScanner(stderr)
	for d.url == "" && said.Scan() {
		if found := servesAt.FindStringSubmatch(said.Text()); found != nil {
			d.url = found[1]
		}
	}
	go func() { // joined by stop; a server that nobody listens to would stop in the middle of a word
		defer close(d.mute)
		for said.Scan() {
			continue
		}
	}()
	require.NotEmpty(tb, d.url)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(tb, err)
	d.token = strings.TrimSpace(line)
	return d
}

// stop ends the server and returns what it used.
func (d *daemon) stop() usage {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		<-d.mute
		_ = d.cmd.Wait()
	}
	u, _ := usageOf(d.cmd.ProcessState, 0)
	return u
}

func (d *daemon) from() []string { return []string{"--from", d.url, "--from-token", d.token} }
func (d *daemon) to() []string   { return []string{"--to", d.url, "--to-token", d.token} }

// stageSeconds are the seconds that each stage of a transfer took.
type stageSeconds map[string]float64

// rows is what entities and links took together.
func (s stageSeconds) rows() float64 { return s["entities"] + s["links"] }

// timedRun runs our command with a report and returns what its stages took.
func timedRun(b *testing.B, lists ...[]string) stageSeconds {
	b.Helper()
	report := filepath.Join(b.TempDir(), "report.json")
	measure(b, append(lists, []string{"--report", report})...)
	return reportedStages(b, report)
}

// reportedStages returns what the stages took according to a report.
func reportedStages(b *testing.B, report string) stageSeconds {
	b.Helper()
	text, err := os.ReadFile(report)
	require.NoError(b, err)
	var r struct {
		Report struct {
			Stages []struct {
				Stage   string        `json:"stage"`
				Elapsed time.Duration `json:"elapsedNs"`
			} `json:"stages"`
		} `json:"report"`
	}
	require.NoError(b, json.Unmarshal(text, &r), "%s", text)
	out := make(stageSeconds)
	for _, s := range r.Report.Stages {
		out[s.Stage] = s.Elapsed.Seconds()
	}
	require.NotZero(b, out.rows(), "%s", text)
	return out
}

// toldByStock is a line in which Strapi's command says what a stage took.
var toldByStock = regexp.MustCompile(`✔ (\w+): [^\n]* · ([\d.]+)(ms|s|m)\s`)

// theirs runs Strapi's command and returns what its stages took.
func theirs(b *testing.B, instance *strapitest.Instance, args ...string) stageSeconds {
	b.Helper()
	result := instance.CLI(b, args...)
	require.NoError(b, result.Err, "%s%s", result.Stdout, result.Stderr)
	return printedStages(b, result.Stdout+result.Stderr)
}

// printedStages returns what the stages took according to the output of Strapi's command.
func printedStages(b *testing.B, output string) stageSeconds {
	b.Helper()
	out := make(stageSeconds)
	for _, found := range toldByStock.FindAllStringSubmatch(output, -1) {
		n, err := strconv.ParseFloat(found[2], 64)
		require.NoError(b, err)
		out[found[1]] = n * map[string]float64{"ms": 0.001, "s": 1, "m": 60}[found[3]]
	}
	require.NotZero(b, out.rows(), "%s", output)
	return out
}

// BenchmarkServerAgainstStock pushes to and pulls from our server with our client, and between two Strapi servers with Strapi's, the
// same content in turn, and tells the time of the stages: seeded content with 5,000 entries, 20,000 components and 15,000 links more, and 200
// files of 1 MB.
func BenchmarkServerAgainstStock(b *testing.B) {
	strapitest.Require(b)
	source := strapitest.New(b, strapitest.Options{Seed: true})
	for from := 0; from < 5000; from += 2500 {
		source.Script(b, plantMany, strconv.Itoa(from), strconv.Itoa(from+2500))
	}
	source.Script(b, uploadMany, "200", "1000000")
	token := source.Token(b, strapitest.Forever, "pull", "push")
	other := source.Clone(b)
	source.Start(b)
	content := filepath.Join(b.TempDir(), "site.tar")
	measure(b, []string{"pull", "--quiet", "--to", content, "--from", source.URL(), "--from-token", token})
	source.Stop(b)

	other.Start(b)
	for _, direction := range []string{"push", "pull"} {
		b.Run(direction, func(b *testing.B) {
			var own, stock stageSeconds
			for b.Loop() {
				d := startDaemon(b) // an empty vault each time: what it has, it would not store again
				own = timedRun(b, []string{"push", "--quiet", "--yes", "--from", content}, d.to())
				if direction == "pull" {
					own = timedRun(b, []string{"pull", "--quiet", "--yes", "--to", filepath.Join(b.TempDir(), "back.tar")}, d.from())
					stock = theirs(b, source, "transfer", "--force", "--from", other.URL(), "--from-token", token)
				} else {
					stock = theirs(b, source, "transfer", "--force", "--to", other.URL(), "--to-token", token)
				}
				d.stop()
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(own.rows(), "rows-s")
			b.ReportMetric(stock.rows(), "stock-rows-s")
			b.ReportMetric(stock.rows()/own.rows(), "rows-x-faster")
			b.ReportMetric(own["assets"], "assets-s")
			b.ReportMetric(stock["assets"], "stock-assets-s")
			b.ReportMetric(stock["assets"]/own["assets"], "assets-x-faster")
		})
	}
}
