package dashboard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
)

// viewer is who looks at a page.
type viewer struct {
	server.Viewer
}

// Words are the viewer's permissions for people.
func (v viewer) Words() string { return permitted(v.Token) }

// permitted says what a token permits.
func permitted(t token.Token) string {
	if slices.Contains(t.Permissions, token.Jobs) {
		return "everything"
	}
	var names []string
	for _, p := range []protocol.Direction{protocol.Pull, protocol.Push} {
		if slices.Contains(t.Permissions, p) {
			names = append(names, string(p))
		}
	}
	if t.Site != "" {
		return strings.Join(names, " and ") + " on " + t.Site
	}
	return strings.Join(names, " and ") + " on all sites"
}

// who is the viewer in what a job tells about who started it.
func (v viewer) who() string { return v.Name() + " in the dashboard" }

// mayStart returns why the viewer cannot start a job, with an error that [dashboard.refuse] understands.
func (v viewer) mayStart(spec jobs.Spec) error {
	err := v.MayStart(spec)
	if err == nil || errors.Is(err, transfer.ErrUsage) {
		return err
	}
	return fmt.Errorf("%w: %w", transfer.ErrAuth, err)
}

// mayStartSomething reports whether there are two ends that the viewer may move content between.
func (d *dashboard) mayStartSomething(v viewer) bool {
	from, to := d.ends(v)
	return len(from) > 0 && len(to) > 0
}

// ends are the endpoints that the viewer may move content from and to, by the server's own rules: those of a job with this end and any
// other.
func (d *dashboard) ends(v viewer) (from, to []server.Endpoint) {
	all := d.server.Endpoints()
	for _, a := range all {
		for _, b := range all {
			if a.Name == b.Name || !a.Reads || !b.Writes {
				continue
			}
			if v.MayStart(jobs.Spec{Kind: jobs.KindSync, From: a.Name, To: b.Name}) == nil {
				from, to = appendNew(from, a), appendNew(to, b)
			}
		}
	}
	return from, to
}

func appendNew(list []server.Endpoint, e server.Endpoint) []server.Endpoint {
	if slices.ContainsFunc(list, func(other server.Endpoint) bool { return other.Name == e.Name }) {
		return list
	}
	return append(list, e)
}

// seesSite reports whether the viewer may know of a site, and which snapshots there are of it.
func (v viewer) seesSite(site string) bool {
	return v.Administers() || v.Token.Site == "" || v.Token.Site == site
}

// readsSite reports whether the viewer may know what a site holds.
func (v viewer) readsSite(site string) bool {
	return v.Administers() || v.Token.Permits(protocol.Pull, site)
}

// wide reports whether the viewer may see figures that are of all sites.
func (v viewer) wide() bool { return v.Administers() || v.Token.Site == "" }

// job returns a job, if the viewer may see it.
func (d *dashboard) job(ctx context.Context, v viewer, text string) (jobs.Job, error) {
	id, err := jobs.ParseID(text)
	if err != nil {
		return jobs.Job{}, err
	}
	j, err := d.jobs.Get(ctx, id)
	if err != nil {
		return j, err
	}
	if !v.Sees(&j) {
		return jobs.Job{}, jobs.ErrNotFound
	}
	return j, nil
}

// forbidden is the error for what a token does not permit.
func forbidden(format string, args ...any) error {
	return fmt.Errorf("%w: %s", transfer.ErrAuth, fmt.Sprintf(format, args...))
}
