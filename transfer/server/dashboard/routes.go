package dashboard

import "net/http"

// routes are the pages for those who have signed in.
func (d *dashboard) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.listJobs)
	mux.HandleFunc("GET /live/jobs", d.liveJobs)
	mux.HandleFunc("GET /jobs/{id}", d.showJob)
	mux.HandleFunc("GET /live/jobs/{id}", d.liveJob)
	mux.HandleFunc("GET /jobs/{id}/report.json", d.downloadReport)
	mux.HandleFunc("GET /jobs/{id}/log.txt", d.downloadLog)
	mux.HandleFunc("POST /jobs/{id}/cancel", d.cancelJob)
	mux.HandleFunc("POST /jobs/{id}/rerun", d.rerunJob)
	mux.HandleFunc("POST /jobs/{id}/go", d.goOn)
	mux.HandleFunc("GET /start", d.showStart)
	mux.HandleFunc("POST /start", d.start)
	admin := d.administering
	mux.HandleFunc("GET /schedules", admin(d.listSchedules))
	mux.HandleFunc("POST /schedules", admin(d.addSchedule))
	mux.HandleFunc("POST /schedules/{id}/{action}", admin(d.changeSchedule))
	mux.HandleFunc("GET /sites", d.listSites)
	if d.Snapshots != nil {
		mux.HandleFunc("GET /sites/{site}", d.showSite)
		mux.HandleFunc("GET /compare", d.compare)
		mux.HandleFunc("GET /download/{ref}", d.download)
	}
	mux.HandleFunc("GET /remotes", admin(d.listRemotes))
	if d.Doctor != nil {
		mux.HandleFunc("POST /remotes/{name}/examine", admin(d.examine))
	}
	if d.Tokens != nil {
		mux.HandleFunc("GET /tokens", admin(d.listTokens))
		mux.HandleFunc("POST /tokens", admin(d.createToken))
		mux.HandleFunc("POST /tokens/{id}/revoke", admin(d.revokeToken))
	}
	mux.HandleFunc("GET /server", d.showServer)
	mux.HandleFunc("GET /live/server", d.liveServer)
	mux.HandleFunc("GET /session", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.missing(w, r, "There is nothing here", "The address may be mistyped, or what was here is gone.")
	})
	return mux
}
