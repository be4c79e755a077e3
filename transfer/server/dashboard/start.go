package dashboard

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
)

// startPage is the form that starts a sync, and the page that asks whether it is meant.
type startPage struct {
	From, To []choice
	Form     startForm
	Problem  string
	Schemas  []choice
	Versions []choice
	Orphans  []choice
	Parts    []choice
	Restores string // the snapshot that is chosen as the source, "" for none

	Confirm bool // ask, with what follows
	Typed   bool // by name
	Job     *jobView
}

// startForm is what somebody has filled in.
type startForm struct {
	From, To string
	Parts    []string
	Types    string // content types, only or without
	Without  bool
	Schemas  string
	Versions string
	Orphans  string
	Skipped  string
	Rate     string
	Rerun    bool
	Confirm  string
	Action   string
}

func readStart(form url.Values) startForm {
	return startForm{
		From: form.Get("from"), To: form.Get("to"), Parts: form["part"], Types: form.Get("types"), Without: form.Get("without") != "",
		Schemas: form.Get("schemas"), Versions: form.Get("versions"), Orphans: form.Get("orphans"), Skipped: form.Get("skipped"),
		Rate: form.Get("rate"), Rerun: form.Get("rerun") != "", Confirm: form.Get("confirm"), Action: form.Get("action"),
	}
}

// spec is the job that a form describes.
func (f startForm) spec() (jobs.Spec, error) {
	s := jobs.Spec{Kind: jobs.KindSync, From: f.From, To: f.To}
	o := &s.Options
	if n := len(f.Parts); n > 0 && n < len(parted())/2 {
		for _, name := range f.Parts {
			o.Only = append(o.Only, transfer.Group(name))
		}
	}
	types := strings.FieldsFunc(f.Types, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })
	if f.Without {
		o.ExcludeTypes = types
	} else {
		o.OnlyTypes = types
	}
	o.SchemaStrategy, o.VersionStrategy = transfer.SchemaStrategy(f.Schemas), transfer.VersionStrategy(f.Versions)
	o.Orphans, o.Rerun, o.DryRun = transfer.OrphanPolicy(f.Orphans), f.Rerun, f.Action == "check"
	var err error
	if f.Skipped != "" {
		if o.AllowSkipped, err = strconv.ParseInt(f.Skipped, 10, 64); err != nil {
			return s, fmt.Errorf("%w: the number of records that may be skipped is a whole number", transfer.ErrUsage)
		}
	}
	if f.Rate != "" {
		mib, err := strconv.ParseFloat(f.Rate, 64)
		if err != nil || mib < 0.001 || mib > 1<<20 {
			return s, fmt.Errorf("%w: the speed is a number of MiB a second", transfer.ErrUsage)
		}
		o.MaxRate = int64(mib * (1 << 20))
	}
	return s, o.Validate()
}

// parted are the parts of a site, with what they are called.
func parted() []string {
	return []string{string(transfer.GroupContent), "Entries and links", string(transfer.GroupFiles), "Files", string(transfer.GroupConfig), "Configuration"}
}

// startPage fills in the lists of the form.
func (d *dashboard) startPage(v viewer, f startForm) startPage {
	from, to := d.ends(v)
	p := startPage{Form: f}
	label := func(e server.Endpoint) string {
		if e.What != "" && e.What != e.Name {
			return e.Name + " — " + e.What
		}
		return e.Name
	}
	for _, e := range from {
		p.From = append(p.From, choice{Value: e.Name, Label: label(e), Chosen: e.Name == f.From})
	}
	if strings.Contains(f.From, "@") {
		p.Restores = f.From
	}
	for _, e := range to {
		p.To = append(p.To, choice{Value: e.Name, Label: label(e), Chosen: e.Name == f.To})
	}
	p.Schemas = choices(f.Schemas, "", "Must match where it matters", "exact", "Must be equal", "ignore", "May differ; what does not fit is lost")
	p.Versions = choices(f.Versions, "", "Must be equal", "patch", "May differ in the patch level", "minor", "May differ in the minor version",
		"major", "May differ in the major version", "ignore", "May be any")
	p.Orphans = choices(f.Orphans, "", "End the transfer", "skip", "Are skipped, and counted")
	all := parted()
	for i := 0; i < len(all); i += 2 {
		chosen := len(f.Parts) == 0
		for _, name := range f.Parts {
			chosen = chosen || name == all[i]
		}
		p.Parts = append(p.Parts, choice{Value: all[i], Label: all[i+1], Chosen: chosen})
	}
	return p
}

func (d *dashboard) showStart(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	d.render(w, r, http.StatusOK, "start", frame{Title: "Start a sync", Area: "start", Data: d.startPage(v, readStart(r.URL.Query()))})
}

// start checks first, or starts, or asks whether that is meant.
func (d *dashboard) start(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	if err := r.ParseForm(); err != nil {
		d.complain(w, r, http.StatusBadRequest, "The form could not be read", "It may be too long.")
		return
	}
	f := readStart(r.PostForm)
	spec, err := f.spec()
	if err == nil && (spec.From == "" || spec.To == "") {
		err = fmt.Errorf("%w: choose where the content comes from and where it goes", transfer.ErrUsage)
	}
	if err == nil && spec.From == spec.To {
		err = fmt.Errorf("%w: from and to are the same", transfer.ErrUsage)
	}
	spec.Who, spec.TokenID = v.who(), v.Token.ID
	if err == nil {
		err = v.mayStart(spec)
	}
	p := d.startPage(v, f)
	if err != nil {
		p.Problem = sentence(err)
		d.render(w, r, http.StatusUnprocessableEntity, "start", frame{Title: "Start a sync", Area: "start", Data: p})
		return
	}
	if f.Action == "go" {
		err = d.confirmed(spec, f.Confirm)
	}
	if f.Action == "check" || f.Action == "go" && err == nil {
		d.submit(w, r, spec)
		return
	}
	if err != nil {
		p.Problem = sentence(err)
	}
	view := d.brief(jobs.Job{Kind: spec.Kind, From: spec.From, To: spec.To, Options: spec.Options}, d.Now())
	view.OptionLines, view.Command = optionLines(&view.Job), command(&view.Job, addressOf(r))
	p.Confirm, p.Typed, p.Job = true, d.remote(spec.To), &view
	d.render(w, r, http.StatusOK, "start", frame{Title: "Start a sync", Area: "start", Data: p})
}
