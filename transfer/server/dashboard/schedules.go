package dashboard

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

type scheduleView struct {
	jobs.Schedule

	What  [2]string
	Words string
	Fixed bool // it is in the server's configuration, and comes back from there
}

type schedulesPage struct {
	Schedules []scheduleView
	From, To  []choice
	Prunes    []choice // sites whose snapshots the viewer may have deleted
	Form      map[string]string
	Problem   string
}

// schedulesPage gathers what the viewer may see: schedules whose jobs the viewer would see.
func (d *dashboard) schedulesPage(r *http.Request) (schedulesPage, error) {
	v := viewerOf(r.Context())
	list, err := d.jobs.Schedules(r.Context())
	if err != nil {
		return schedulesPage{}, err
	}
	p := schedulesPage{Form: make(map[string]string)}
	for _, s := range list {
		p.Schedules = append(p.Schedules, scheduleView{
			Schedule: s, What: ways(&jobs.Job{Kind: s.Kind, Site: s.Site, From: s.From, To: s.To}), Words: cronWords(s.Cron, s.TimeZone), Fixed: strings.HasPrefix(s.ID, "config-"),
		})
	}
	from, to := d.ends(v)
	for _, e := range from {
		p.From = append(p.From, choice{Value: e.Name, Label: e.Name})
	}
	for _, e := range to {
		p.To = append(p.To, choice{Value: e.Name, Label: e.Name})
	}
	for _, e := range d.server.Endpoints() {
		if v.MayStart(jobs.Spec{Kind: jobs.KindPrune, Site: e.Name}) == nil {
			p.Prunes = append(p.Prunes, choice{Value: e.Name, Label: e.Name})
		}
	}
	return p, nil
}

// administering lets only those in who may do everything: schedules outlive tokens, and remotes are reached with tokens of the server.
func (d *dashboard) administering(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !viewerOf(r.Context()).Administers() {
			d.refuse(w, r, forbidden("that needs one with the permission jobs"))
			return
		}
		next(w, r)
	}
}

// cronWords says the usual expressions in words.
func cronWords(expression, zone string) string {
	zone = strings.TrimSpace(zone)
	if zone == "" {
		zone = "UTC"
	}
	fields := strings.Fields(expression)
	if len(fields) == 5 && fields[2] == "*" && fields[3] == "*" {
		minute, err1 := strconv.Atoi(fields[0])
		hour, err2 := strconv.Atoi(fields[1])
		day, err3 := strconv.Atoi(fields[4])
		at := fmt.Sprintf("at %02d:%02d %s", hour, minute, zone)
		switch {
		case err1 == nil && err2 == nil && fields[4] == "*":
			return "Every day " + at
		case err1 == nil && err2 == nil && err3 == nil && day >= 0 && day < 7:
			return "Every " + []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}[day] + " " + at
		case err1 == nil && fields[1] == "*" && fields[4] == "*":
			return fmt.Sprintf("Every hour, %d minutes past", minute)
		}
	}
	return expression + " (" + zone + ")"
}

func (d *dashboard) listSchedules(w http.ResponseWriter, r *http.Request) {
	p, err := d.schedulesPage(r)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	d.render(w, r, http.StatusOK, "schedules", frame{Title: "Schedules", Area: "schedules", Data: p})
}

// readSchedule reads the form.
func readSchedule(r *http.Request) (jobs.Schedule, error) {
	s := jobs.Schedule{Name: r.PostFormValue("name"), TimeZone: strings.TrimSpace(r.PostFormValue("zone"))}
	hour, minute, ok := strings.Cut(r.PostFormValue("time"), ":")
	h, err1 := strconv.Atoi(hour)
	m, err2 := strconv.Atoi(minute)
	timed := ok && err1 == nil && err2 == nil && h >= 0 && h < 24 && m >= 0 && m < 60
	switch every := r.PostFormValue("every"); {
	case every == "cron":
		s.Cron = strings.TrimSpace(r.PostFormValue("cron"))
	case every == "hour":
		s.Cron = "0 * * * *"
	case !timed:
		return s, fmt.Errorf("%w: give the time of day as HH:MM", transfer.ErrUsage)
	case every == "day":
		s.Cron = fmt.Sprintf("%d %d * * *", m, h)
	case len(every) == 1 && every >= "0" && every <= "6":
		s.Cron = fmt.Sprintf("%d %d * * %s", m, h, every)
	default:
		return s, fmt.Errorf("%w: choose how often", transfer.ErrUsage)
	}
	if r.PostFormValue("kind") == string(jobs.KindPrune) {
		s.Kind, s.Site = jobs.KindPrune, r.PostFormValue("site")
		keep := &jobs.Keep{}
		for name, to := range map[string]*int{"last": &keep.Last, "daily": &keep.Daily, "weekly": &keep.Weekly} {
			text := r.PostFormValue(name)
			if text == "" {
				continue
			}
			var err error
			if *to, err = strconv.Atoi(text); err != nil {
				return s, fmt.Errorf("%w: how many to keep is a whole number", transfer.ErrUsage)
			}
		}
		s.Options.Keep = keep
		return s, nil
	}
	s.Kind, s.From, s.To = jobs.KindSync, r.PostFormValue("from"), r.PostFormValue("to")
	s.Options.Rerun = true // nobody is there at night who would start it again
	return s, nil
}

func (d *dashboard) addSchedule(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	s, err := readSchedule(r)
	s.Who, s.TokenID = v.who(), v.Token.ID
	if err == nil {
		err = v.MaySchedule(s)
	}
	if err == nil {
		_, err = d.jobs.AddSchedule(r.Context(), s)
	}
	if err == nil {
		http.Redirect(w, r, "/schedules?done=scheduled", http.StatusSeeOther)
		return
	}
	p, bad := d.schedulesPage(r)
	if bad != nil {
		d.refuse(w, r, bad)
		return
	}
	p.Problem = sentence(err)
	for name := range r.PostForm {
		p.Form[name] = r.PostForm.Get(name)
	}
	d.render(w, r, http.StatusUnprocessableEntity, "schedules", frame{Title: "Schedules", Area: "schedules", Data: p})
}

func (d *dashboard) changeSchedule(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	list, err := d.jobs.Schedules(r.Context())
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	var found *jobs.Schedule
	for i := range list {
		if list[i].ID == r.PathValue("id") {
			found = &list[i]
		}
	}
	if found == nil {
		d.missing(w, r, "There is no such schedule", "Somebody may have deleted it meanwhile.")
		return
	}
	var done string
	switch r.PathValue("action") {
	case "pause":
		found.Paused, done = true, "paused"
		_, err = d.jobs.AddSchedule(r.Context(), *found)
	case "resume":
		found.Paused, done = false, "resumed"
		_, err = d.jobs.AddSchedule(r.Context(), *found)
	case "delete":
		done, err = "deleted", d.jobs.RemoveSchedule(r.Context(), found.ID)
	case "run":
		d.submit(w, r, jobs.Spec{Kind: found.Kind, From: found.From, To: found.To, Site: found.Site, Options: found.Options, Schedule: found.ID, Who: v.who(), TokenID: v.Token.ID})
		return
	default:
		d.missing(w, r, "There is nothing here", "The address may be mistyped.")
		return
	}
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	http.Redirect(w, r, "/schedules?done="+done, http.StatusSeeOther)
}
