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
	Help  string
	Lines []line
}

type serverPage struct {
	Figures  []figure
	Live     jobs.FeedStats
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
	d.stream(w, r, jobs.Subscribe{}, func(context.Context) (update, error) {
		p, err := d.serverPage()
		if err != nil {
			return update{}, err
		}
		return d.update("server", p, "figures", "families")
	})
}

// serverPage reads the figures.
func (d *dashboard) serverPage() (serverPage, error) {
	p := serverPage{Live: d.jobs.Feed().Stats()}
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
		{"Watching now", whole(float64(p.Live.Subscribers)), "browsers and programs that follow jobs"},
		{"Received", size(sum("transfer_runner_bytes_total", "way", "in")), "by the runner, since the start"},
		{"Sent", size(sum("transfer_runner_bytes_total", "way", "out")), "by the runner, since the start"},
		{"Messages", whole(sum("transfer_runner_messages_total", "", "")), "received and answered by the runner"},
		{"Errors", whole(sum("transfer_runner_errors_total", "", "")), whole(sum("transfer_runner_refusals_total", "", "")) + " connections refused"},
		{"Memory", size(memory()), "of the server, in use"},
		{"Up", spanText(d.Now().Sub(d.started)), "since it started"},
	}
	p.Families = families(all)
	p.Families = append(p.Families, family{Name: "Live events", Help: "What subscribers of jobs were told.", Lines: []line{
		{"subscribers", whole(float64(p.Live.Subscribers))},
		{"events sent", whole(float64(p.Live.Sent))},
		{"merged, because newer progress took their place", whole(float64(p.Live.Merged))},
		{"subscribers dropped, because they were too slow", whole(float64(p.Live.Dropped))},
	}})
	return p, nil
}

// families are the server's own metrics with their labels.
func families(all []*dto.MetricFamily) []family {
	var out []family
	for _, f := range all {
		name, ours := strings.CutPrefix(f.GetName(), "transfer_")
		if !ours || f.GetType() == dto.MetricType_HISTOGRAM || f.GetType() == dto.MetricType_SUMMARY || len(f.GetMetric()) == 0 {
			continue
		}
		bytes := strings.Contains(name, "bytes")
		group := family{Name: title(strings.ReplaceAll(strings.TrimSuffix(name, "_total"), "_", " ")), Help: f.GetHelp()}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			value := whole(valueOf(m))
			if bytes {
				value = size(valueOf(m))
			}
			group.Lines = append(group.Lines, line{cmp.Or(strings.Join(labels, ", "), "all"), value})
		}
		slices.SortFunc(group.Lines, func(a, b line) int { return strings.Compare(a.Name, b.Name) })
		out = append(out, group)
	}
	return out
}

func title(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
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
