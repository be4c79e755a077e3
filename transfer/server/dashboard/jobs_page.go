package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
)

// jobPage is the page of a job.
func (d *dashboard) showJob(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	j, err := d.job(r.Context(), v, r.PathValue("id"))
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	view := d.view(r.Context(), v, j)
	view.Command = command(&j, addressOf(r))
	f := frame{Title: strings.Join(trimmed(view.What[:]), " to "), Area: "jobs", Data: view}
	if !j.State.Ended() {
		f.Live = "/live/jobs/" + string(j.ID)
	}
	d.render(w, r, http.StatusOK, "job", f)
}

func trimmed(list []string) (out []string) {
	for _, text := range list {
		if text != "" {
			out = append(out, text)
		}
	}
	return out
}

func (d *dashboard) liveJob(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	j, err := d.job(r.Context(), v, r.PathValue("id"))
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	var told []jobs.Diagnostic
	first := true
	want := jobs.Subscribe{Jobs: []jobs.ID{j.ID}, Visible: v.Visible()}
	d.stream(w, r, jobEvery, want, func(ctx context.Context) (update, error) {
		j, err := d.jobs.Get(ctx, j.ID)
		if err != nil {
			return update{}, err
		}
		view := d.view(ctx, v, j)
		u, err := d.update("job", view, "head", "actions", "stages", "types", "outcome", "facts")
		if err != nil {
			return u, err
		}
		fresh, ok := since(told, view.Log)
		u.Reset = first || !ok
		if u.Reset {
			fresh = view.Log
		}
		if len(fresh) > 0 {
			if u.Lines, err = d.part("job", "lines", fresh); err != nil {
				return u, err
			}
		}
		told, first = view.Log, false
		u.Said = view.What[0] + ": " + view.Headline
		u.End = j.State.Ended()
		return u, nil
	})
}

// since returns what of now came after before, of which the oldest may have been forgotten meanwhile. It reports false if now is not
// before with more at its end.
func since(before, now []jobs.Diagnostic) ([]jobs.Diagnostic, bool) {
	if len(before) == 0 {
		return now, true
	}
	for end := len(now); end > 0; end-- {
		if now[end-1] != before[len(before)-1] {
			continue
		}
		n := min(end, len(before))
		return now[end:], slices.Equal(now[end-n:end], before[len(before)-n:])
	}
	return nil, false
}

func (d *dashboard) downloadReport(w http.ResponseWriter, r *http.Request) {
	j, err := d.job(r.Context(), viewerOf(r.Context()), r.PathValue("id"))
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	if len(j.Report) == 0 {
		d.missing(w, r, "This job has no report", "Only transfers that the server runs itself have one, once they have ended.")
		return
	}
	attachment(w, "application/json", "report-"+string(j.ID)+".json")
	_, _ = w.Write(j.Report) // whoever asked has gone
}

func (d *dashboard) downloadLog(w http.ResponseWriter, r *http.Request) {
	j, err := d.job(r.Context(), viewerOf(r.Context()), r.PathValue("id"))
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	attachment(w, "text/plain; charset=utf-8", "log-"+string(j.ID)+".txt")
	for _, line := range history(&j) {
		_, _ = fmt.Fprintf(w, "%s %-7s %-13s %s\n", line.Time.UTC().Format(time.RFC3339Nano), line.Level, line.Stage, line.Message) // whoever asked has gone
	}
}

func attachment(w http.ResponseWriter, kind, name string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
}

func (d *dashboard) cancelJob(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	j, err := d.job(r.Context(), v, r.PathValue("id"))
	if err == nil && !v.MayCancel(&j) {
		err = forbidden("it may look at this job and not cancel it")
	}
	if err == nil {
		_, err = d.jobs.Cancel(r.Context(), j.ID)
	}
	if err != nil && !errors.Is(err, jobs.ErrEnded) {
		d.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/jobs/"+string(j.ID), http.StatusSeeOther)
}

func (d *dashboard) rerunJob(w http.ResponseWriter, r *http.Request) { d.again(w, r, true) }

// goOn starts the transfer that a dry run has checked.
func (d *dashboard) goOn(w http.ResponseWriter, r *http.Request) { d.again(w, r, false) }

// again starts a job as another was, or as a dry run was and for real.
func (d *dashboard) again(w http.ResponseWriter, r *http.Request, dry bool) {
	v := viewerOf(r.Context())
	old, err := d.job(r.Context(), v, r.PathValue("id"))
	if err == nil && !old.State.Ended() {
		err = fmt.Errorf("%w: the job has not ended; wait for it, or cancel it", transfer.ErrUsage)
	}
	if err == nil && old.Kind == jobs.KindSession {
		err = fmt.Errorf("%w: it was a client's transfer: only the client can run it again", transfer.ErrUsage)
	}
	spec := jobs.Spec{
		Kind: old.Kind, From: old.From, To: old.To, Site: old.Site, Options: old.Options, Who: v.who(), TokenID: v.Token.ID, RerunOf: old.ID,
	}
	spec.Options.DryRun = spec.Options.DryRun && dry
	if err == nil && !spec.Options.DryRun && spec.Kind == jobs.KindSync {
		err = d.confirmed(spec, r.PostFormValue("confirm"))
	}
	if err == nil {
		err = v.mayStart(spec)
	}
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	d.submit(w, r, spec)
}

// submit starts a job and goes to its page.
func (d *dashboard) submit(w http.ResponseWriter, r *http.Request, spec jobs.Spec) {
	j, err := d.jobs.Submit(r.Context(), spec)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/jobs/"+string(j.ID), http.StatusSeeOther)
}

// confirmed checks that somebody who replaces the content of another server has written which.
func (d *dashboard) confirmed(spec jobs.Spec, text string) error {
	if d.remote(spec.To) && strings.TrimSpace(text) != spec.To {
		return fmt.Errorf("%w: to replace the content of %s, write its name where the page asks for it", transfer.ErrUsage, spec.To)
	}
	return nil
}

func (d *dashboard) remote(name string) bool {
	for _, e := range d.server.Endpoints() {
		if e.Name == name {
			return e.Kind == server.EndpointRemote
		}
	}
	return false
}
