package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
)

// perPage is how many jobs a page lists.
const perPage = 50

// filter is what of the jobs is listed. It is all in the address, so that a list can be shared.
type filter struct {
	State string // one of the states, "active", or "" for all
	Kind  string // sync, push, pull, prune or ""
	Site  string
	Since string
	Text  string
	Page  int
}

// choice is one of several things to choose.
type choice struct {
	Value, Label string
	Chosen       bool
	Count        int
	Link         string
}

func readFilter(q url.Values) filter {
	page, err := strconv.Atoi(q.Get("page"))
	if err != nil || page < 1 || page > 10_000 {
		page = 1
	}
	clip := func(text string) string { return text[:min(len(text), 100)] }
	return filter{
		State: clip(q.Get("state")), Kind: clip(q.Get("kind")), Site: clip(q.Get("site")), Since: clip(q.Get("since")), Text: clip(q.Get("q")), Page: page,
	}
}

// Query is the filter as a part of an address.
func (f filter) Query() string {
	q := url.Values{}
	for name, value := range map[string]string{"state": f.State, "kind": f.Kind, "site": f.Site, "since": f.Since, "q": f.Text} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Page > 1 {
		q.Set("page", strconv.Itoa(f.Page))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// with returns the filter with another state.
func (f filter) with(state string) filter {
	f.State, f.Page = state, 1
	return f
}

// Page returns the filter of another page.
func (f filter) turn(by int) filter {
	f.Page += by
	return f
}

// Narrow reports whether the filter leaves out anything.
func (f filter) Narrow() bool { return f.with("").Query() != "" || f.State != "" }

func sinceOf(word string) time.Duration {
	switch word {
	case "hour":
		return time.Hour
	case "day":
		return 24 * time.Hour
	case "week":
		return 7 * 24 * time.Hour
	case "month":
		return 30 * 24 * time.Hour
	default:
		return 0
	}
}

func (f filter) query(v *jobs.Visible, now time.Time) jobs.Query {
	q := jobs.Query{Name: f.Site, Text: f.Text, Visible: v, Limit: perPage, Offset: (f.Page - 1) * perPage}
	if since := sinceOf(f.Since); since > 0 {
		q.Since = now.Add(-since)
	}
	switch f.Kind {
	case "sync":
		q.Kinds = []jobs.Kind{jobs.KindSync}
	case "push", "pull":
		q.Kinds, q.Direction = []jobs.Kind{jobs.KindSession}, f.Kind
	case "prune":
		q.Kinds = []jobs.Kind{jobs.KindPrune}
	}
	if slices.Contains(jobs.States(), jobs.State(f.State)) {
		q.States = []jobs.State{jobs.State(f.State)}
	}
	return q
}

// listPage is the list of jobs.
type listPage struct {
	Filter  filter
	States  []choice
	Kinds   []choice
	Sites   []choice
	Sinces  []choice
	Jobs    []jobView
	Total   int
	From    int
	To      int
	Earlier string // links to pages
	Later   string
	Start   bool
}

// list gathers what the list shows.
func (d *dashboard) list(ctx context.Context, v viewer, f filter) (listPage, error) {
	now := d.Now()
	visible := v.Visible()
	found, total, err := d.jobs.List(ctx, f.query(visible, now))
	if err != nil {
		return listPage{}, err
	}
	p := listPage{Filter: f, Total: total, Start: d.mayStartSomething(v)}
	for _, j := range found {
		p.Jobs = append(p.Jobs, d.brief(j, now))
	}
	if len(found) > 0 {
		p.From, p.To = (f.Page-1)*perPage+1, (f.Page-1)*perPage+len(found)
	}
	if f.Page > 1 {
		p.Later = "/" + f.turn(-1).Query()
	}
	if p.To < total && len(found) > 0 {
		p.Earlier = "/" + f.turn(1).Query()
	}
	if p.States, err = d.stateChoices(ctx, f, visible, now); err != nil {
		return p, err
	}
	p.Kinds = choices(f.Kind, "", "Every sort", "sync", "Syncs", "push", "Client pushes", "pull", "Client pulls", "prune", "Prunes")
	p.Sinces = choices(f.Since, "", "Any time", "hour", "Last hour", "day", "Last 24 hours", "week", "Last 7 days", "month", "Last 30 days")
	names := []string{"", "Every site"}
	for _, e := range d.server.Endpoints() {
		if v.Administers() || e.Kind == server.EndpointSite && v.seesSite(e.Name) {
			names = append(names, e.Name, e.Name)
		}
	}
	p.Sites = choices(f.Site, names...)
	return p, nil
}

// stateChoices counts the jobs by state, as the other filters leave them.
func (d *dashboard) stateChoices(ctx context.Context, f filter, visible *jobs.Visible, now time.Time) ([]choice, error) {
	out := []choice{{Value: "", Label: "All", Chosen: f.State == "", Link: "/" + f.with("").Query()}}
	for _, state := range jobs.States() {
		q := f.with(string(state)).query(visible, now)
		q.Limit = 1
		_, n, err := d.jobs.List(ctx, q)
		if err != nil {
			return nil, err
		}
		out[0].Count += n
		out = append(out, choice{
			Value: string(state), Label: stateWord(state), Chosen: f.State == string(state), Count: n, Link: "/" + f.with(string(state)).Query(),
		})
	}
	return out, nil
}

// choices makes a list of values and labels.
func choices(chosen string, pairs ...string) []choice {
	var out []choice
	for i := 0; i+1 < len(pairs); i += 2 {
		out = append(out, choice{Value: pairs[i], Label: pairs[i+1], Chosen: pairs[i] == chosen})
	}
	return out
}

func (d *dashboard) listJobs(w http.ResponseWriter, r *http.Request) {
	f := readFilter(r.URL.Query())
	p, err := d.list(r.Context(), viewerOf(r.Context()), f)
	if err != nil {
		d.broken(w, r, err)
		return
	}
	d.render(w, r, http.StatusOK, "jobs", frame{Title: "Jobs", Area: "jobs", Live: "/live/jobs" + f.Query(), Data: p})
}

func (d *dashboard) liveJobs(w http.ResponseWriter, r *http.Request) {
	v, f := viewerOf(r.Context()), readFilter(r.URL.Query())
	d.stream(w, r, listEvery, jobs.Subscribe{Visible: v.Visible()}, func(ctx context.Context) (update, error) {
		p, err := d.list(ctx, v, f)
		if err != nil {
			return update{}, err
		}
		return d.update("jobs", p, "states", "list")
	})
}
