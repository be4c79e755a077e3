package dashboard

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// figure is one number of the server, large.
type figure struct {
	Name, Value, Note string
}

// family is a group of figures of one sort.
type family struct {
	Name  string // for people
	Lines []line
}

type serverPage struct {
	Figures  []figure
	Families []family
}

func (d *dashboard) showServer(w http.ResponseWriter, r *http.Request) {
	if v := viewerOf(r.Context()); !v.wide() {
		d.refuse(w, r, forbidden("it is for one site, and these figures are of all of them"))
		return
	}
	p, err := d.serverPage()
	if err != nil {
		d.broken(w, r, err)
		return
	}
	d.render(w, r, http.StatusOK, "server", frame{Title: "Server", Area: "server", Live: "/live/server", Data: p})
}

func (d *dashboard) liveServer(w http.ResponseWriter, r *http.Request) {
	if v := viewerOf(r.Context()); !v.wide() {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	d.stream(w, r, listEvery, jobs.Subscribe{}, func(context.Context) (update, error) {
		p, err := d.serverPage()
		if err != nil {
			return update{}, err
		}
		return d.update("server", p, "figures", "families")
	})
}

// serverPage reads the figures.
func (d *dashboard) serverPage() (serverPage, error) {
	p := serverPage{}
	var all []*dto.MetricFamily
	var err error
	if all, err = d.server.Gatherer().Gather(); err != nil {
		return p, err
	}
	sum := func(name, label, value string) (n float64) {
		for _, f := range all {
			if f.GetName() != name {
				continue
			}
			for _, m := range f.GetMetric() {
				if label == "" || labelOf(m, label) == value {
					n += valueOf(m)
				}
			}
		}
		return n
	}
	p.Figures = []figure{
		{"Transfers running", whole(sum("transfer_runner_sessions", "", "")), "connections of clients"},
		{
			"Watching now", whole(float64(d.watching.Load()) + sum("transfer_live_streams", "", "") + sum("transfer_live_socketio_sockets", "", "")),
			"browsers and programs that follow jobs",
		},
		{"Received", size(sum("transfer_runner_bytes_total", "way", "in")), "by the runner, since the start"},
		{"Sent", size(sum("transfer_runner_bytes_total", "way", "out")), "by the runner, since the start"},
		{"Messages", whole(sum("transfer_runner_messages_total", "", "")), "of the runner"},
		{
			"Live messages", whole(sum("transfer_live_sent_total", "", "") + sum("transfer_live_socketio_sent_total", "", "")),
			whole(sum("transfer_live_socketio_received_total", "", "")) + " received by Socket.IO",
		},
		{"Errors", whole(sum("transfer_runner_errors_total", "", "")), whole(sum("transfer_runner_refusals_total", "", "")) + " connections refused"},
		{"Up", spanText(d.Now().Sub(d.started)), size(memory()) + " of memory in use"},
	}
	p.Families = families(all)
	return p, nil
}

// subsystems are the parts of the server that count, as the names of their metrics begin, the longest first.
func subsystems() []line {
	return []line{
		{"transfer_live_socketio_", "Socket.IO"}, {"transfer_live_", "Server-sent events and WebSockets"}, {"transfer_runner_", "Runner"}, {"transfer_jobs_", "Events of jobs"},
	}
}

// families are the server's own metrics, by the part that counts them.
func families(all []*dto.MetricFamily) []family {
	groups := make(map[string]*family)
	for _, f := range all {
		if f.GetType() == dto.MetricType_HISTOGRAM || f.GetType() == dto.MetricType_SUMMARY {
			continue
		}
		for _, part := range subsystems() {
			if !strings.HasPrefix(f.GetName(), part.Name) {
				continue
			}
			if groups[part.Name] == nil {
				groups[part.Name] = &family{Name: part.Value}
			}
			groups[part.Name].add(f)
			break
		}
	}
	var out []family
	for _, part := range subsystems() {
		if group := groups[part.Name]; group != nil {
			out = append(out, *group)
		}
	}
	slices.Reverse(out)
	return out
}

// add adds what one metric counts, each combination of labels on a line.
func (f *family) add(m *dto.MetricFamily) {
	name := strings.TrimSuffix(m.GetHelp(), ".")
	if len(m.GetMetric()) > 0 && len(m.GetMetric()[0].GetLabel()) > 0 {
		f.Lines = append(f.Lines, line{Name: name}) // stands over what follows
	}
	for _, one := range m.GetMetric() {
		var labels []string
		for _, l := range one.GetLabel() {
			labels = append(labels, l.GetValue())
		}
		value := whole(valueOf(one))
		if strings.Contains(m.GetName(), "bytes") {
			value = size(valueOf(one))
		}
		f.Lines = append(f.Lines, line{cmp.Or(strings.Join(labels, ", "), name), value})
	}
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	default:
		return m.GetUntyped().GetValue()
	}
}

func whole(n float64) string {
	if n != math.Trunc(n) {
		return strconv.FormatFloat(n, 'f', 2, 64)
	}
	return countText(int64(n))
}

func size(n float64) string { return bytesText(int64(n)) }

// memory is what the program has in use, in bytes.
func memory() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return float64(sample[0].Value.Uint64())
}
