package dashboard

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
)

// jobView is a job as its page and the list show it.
type jobView struct {
	jobs.Job

	Word, Headline, Story string
	Advice                advice
	What                  [2]string // from and to
	Sort                  string
	Percent               string
	Whole                 int    // percent
	By                    string // who, in short
	Cause                 string // of a failure, unless its state says all
	Elapsed               time.Duration
	StageViews            []stageView
	Types                 []typeView
	Report                *report
	Plan                  *planView
	MayCancel, MayRerun   bool
	MayGo                 bool // a dry run can be followed by the real thing
	Typed                 bool // and its destination has to be named for that
	Command               string
	OptionLines           []line
	Log                   []jobs.Diagnostic
}

// stageView is a stage of a job.
type stageView struct {
	jobs.Stage

	Word    string
	State   string // "", "active", "done"
	Percent string // "" when unknown
	Left    string // time, "" when unknown
}

// typeView is a line of the table of content types.
type typeView struct {
	Name  string
	Items int64
}

// line is a name and a value.
type line struct{ Name, Value string }

// report is the part of the engine's report that is shown. The whole of it can be downloaded.
type report struct {
	transfer.Report

	Plan *plan `json:"plan"`
}

// brief is what the list shows of a job.
func (d *dashboard) brief(j jobs.Job, now time.Time) jobView {
	view := jobView{Job: j, Word: stateWord(j.State), Headline: headline(&j), What: ways(&j), Sort: sortOf(&j), Percent: percent(j.Progress), Whole: int(j.Progress), By: by(j.Who)}
	if !j.Started.IsZero() {
		end := j.Finished
		if end.IsZero() {
			end = now
		}
		view.Elapsed = end.Sub(j.Started)
	}
	if j.Error != nil && j.Error.Code != string(jobs.StateCancelled) {
		view.Cause = j.Error.Message
	}
	return view
}

// view is what the page of a job shows.
func (d *dashboard) view(ctx context.Context, v viewer, j jobs.Job) jobView {
	now := d.Now()
	view := d.brief(j, now)
	if len(j.Report) > 0 {
		var r report
		if json.Unmarshal(j.Report, &r) == nil {
			view.Report, view.Plan = &r, d.planView(ctx, v, &j, r.Plan)
		}
	}
	remotes := make(map[string]bool)
	for _, e := range d.server.Endpoints() {
		remotes[e.Name] = e.Kind == server.EndpointRemote
	}
	view.Story, view.Advice = story(&j, stateAfter(&j, view.Report), now), adviceFor(&j, remotes)
	view.StageViews, view.Types = stageViews(&j), typeViews(&j, view.Report)
	view.MayCancel = !j.State.Ended() && !j.Cancelling && v.MayCancel(&j)
	again := jobs.Spec{Kind: j.Kind, From: j.From, To: j.To, Site: j.Site, Options: j.Options}
	if j.State.Ended() && j.Kind != jobs.KindSession {
		view.MayRerun = v.MayStart(again) == nil
	}
	view.MayGo = view.MayRerun && j.Options.DryRun && j.State == jobs.StateCompleted
	view.Typed = remotes[j.To]
	view.OptionLines, view.Log = optionLines(&j), history(&j)
	return view
}

// stateAfter is what is known of the destination after the job.
func stateAfter(j *jobs.Job, r *report) transfer.State {
	switch {
	case j.Result != nil && j.Result.Destination != "":
		return j.Result.Destination
	case r != nil:
		return r.State
	default:
		return ""
	}
}

// ways are the two ends of a job for people.
func ways(j *jobs.Job) [2]string {
	switch {
	case j.Kind == jobs.KindPrune:
		return [2]string{j.Site, ""}
	case j.Kind == jobs.KindSession && j.Direction == "pull":
		return [2]string{cmp.Or(j.From, j.Site), cmp.Or(j.To, "a client")}
	case j.Kind == jobs.KindSession:
		return [2]string{cmp.Or(j.From, "a client"), cmp.Or(j.To, j.Site)}
	default:
		return [2]string{j.From, j.To}
	}
}

// sortOf says what sort of job it is.
func sortOf(j *jobs.Job) string {
	switch {
	case j.Kind == jobs.KindPrune:
		return "Prune"
	case j.Kind == jobs.KindSession && j.Direction == "pull":
		return "Client pull"
	case j.Kind == jobs.KindSession:
		return "Client push"
	case j.Options.DryRun:
		return "Check"
	case strings.Contains(j.From, "@"):
		return "Restore"
	default:
		return "Sync"
	}
}

// by is the name of the token in what a job tells about who started it.
func by(who string) string {
	if _, rest, ok := strings.Cut(who, `token "`); ok {
		if end := strings.LastIndex(rest, `"`); end > 0 {
			return rest[:end]
		}
	}
	return who
}

func percent(p float64) string { return strconv.FormatFloat(min(max(p, 0), 100), 'f', 1, 64) }

// stageViews are the five stages, also those that have not begun, unless the job is not to have any.
func stageViews(j *jobs.Job) []stageView {
	if j.Kind == jobs.KindPrune || j.Options.DryRun || j.State.Ended() && len(j.Stages) == 0 {
		return nil
	}
	var out []stageView
	for _, name := range transfer.Stages() {
		view := stageView{Stage: jobs.Stage{Stage: name}, Word: stageWords(name)}
		if i := slices.IndexFunc(j.Stages, func(s jobs.Stage) bool { return s.Stage == name }); i >= 0 {
			view.Stage = j.Stages[i]
			view.fill(j)
		}
		out = append(out, view)
	}
	return out
}

func (s *stageView) fill(j *jobs.Job) {
	switch {
	case !s.Finished.IsZero():
		s.State, s.Percent = "done", "100"
		return
	case !j.State.Ended():
		s.State = "active"
	}
	switch {
	case s.Stage.Stage == transfer.StageAssets && s.TotalBytes > 0:
		s.Percent = percent(100 * float64(s.Bytes) / float64(s.TotalBytes))
	case s.TotalItems > 0:
		s.Percent = percent(100 * float64(s.Items) / float64(s.TotalItems))
	}
	if s.ETA != nil && s.State == "active" {
		s.Left = spanText(time.Duration(*s.ETA * float64(time.Second)).Round(time.Second))
	}
}

// typeViews are the numbers of entities by content type, the largest first.
func typeViews(j *jobs.Job, r *report) []typeView {
	counts := make(map[string]int64)
	for _, s := range j.Stages {
		if s.Stage == transfer.StageEntities {
			maps.Copy(counts, s.ByType)
		}
	}
	if r != nil && len(counts) == 0 {
		for _, s := range r.Stages {
			if s.Stage == transfer.StageEntities {
				maps.Copy(counts, s.ByType)
			}
		}
		if r.Plan != nil && len(counts) == 0 {
			maps.Copy(counts, r.Plan.Totals[transfer.StageEntities].ByType)
		}
	}
	out := make([]typeView, 0, len(counts))
	for name, n := range counts {
		out = append(out, typeView{name, n})
	}
	slices.SortFunc(out, func(a, b typeView) int { return cmp.Or(cmp.Compare(b.Items, a.Items), cmp.Compare(a.Name, b.Name)) })
	return out
}

// DifferenceLines are the differences of the schemas in words.
func (r *report) DifferenceLines() []string {
	var out []string
	for _, d := range r.Differences {
		out = append(out, d.String())
	}
	return out
}

// optionLines are the options of a job that are not the default.
func optionLines(j *jobs.Job) []line {
	var out []line
	o := j.Options
	put := func(name, value string) {
		if value != "" {
			out = append(out, line{name, value})
		}
	}
	put("Only", joined(o.Only))
	put("Without", joined(o.Exclude))
	put("Only content types", strings.Join(o.OnlyTypes, ", "))
	put("Without content types", strings.Join(o.ExcludeTypes, ", "))
	put("Schemas", string(o.SchemaStrategy))
	put("Versions", string(o.VersionStrategy))
	put("Links that lead nowhere", string(o.Orphans))
	if o.AllowSkipped > 0 {
		put("Records that may be skipped", countText(o.AllowSkipped))
	}
	put("At most", rateText(float64(o.MaxRate)))
	if o.DryRun {
		put("Changes", "none: this is a check")
	}
	if o.Rerun {
		put("If the server dies", "runs again")
	}
	if k := o.Keep; k != nil {
		put("Keeps", keepText(*k))
	}
	return out
}

func joined(groups []transfer.Group) string {
	var names []string
	for _, g := range groups {
		names = append(names, string(g))
	}
	return strings.Join(names, ", ")
}

func keepText(k jobs.Keep) string {
	var out []string
	for _, rule := range []struct {
		n    int
		unit string
	}{{k.Last, "newest"}, {k.Daily, "daily"}, {k.Weekly, "weekly"}} {
		if rule.n > 0 {
			out = append(out, strconv.Itoa(rule.n)+" "+rule.unit)
		}
	}
	return strings.Join(out, ", ")
}
