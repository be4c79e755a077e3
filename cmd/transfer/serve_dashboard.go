package main

import (
	"net/http"

	runnerserver "github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/server/dashboard"
)

// dashboardTokens is what a dashboard needs of the tokens. *[token.Store] is one.
type dashboardTokens interface {
	dashboard.Authority
	dashboard.Tokens
}

// newDashboard makes what shows a server in a browser.
func newDashboard(a *app, tokens dashboardTokens, snapshots runnerserver.Snapshots, doctor runnerserver.Doctor) (func(*runnerserver.Server) http.Handler, error) {
	return dashboard.New(dashboard.Config{
		Authority: tokens, Tokens: tokens, Snapshots: snapshots, Doctor: doctor, Version: buildVersion().Version, Now: a.now, Logger: a.log,
	})
}
