package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/remote/doctor"
	"github.com/transfer-runner/runner/transfer"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// remoteDoctor examines the remotes of a server's configuration. It implements [runnerserver.Doctor].
type remoteDoctor struct {
	remotes map[string]examined
	log     *slog.Logger
}

// examined is what it takes to examine a remote.
type examined struct {
	address string
	access  providers.Access
}

var _ runnerserver.Doctor = remoteDoctor{}

// Examine implements [runnerserver.Doctor].
func (d remoteDoctor) Examine(ctx context.Context, name string) (runnerserver.Examination, error) {
	r, ok := d.remotes[name]
	if !ok {
		return runnerserver.Examination{}, fmt.Errorf("%w: there is no remote %.80q", transfer.ErrUsage, name)
	}
	report := doctor.Examine(ctx, r.address, doctor.Options{Token: r.access.Token.Reveal(), Header: r.access.Header, TLS: r.access.TLS, Logger: d.log})
	if err := context.Cause(ctx); err != nil {
		return runnerserver.Examination{}, err
	}
	e := runnerserver.Examination{Address: report.URL, Checks: []runnerserver.Finding{}}
	for _, c := range report.Checks {
		e.Checks = append(e.Checks, runnerserver.Finding{Name: c.Name, OK: c.OK, Detail: c.Detail})
	}
	if report.Finding != nil {
		problem := diagnosis(*report.Finding)
		e.Problem = &problem
	}
	for _, note := range report.Notes {
		e.Notes = append(e.Notes, diagnosis(note))
	}
	return e, nil
}

func diagnosis(f doctor.Finding) runnerserver.Diagnosis {
	return runnerserver.Diagnosis{Code: string(f.Problem), Cause: f.Cause, Fix: f.Fix, Detail: f.Detail}
}
