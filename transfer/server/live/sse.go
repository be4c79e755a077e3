package live

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// ServeJob streams the events of the job that the path names as id; it is for GET /api/jobs/{id}/stream.
func (l *Live) ServeJob(w http.ResponseWriter, r *http.Request) {
	id, err := jobs.ParseID(r.PathValue("id"))
	if err != nil {
		refuse(w, http.StatusNotFound, "NotFoundError", "there is no such job")
		return
	}
	l.serveStream(w, r, []jobs.ID{id})
}

// ServeStream streams the events of the jobs that the query lists as jobs, or of all that may be seen; it is for GET /api/stream.
func (l *Live) ServeStream(w http.ResponseWriter, r *http.Request) {
	ids, err := listedJobs(r.URL.Query()["jobs"])
	if err != nil {
		refuse(w, http.StatusBadRequest, "ValidationError", err.Error())
		return
	}
	l.serveStream(w, r, ids)
}

// errTooMany is the answer to a list without measure.
var errTooMany = errors.New("too many jobs: at most 200 in one stream")

// listedJobs reads lists of jobs, separated by commas. None is nil.
func listedJobs(lists []string) ([]jobs.ID, error) {
	var ids []jobs.ID
	for _, list := range lists {
		for text := range strings.SplitSeq(list, ",") {
			if text == "" {
				continue
			}
			id, err := jobs.ParseID(text)
			switch {
			case err != nil:
				return nil, err
			case len(ids) >= maxJobs:
				return nil, errTooMany
			case !slices.Contains(ids, id):
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// serveStream answers a request for a stream. All that can go wrong has to before the stream begins: an EventSource gives up then, and
// only then.
func (l *Live) serveStream(w http.ResponseWriter, r *http.Request, ids []jobs.ID) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowedError", "Method Not Allowed")
		return
	}
	viewer, err := l.config.AuthenticateRequest(r)
	if err != nil {
		refuse(w, http.StatusUnauthorized, "UnauthorizedError", "Missing or invalid credentials")
		return
	}
	if status, err := l.visible(r.Context(), viewer, ids); err != nil {
		if status == http.StatusInternalServerError {
			l.log.ErrorContext(r.Context(), "job of a stream not read", slog.Any(keyError, err))
		}
		refuse(w, status, "NotFoundError", "there is no such job")
		return
	}
	after, err := jobs.ParsePosition(lastEventID(r))
	if err != nil { // of some other server: as good as none
		after = jobs.Position{}
	}
	if !l.admit() {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "ServiceUnavailableError", "the server has as many streams as it may: try again in a while")
		return
	}
	s := &stream{live: l, viewer: viewer, jobs: ids, opened: time.Now()}
	s.subscription, err = l.config.Feed.Subscribe(r.Context(), jobs.Subscribe{
		Jobs: ids, Visible: viewer.Visible(), After: after, Wake: s.wake,
	})
	if err != nil {
		l.leave()
		l.log.WarnContext(r.Context(), "stream not begun", slog.Any(keyError, err))
		refuse(w, http.StatusServiceUnavailable, "ServiceUnavailableError", "the jobs cannot be followed now: try again in a while")
		return
	}
	s.prepare()
	if s.nothingMore() {
		s.abandon()
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent) // tells an EventSource not to come back
		return
	}
	s.begin(w)
}

// visible reports the first of the jobs that is not there, or that the viewer may not see: which of both does not show.
func (l *Live) visible(ctx context.Context, viewer Viewer, ids []jobs.ID) (int, error) {
	for _, id := range ids {
		job, err := l.config.Get(ctx, id)
		switch {
		case errors.Is(err, jobs.ErrNotFound):
			return http.StatusNotFound, err
		case err != nil:
			return http.StatusInternalServerError, err
		case !viewer.Sees(&job):
			return http.StatusNotFound, jobs.ErrNotFound
		}
	}
	return 0, nil
}

// lastEventID is what the client has heard last: browsers send the header when they come back, other clients may use the query.
func lastEventID(r *http.Request) string {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		return id
	}
	return r.URL.Query().Get("lastEventId")
}

// refuse answers in the form of Strapi's errors.
func refuse(w http.ResponseWriter, status int, name, message string) {
	type failure struct {
		Status  int      `json:"status"`
		Name    string   `json:"name"`
		Message string   `json:"message"`
		Details struct{} `json:"details"`
	}
	body, err := json.Marshal(struct {
		Data  *struct{} `json:"data"`
		Error failure   `json:"error"`
	}{Error: failure{Status: status, Name: name, Message: message}})
	if err != nil {
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone
}
