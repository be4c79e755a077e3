package dashboard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/transfer-runner/runner/transfer/server"
)

// examineTimeout bounds an examination.
const examineTimeout = time.Minute

type remotesPage struct {
	Remotes  []server.Endpoint
	Doctor   bool
	Examined string
	Found    *server.Examination
	Problem  string
}

// remotes are those that the viewer may use: all, or none.
func (d *dashboard) remotes(v viewer) []server.Endpoint {
	var out []server.Endpoint
	for _, e := range d.server.Endpoints() {
		if e.Kind == server.EndpointRemote && v.Administers() {
			out = append(out, e)
		}
	}
	return out
}

func (d *dashboard) listRemotes(w http.ResponseWriter, r *http.Request) {
	p := remotesPage{Remotes: d.remotes(viewerOf(r.Context())), Doctor: d.Doctor != nil}
	d.render(w, r, http.StatusOK, "remotes", frame{Title: "Remotes", Area: "remotes", Data: p})
}

// examine has the doctor look at a remote. It is no GET: it makes the server connect to another.
func (d *dashboard) examine(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	p := remotesPage{Remotes: d.remotes(viewerOf(r.Context())), Doctor: true, Examined: name}
	known := false
	for _, e := range p.Remotes {
		known = known || e.Name == name
	}
	if !known {
		d.missing(w, r, "There is no such remote", "The server's configuration may have changed, or your token may not use it.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), examineTimeout)
	defer cancel()
	found, err := d.Doctor.Examine(ctx, name)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		p.Problem = "It took longer than a minute."
	case err != nil:
		d.refuse(w, r, err)
		return
	default:
		p.Found = &found
	}
	d.render(w, r, http.StatusOK, "remotes", frame{Title: "Remotes", Area: "remotes", Data: p})
}
