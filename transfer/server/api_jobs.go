package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

const (
	defaultPage = 25
	// maxOffset bounds how far a list is paged through.
	maxOffset = 1_000_000
)

// startRequest is the body of POST /api/jobs.
type startRequest struct {
	Kind    jobs.Kind     `json:"kind"`
	From    string        `json:"from"`
	To      string        `json:"to"`
	Site    string        `json:"site"`
	Options jobs.Settings `json:"options"`
}

// started is the answer to a request that starts a job.
type started struct {
	JobID        jobs.ID `json:"jobId"`
	SSEURL       string  `json:"sseUrl"`
	WebSocketURL string  `json:"websocketUrl"`
	PollURL      string  `json:"pollUrl"`
	AuthToken    string  `json:"authToken"`
	ExpiresIn    int     `json:"authTokenExpiresIn"` // seconds
}

// startJob answers POST /api/jobs.
func (s *Server) startJob(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	var body startRequest
	if err := read(r, &body); err != nil {
		return answer{}, err
	}
	if body.Kind == "" {
		body.Kind = jobs.KindSync
	}
	spec := jobs.Spec{Kind: body.Kind, From: body.From, To: body.To, Site: body.Site, Options: body.Options, Who: whoAsks(r, v), TokenID: v.Token.ID}
	if err := v.MayStart(spec); err != nil {
		return answer{}, err
	}
	if v.Token.Once {
		if err := s.config.Tokens.Claim(ctx, v.Token.ID); err != nil {
			return answer{}, err
		}
	}
	job, err := s.jobs.Submit(ctx, spec)
	if err != nil {
		return answer{}, err
	}
	return s.accepted(r, v, job)
}

// whoAsks names the one who sends a request, for people.
func whoAsks(r *http.Request, v Viewer) string { return v.Name() + " from " + r.RemoteAddr }

// accepted answers with how a new job can be followed.
func (s *Server) accepted(r *http.Request, v Viewer, job jobs.Job) (answer, error) {
	ticket, err := s.makeTicket(job.ID, v.Token.ID)
	if err != nil {
		return answer{}, err
	}
	base, id := s.base(r), string(job.ID)
	socket := "ws" + strings.TrimPrefix(base, "http") // https becomes wss
	return answer{
		status: http.StatusAccepted, header: http.Header{"Location": {"/api/jobs/" + id}},
		data: started{
			JobID: job.ID, SSEURL: base + "/api/jobs/" + id + "/stream", WebSocketURL: socket + "/ws/progress?jobId=" + url.QueryEscape(id),
			PollURL: base + "/api/jobs/" + id, AuthToken: ticket, ExpiresIn: int(ticketLife.Seconds()),
		},
	}, nil
}

// base is where the client reaches the server: as configured, or as the client says itself.
func (s *Server) base(r *http.Request) string {
	if s.config.Jobs.PublicURL != "" {
		return strings.TrimSuffix(s.config.Jobs.PublicURL, "/")
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// listJobs answers GET /api/jobs.
func (s *Server) listJobs(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	query, page, err := parseQuery(r.URL.Query())
	if err != nil {
		return answer{}, err
	}
	query.Visible = v.Visible()
	list, total, err := s.jobs.List(ctx, query)
	if err != nil {
		return answer{}, err
	}
	if list == nil {
		list = []jobs.Job{}
	}
	return answer{data: list, meta: paginated(page, query.Limit, total)}, nil
}

// pagination is how Strapi says which part of a list this is.
type pagination struct {
	Pagination struct {
		Page      int `json:"page"`
		PageSize  int `json:"pageSize"`
		PageCount int `json:"pageCount"`
		Total     int `json:"total"`
	} `json:"pagination"`
}

func paginated(page, size, total int) (p pagination) {
	p.Pagination.Page, p.Pagination.PageSize, p.Pagination.Total = page, size, total
	p.Pagination.PageCount = (total + size - 1) / size
	return p
}

// parseQuery reads what a list of jobs is asked for.
func parseQuery(values url.Values) (q jobs.Query, page int, err error) {
	for name, list := range values {
		if !slices.Contains([]string{"state", "kind", "direction", "name", "schedule", "text", "since", "page", "pageSize"}, name) {
			return q, 0, fmt.Errorf("%w: unknown parameter %q", transfer.ErrUsage, clip(name))
		}
		if len(list) != 1 && name != "state" && name != "kind" {
			return q, 0, fmt.Errorf("%w: the parameter %s is there more than once", transfer.ErrUsage, name)
		}
	}
	for _, state := range split(values["state"]) {
		if !slices.Contains(jobs.States(), jobs.State(state)) {
			return q, 0, fmt.Errorf("%w: unknown state %q: one of pending, processing, completed, failed, cancelled, interrupted", transfer.ErrUsage, clip(state))
		}
		q.States = append(q.States, jobs.State(state))
	}
	for _, kind := range split(values["kind"]) {
		switch k := jobs.Kind(kind); k {
		case jobs.KindSession, jobs.KindSync, jobs.KindPrune:
			q.Kinds = append(q.Kinds, k)
		default:
			return q, 0, fmt.Errorf("%w: unknown kind %q: one of session, sync, prune", transfer.ErrUsage, clip(kind))
		}
	}
	q.Direction, q.Name, q.Schedule, q.Text = values.Get("direction"), values.Get("name"), values.Get("schedule"), values.Get("text")
	if d := protocol.Direction(q.Direction); d != "" && d != protocol.Push && d != protocol.Pull {
		return q, 0, fmt.Errorf("%w: direction is push or pull", transfer.ErrUsage)
	}
	for _, text := range []string{q.Name, q.Schedule, q.Text} {
		if len(text) > maxShown || strings.ContainsRune(text, 0) {
			return q, 0, fmt.Errorf("%w: a filter has at most %d bytes, and no NUL", transfer.ErrUsage, maxShown)
		}
	}
	if since := values.Get("since"); since != "" {
		if q.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return q, 0, fmt.Errorf("%w: since is a time such as 2026-11-26T00:00:00Z", transfer.ErrUsage)
		}
	}
	page, q.Limit, err = pageOf(values)
	q.Offset = (page - 1) * q.Limit
	return q, page, err
}

// pageOf reads which page of a list is asked for.
func pageOf(values url.Values) (page, size int, err error) {
	page, size = 1, defaultPage
	for _, p := range []struct {
		name string
		to   *int
		most int
	}{{"page", &page, maxOffset / jobs.MaxPage}, {"pageSize", &size, jobs.MaxPage}} {
		if text := values.Get(p.name); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > p.most {
				return 0, 0, fmt.Errorf("%w: %s is a number from 1 to %d", transfer.ErrUsage, p.name, p.most)
			}
			*p.to = n
		}
	}
	return page, size, nil
}

func split(values []string) (out []string) {
	for _, value := range values {
		for part := range strings.SplitSeq(value, ",") {
			if part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

// getJob answers GET /api/jobs/{id}.
func (s *Server) getJob(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	id := jobs.ID(r.PathValue("id"))
	if err := s.polls.allow(v.Token.ID+" "+clip(string(id)), time.Now()); err != nil {
		return answer{}, err
	}
	if known, ok := s.jobs.Feed().Job(id); ok && v.Sees(&known) && r.Header.Get("If-None-Match") != "" {
		if tag := s.tag(&known); sameTag(r.Header.Get("If-None-Match"), tag) {
			return answer{status: http.StatusNotModified, header: http.Header{"Etag": {tag}, "Cache-Control": {"private, no-cache"}}}, nil
		}
	}
	job, err := s.see(ctx, r, v)
	if err != nil {
		return answer{}, err
	}
	header := http.Header{"Etag": {s.tag(&job)}, "Cache-Control": {"private, no-cache"}}
	if sameTag(r.Header.Get("If-None-Match"), s.tag(&job)) {
		return answer{status: http.StatusNotModified, header: header}, nil
	}
	return answer{header: header, data: job}, nil
}

// tag is a strong validator: two answers with the same are equal.
func (s *Server) tag(j *jobs.Job) string {
	return fmt.Sprintf("%q", s.jobs.Feed().Position().Epoch+"-"+strconv.FormatInt(j.Revision, 10))
}

func sameTag(header, tag string) bool {
	for candidate := range strings.SplitSeq(header, ",") {
		if candidate = strings.TrimSpace(candidate); candidate == tag || candidate == "*" {
			return true
		}
	}
	return false
}

// see finds the job that a request names, if the viewer may see it. One that may not be seen is not told from one that is not there.
func (s *Server) see(ctx context.Context, r *http.Request, v Viewer) (jobs.Job, error) {
	id, err := jobs.ParseID(r.PathValue("id"))
	if err != nil {
		return jobs.Job{}, notFound("there is no such job")
	}
	job, err := s.jobs.Get(ctx, id)
	if errors.Is(err, jobs.ErrNotFound) || err == nil && !v.Sees(&job) {
		return jobs.Job{}, notFound("there is no such job")
	}
	return job, err
}

// cancelJob answers DELETE /api/jobs/{id} and POST /api/jobs/{id}/cancel. A job that has ended stays as it is.
func (s *Server) cancelJob(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	job, err := s.see(ctx, r, v)
	if err != nil {
		return answer{}, err
	}
	if !v.MayCancel(&job) {
		return answer{}, fmt.Errorf("%w: cancelling this job needs the permission jobs, or the token that it was started with", errMayNot)
	}
	job, err = s.jobs.Cancel(ctx, job.ID)
	switch {
	case errors.Is(err, jobs.ErrEnded):
		return answer{data: job, meta: map[string]bool{"alreadyDone": true}}, nil
	case err != nil:
		return answer{}, err
	}
	return answer{status: http.StatusAccepted, data: job}, nil
}

// rerunJob answers POST /api/jobs/{id}/run-again.
func (s *Server) rerunJob(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	old, err := s.see(ctx, r, v)
	if err != nil {
		return answer{}, err
	}
	if old.Kind != jobs.KindSession {
		if err := v.MayStart(jobs.Spec{Kind: old.Kind, From: old.From, To: old.To, Site: old.Site}); err != nil {
			return answer{}, err
		}
	}
	job, err := s.jobs.Rerun(ctx, old.ID, whoAsks(r, v), v.Token.ID)
	if err != nil {
		return answer{}, err
	}
	return s.accepted(r, v, job)
}

// getReport answers GET /api/jobs/{id}/report.
func (s *Server) getReport(ctx context.Context, r *http.Request, v Viewer) (answer, error) {
	job, err := s.see(ctx, r, v)
	if err != nil {
		return answer{}, err
	}
	if len(job.Report) == 0 {
		return answer{}, notFound("the job has no report; it gets one when it has ended")
	}
	return answer{raw: job.Report}, nil
}
