package server

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// reads reports whether the token is for a site in one direction or the other.
func (v Viewer) reads(site string) bool {
	return slices.Contains(v.Token.Permissions, token.Jobs) || v.Token.Site == "" || v.Token.Site == site
}

// listSites answers GET /api/sites.
func (s *Server) listSites(_ context.Context, _ *http.Request, v Viewer) (answer, error) {
	return answer{data: s.listed(EndpointSite, func(e Endpoint) bool { return v.reads(e.Name) })}, nil
}

// listRemotes answers GET /api/remotes.
func (s *Server) listRemotes(_ context.Context, _ *http.Request, v Viewer) (answer, error) {
	if !v.Administers() {
		return answer{}, fmt.Errorf("%w: remotes need the permission jobs", errMayNot)
	}
	return answer{data: s.listed(EndpointRemote, func(Endpoint) bool { return true })}, nil
}

func (s *Server) listed(kind string, shown func(Endpoint) bool) []Endpoint {
	list := []Endpoint{}
	for _, e := range s.Endpoints() {
		if e.Kind == kind && shown(e) {
			list = append(list, e)
		}
	}
	return list
}

// examineRemote answers POST /api/remotes/{name}/doctor.
func (s *Server) examineRemote(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	if !v.Administers() {
		return answer{}, fmt.Errorf("%w: remotes need the permission jobs", errMayNot)
	}
	name := r.PathValue("name")
	if _, ok := s.config.Jobs.Remotes[name]; !ok {
		return answer{}, notFound("there is no such remote")
	}
	if s.config.Jobs.Doctor == nil {
		return answer{}, notFound("this server examines no remotes")
	}
	examination, err := s.config.Jobs.Doctor.Examine(ctx, name)
	if err != nil {
		return answer{}, err
	}
	return answer{data: examination}, nil
}

// listSnapshots answers GET /api/snapshots.
func (s *Server) listSnapshots(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	site := r.URL.Query().Get("site")
	if site != "" && (s.places[site] == nil || !v.reads(site)) {
		return answer{}, notFound("there is no such site")
	}
	page, size, err := pageOf(r.URL.Query())
	if err != nil {
		return answer{}, err
	}
	list := []Snapshot{}
	if s.config.Jobs.Snapshots != nil && v.only == "" {
		all, err := s.config.Jobs.Snapshots.List(ctx, site)
		if err != nil {
			return answer{}, err
		}
		for _, snapshot := range all {
			if v.reads(snapshot.Site) {
				list = append(list, snapshot)
			}
		}
	}
	total := len(list)
	list = list[min(total, (page-1)*size):min(total, page*size)]
	return answer{data: list, meta: paginated(page, size, total)}, nil
}

// listSchedules answers GET /api/schedules.
func (s *Server) listSchedules(ctx context.Context, _ *http.Request, v Viewer) (answer, error) {
	if !v.Administers() {
		return answer{}, fmt.Errorf("%w: schedules need the permission jobs", errMayNot)
	}
	list, err := s.jobs.Schedules(ctx)
	if err != nil {
		return answer{}, err
	}
	if list == nil {
		list = []jobs.Schedule{}
	}
	return answer{data: list}, nil
}

// scheduleRequest is the body of a request that makes or changes a schedule.
type scheduleRequest struct {
	Name     string        `json:"name"`
	Cron     string        `json:"cron"`
	TimeZone string        `json:"timeZone"`
	Paused   bool          `json:"paused"`
	Kind     jobs.Kind     `json:"kind"`
	From     string        `json:"from"`
	To       string        `json:"to"`
	Site     string        `json:"site"`
	Options  jobs.Settings `json:"options"`
}

// schedule reads and checks the body.
func (s *Server) schedule(r *http.Request, v Viewer) (schedule jobs.Schedule, err error) {
	var b scheduleRequest
	if err := read(r, &b); err != nil {
		return schedule, err
	}
	if b.Kind == "" {
		b.Kind = jobs.KindSync
	}
	schedule = jobs.Schedule{
		Name: b.Name, Cron: b.Cron, TimeZone: b.TimeZone, Paused: b.Paused, Kind: b.Kind, From: b.From, To: b.To, Site: b.Site,
		Options: b.Options, Who: v.Name(), TokenID: v.Token.ID,
	}
	return schedule, v.MaySchedule(schedule)
}

// addSchedule answers POST /api/schedules.
func (s *Server) addSchedule(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	schedule, err := s.schedule(r, v)
	if err != nil {
		return answer{}, err
	}
	if schedule, err = s.jobs.AddSchedule(ctx, schedule); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, header: http.Header{"Location": {"/api/schedules/" + schedule.ID}}, data: schedule}, nil
}

// changeSchedule answers PUT /api/schedules/{id}.
func (s *Server) changeSchedule(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	schedule, err := s.schedule(r, v)
	if err != nil {
		return answer{}, err
	}
	list, err := s.jobs.Schedules(ctx)
	if err != nil {
		return answer{}, err
	}
	at := slices.IndexFunc(list, func(other jobs.Schedule) bool { return other.ID == r.PathValue("id") })
	if at < 0 {
		return answer{}, notFound("there is no such schedule")
	}
	old := list[at]
	schedule.ID, schedule.Created, schedule.Last, schedule.LastJob = old.ID, old.Created, old.Last, old.LastJob
	if schedule, err = s.jobs.AddSchedule(ctx, schedule); err != nil {
		return answer{}, err
	}
	return answer{data: schedule}, nil
}

// removeSchedule answers DELETE /api/schedules/{id}.
func (s *Server) removeSchedule(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	if !v.Administers() {
		return answer{}, fmt.Errorf("%w: schedules need the permission jobs", errMayNot)
	}
	if err := s.jobs.RemoveSchedule(ctx, r.PathValue("id")); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusNoContent}, nil
}
