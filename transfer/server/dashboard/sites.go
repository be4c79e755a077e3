package dashboard

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
)

// siteView is a site in the list.
type siteView struct {
	server.Endpoint

	Count  int // of snapshots
	Newest *server.Snapshot
}

type sitesPage struct {
	Sites []siteView
	Vault bool
}

func (d *dashboard) listSites(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	p := sitesPage{Vault: d.Snapshots != nil}
	var all []server.Snapshot
	if d.Snapshots != nil {
		var err error
		if all, err = d.Snapshots.List(r.Context(), ""); err != nil {
			d.refuse(w, r, err)
			return
		}
	}
	for _, e := range d.server.Endpoints() {
		if e.Kind == server.EndpointSite && v.seesSite(e.Name) {
			p.Sites = append(p.Sites, siteView{Endpoint: e})
		}
	}
	for i := range p.Sites {
		site := &p.Sites[i]
		for _, s := range all {
			if s.Site != site.Name || !v.seesSite(s.Site) {
				continue
			}
			if site.Count++; site.Newest == nil {
				site.Newest = &s
			}
		}
	}
	slices.SortFunc(p.Sites, func(a, b siteView) int { return strings.Compare(a.Name, b.Name) })
	d.render(w, r, http.StatusOK, "sites", frame{Title: "Sites", Area: "sites", Data: p})
}

type snapshotView struct {
	server.Snapshot

	Entities, Files int64
	Size            int64
	Newest          bool
	Older           string // the one before it
}

type sitePage struct {
	Name      string
	Snapshots []snapshotView
	Restore   []choice // where the viewer may restore to
	Types     []typeView
}

func (d *dashboard) showSite(w http.ResponseWriter, r *http.Request) {
	v, site := viewerOf(r.Context()), r.PathValue("site")
	if !v.seesSite(site) {
		d.refuse(w, r, forbidden("it may not see what %s holds", site))
		return
	}
	list, err := d.Snapshots.List(r.Context(), site)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	p := sitePage{Name: site}
	for i, s := range list {
		view := snapshotView{
			Snapshot: s, Entities: s.Counts[transfer.StageEntities].Records, Files: s.Counts[transfer.StageAssets].Records, Size: s.Bytes(), Newest: i == 0,
		}
		if i+1 < len(list) {
			view.Older = list[i+1].Reference()
		}
		p.Snapshots = append(p.Snapshots, view)
	}
	if len(list) > 0 {
		p.Types = typesOf(list[0].Counts[transfer.StageEntities].ByType)
		p.Restore = d.restoreChoices(v, list[0].Reference(), site)
	}
	d.render(w, r, http.StatusOK, "site", frame{Title: site, Area: "sites", Data: p})
}

// restoreChoices are the endpoints that a snapshot may be moved to by the viewer, its own site first.
func (d *dashboard) restoreChoices(v viewer, reference, site string) []choice {
	var out []choice
	for _, e := range d.server.Endpoints() {
		if !e.Writes || v.MayStart(jobs.Spec{Kind: jobs.KindSync, From: reference, To: e.Name}) != nil {
			continue
		}
		c := choice{Value: e.Name, Label: e.Name, Chosen: e.Name == site}
		if c.Chosen {
			out = slices.Insert(out, 0, c)
		} else {
			out = append(out, c)
		}
	}
	return out
}

func typesOf(counts map[string]int64) []typeView {
	var out []typeView
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, typeView{name, counts[name]})
	}
	slices.SortStableFunc(out, func(a, b typeView) int { return int(min(max(b.Items-a.Items, -1), 1)) })
	return out
}

// maxDifferences is how many differences a page tells.
const maxDifferences = 200

type comparePage struct {
	Diff    server.SnapshotDiff
	Records []recordView
	Schemas []string
}

type recordView struct {
	Name   string
	Before int64
	After  int64
	More   int64
}

// compare shows how a snapshot differs from an older one.
func (d *dashboard) compare(w http.ResponseWriter, r *http.Request) {
	v := viewerOf(r.Context())
	a, b := r.FormValue("a"), r.FormValue("b")
	for _, ref := range []string{a, b} {
		if site := jobs.SiteOf(ref); site == "" || !v.readsSite(site) {
			d.refuse(w, r, forbidden("it may not see what %q holds", site))
			return
		}
	}
	diff, err := d.Snapshots.Diff(r.Context(), a, b, maxDifferences)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	words := strings.NewReplacer(" at the source", " before", " at the destination", " after")
	for i, line := range diff.Content {
		diff.Content[i] = words.Replace(line)
	}
	p := comparePage{Diff: diff}
	for _, name := range slices.Sorted(maps.Keys(diff.Records)) {
		n := diff.Records[name]
		p.Records = append(p.Records, recordView{name, n[0], n[1], n[1] - n[0]})
	}
	for _, s := range diff.Schemas {
		p.Schemas = append(p.Schemas, schemaLine(s))
	}
	d.render(w, r, http.StatusOK, "compare", frame{Title: "Compare", Area: "sites", Data: p})
}

// schemaLine says a difference of schemas in the words of snapshots.
func schemaLine(s transfer.Difference) string {
	at := strings.Join(append([]string{s.UID}, s.Path...), ".")
	switch s.Kind {
	case transfer.DifferenceAdded:
		return at + " is only in the newer one"
	case transfer.DifferenceDeleted:
		return at + " is only in the older one"
	case transfer.DifferenceModified:
	}
	return at + " differs"
}

// download sends a snapshot as an archive.
func (d *dashboard) download(w http.ResponseWriter, r *http.Request) {
	v, ref := viewerOf(r.Context()), r.PathValue("ref")
	if !v.readsSite(jobs.SiteOf(ref)) {
		d.refuse(w, r, forbidden("it may not read what %s holds", jobs.SiteOf(ref)))
		return
	}
	archive, err := d.Snapshots.Export(r.Context(), ref)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	defer archive.Close() //nolint:errcheck // only read; it is removed in any case
	attachment(w, "application/gzip", archive.Name)
	w.Header().Set("Content-Length", fmt.Sprint(archive.Size))
	http.ServeContent(w, r, archive.Name, d.Now(), archive)
}
