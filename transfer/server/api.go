package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/rs/cors"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

const (
	apiPath = "/api"
	// maxBody is the longest body of a request, in bytes: what a job with two full lists of content types takes.
	maxBody = 256 << 10
	// preflightAge is how long browsers remember what they may do, in seconds.
	preflightAge = 600
)

// endpoint answers one request of the API for a viewer. What it returns becomes the answer.
type endpoint func(ctx context.Context, r *http.Request, v Viewer) (answer, error)

// answer is what a request is answered with.
type answer struct {
	status int // 0 is 200
	header http.Header
	data   any // member data of the body; nil with status 304 and 204 is no body
	meta   any // member meta
	raw    json.RawMessage
}

// route is a method and a path of the API, with {names} for its variable parts.
type route struct {
	method, path string
	handle       endpoint
	open         http.HandlerFunc // instead of handle: answers itself, and asks for a token itself where it wants one
}

// routes are all that the API answers. The OpenAPI document says the same, and a test compares them.
func (s *Server) routes() []route {
	return []route{
		{method: http.MethodGet, path: "/api/openapi.json", open: s.openAPI},
		{method: http.MethodGet, path: "/api/jobs", handle: s.listJobs},
		{method: http.MethodPost, path: "/api/jobs", handle: s.startJob},
		{method: http.MethodGet, path: "/api/jobs/{id}", handle: s.getJob},
		{method: http.MethodDelete, path: "/api/jobs/{id}", handle: s.cancelJob},
		{method: http.MethodPost, path: "/api/jobs/{id}/cancel", handle: s.cancelJob},
		{method: http.MethodPost, path: "/api/jobs/{id}/run-again", handle: s.rerunJob},
		{method: http.MethodGet, path: "/api/jobs/{id}/report", handle: s.getReport},
		{method: http.MethodGet, path: "/api/jobs/{id}/stream", open: func(w http.ResponseWriter, r *http.Request) { s.feeds.ServeJob(w, r) }},
		{method: http.MethodGet, path: "/api/stream", open: func(w http.ResponseWriter, r *http.Request) { s.feeds.ServeStream(w, r) }},
		{method: http.MethodGet, path: "/api/remotes", handle: s.listRemotes},
		{method: http.MethodPost, path: "/api/remotes/{name}/doctor", handle: s.examineRemote},
		{method: http.MethodGet, path: "/api/sites", handle: s.listSites},
		{method: http.MethodGet, path: "/api/snapshots", handle: s.listSnapshots},
		{method: http.MethodGet, path: "/api/schedules", handle: s.listSchedules},
		{method: http.MethodPost, path: "/api/schedules", handle: s.addSchedule},
		{method: http.MethodPut, path: "/api/schedules/{id}", handle: s.changeSchedule},
		{method: http.MethodDelete, path: "/api/schedules/{id}", handle: s.removeSchedule},
	}
}

// newAPI makes what answers requests below /api.
func (s *Server) newAPI() http.Handler {
	routes := s.routes()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		var allowed []string
		for _, route := range routes {
			if !matches(route.path, r) {
				continue
			}
			if route.method != r.Method && (route.method != http.MethodGet || r.Method != http.MethodHead) {
				allowed = append(allowed, route.method)
				continue
			}
			if route.open != nil {
				route.open(w, r)
				return
			}
			s.serveAPI(w, r, route.handle)
			return
		}
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			fail(w, http.StatusMethodNotAllowed, "MethodNotAllowedError", "Method Not Allowed")
			return
		}
		fail(w, http.StatusNotFound, "NotFoundError", "Not Found")
	})
	return s.crossOrigin(handler)
}

// crossOrigin lets pages of the configured origins use the API. They send their token in a header: cookies are never asked for.
func (s *Server) crossOrigin(next http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool { return slices.Contains(s.config.Origins, origin) },
		AllowedMethods:  []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete},
		AllowedHeaders:  []string{"Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", "X-API-Key", "Cache-Control"},
		ExposedHeaders:  []string{"ETag", "Location", "Retry-After"},
		MaxAge:          preflightAge,
	}).Handler(next)
}

// matches reports whether a request is for a path, and notes the variable parts in it. A path that is not clean is none.
func matches(pattern string, r *http.Request) bool {
	have := r.URL.Path
	if path.Clean(have) != have {
		return false
	}
	want, parts := strings.Split(pattern, "/"), strings.Split(have, "/")
	if len(want) != len(parts) {
		return false
	}
	for i, w := range want {
		variable := strings.HasPrefix(w, "{")
		if !variable && w != parts[i] || variable && parts[i] == "" {
			return false
		}
	}
	for i, w := range want {
		if strings.HasPrefix(w, "{") {
			r.SetPathValue(strings.Trim(w, "{}"), parts[i])
		}
	}
	return true
}

// RequestToken is the text of the token in a request: "Authorization: Bearer" or "X-API-Key". It is "" where there is none, or two.
func RequestToken(r *http.Request) string {
	key, authorization := r.Header.Get("X-Api-Key"), r.Header.Get("Authorization")
	if authorization == "" {
		return key
	}
	words := strings.Fields(authorization)
	if len(words) != 2 || !strings.EqualFold(words[0], "bearer") || key != "" && key != words[1] {
		return ""
	}
	return words[1]
}

// ViewerOfRequest returns who sends a request.
func (s *Server) ViewerOfRequest(r *http.Request) (Viewer, error) {
	text := RequestToken(r)
	if text == "" {
		return Viewer{}, token.ErrInvalid
	}
	ctx, cancel := context.WithTimeout(r.Context(), headerTimeout)
	defer cancel()
	return s.Viewer(ctx, text)
}

// serveAPI answers a request that needs a token.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, handle endpoint) {
	v, err := s.ViewerOfRequest(r)
	if err != nil {
		if refusal(err) != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		s.refuse(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	a, err := handle(r.Context(), r, v)
	if err != nil {
		s.failAPI(w, r, err)
		return
	}
	maps.Copy(w.Header(), a.header)
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	if status == http.StatusNotModified || status == http.StatusNoContent {
		w.WriteHeader(status)
		return
	}
	body, err := a.body()
	if err != nil {
		s.failAPI(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked has gone
}

// body is the text of an answer, in Strapi's shape.
func (a answer) body() ([]byte, error) {
	if a.raw != nil {
		a.data = a.raw
	}
	return json.Marshal(struct {
		Data any `json:"data"`
		Meta any `json:"meta,omitempty"`
	}{a.data, a.meta})
}

// problem is an error with the status that it is answered with.
type problem struct {
	error
	status int
	name   string
	header http.Header
}

func (p problem) Unwrap() error { return p.error }

func notFound(what string) error {
	return problem{error: errors.New(what), status: http.StatusNotFound, name: "NotFoundError"}
}

// failAPI answers with an error.
func (s *Server) failAPI(w http.ResponseWriter, r *http.Request, err error) {
	var tooLarge *http.MaxBytesError
	p, known := errors.AsType[problem](err)
	switch {
	case known:
		maps.Copy(w.Header(), p.header)
		fail(w, p.status, p.name, clipLong(p.Error()))
	case errors.As(err, &tooLarge):
		fail(w, http.StatusRequestEntityTooLarge, "PayloadTooLargeError", fmt.Sprintf("the body of a request has at most %d bytes", maxBody))
	case errors.Is(err, errMayNot), errors.Is(err, errForbidden):
		fail(w, http.StatusForbidden, "ForbiddenError", clipLong(err.Error()))
	case refusal(err) != nil:
		s.refuse(w, r, err)
	case errors.Is(err, jobs.ErrNotFound), errors.Is(err, ErrNoSnapshot):
		fail(w, http.StatusNotFound, "NotFoundError", clipLong(err.Error()))
	case errors.Is(err, transfer.ErrUsage):
		fail(w, http.StatusBadRequest, "ValidationError", clipLong(err.Error()))
	default:
		s.log.ErrorContext(r.Context(), "request failed", slog.String(keyRequest, r.Method+" "+clip(r.URL.Path)), slog.Any(keyError, err))
		fail(w, http.StatusInternalServerError, "InternalServerError", "Internal Server Error")
	}
}

// read reads the body of a request, which must be one JSON object without members that nobody knows.
func read(r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return problem{error: errors.New("send the body as application/json"), status: http.StatusUnsupportedMediaType, name: "UnsupportedMediaTypeError"}
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, end := decoder.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("text after the object")
		}
	}
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) {
		return fmt.Errorf("%w: the body: %w", transfer.ErrUsage, err)
	}
	return err
}
