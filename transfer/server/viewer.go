package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// Viewer is somebody who may see and do something about jobs, as far as a token goes.
//
// A token with the permission [token.Jobs] sees and does everything. Any other sees the jobs of its site, or of all sites if it has none,
// and those that were started with it; it starts transfers between sites that it may pull from and push to, and cancels what it has
// started and what is pushed to a site that it may push to.
type Viewer struct {
	Token token.Token

	server *Server
	only   jobs.ID // the one job that it is about; "" is any
}

// Viewer returns who a text stands for: that of a token, or the short-lived one that a client gets for the feeds of its job. The error is
// one of the authority.
func (s *Server) Viewer(ctx context.Context, text string) (Viewer, error) {
	if job, id, ok := s.openTicket(text); ok {
		v, err := s.ViewerOf(ctx, id)
		v.only = job
		return v, err
	}
	t, err := s.config.Tokens.Verify(ctx, text)
	if err != nil {
		return Viewer{}, err
	}
	if err := s.config.Tokens.Used(ctx, t.ID); err != nil {
		s.log.WarnContext(ctx, "use of a token not noted", keyToken, t.ID, keyError, err)
	}
	return Viewer{Token: t, server: s}, nil
}

// ViewerOf returns who the token called id stands for, without its text.
func (s *Server) ViewerOf(ctx context.Context, id string) (Viewer, error) {
	t, err := s.access.current(ctx, id)
	return Viewer{Token: t, server: s}, unspent(err)
}

// unspent forgives a token for one transfer that has been used: whoever used it may see what becomes of it.
func unspent(err error) error {
	if errors.Is(err, token.ErrSpent) {
		return nil
	}
	return err
}

// Check returns why the token is not good any more; nil when it is. What it permits may have changed since.
func (v Viewer) Check(ctx context.Context) error {
	_, err := v.server.access.current(ctx, v.Token.ID)
	return unspent(err)
}

// Name is who it is, for people.
func (v Viewer) Name() string { return fmt.Sprintf("token %q", v.Token.Name) }

// Administers reports whether the token may do everything.
func (v Viewer) Administers() bool {
	return v.only == "" && slices.Contains(v.Token.Permissions, token.Jobs)
}

// Visible is what of the jobs may be told.
func (v Viewer) Visible() *jobs.Visible {
	everything := slices.Contains(v.Token.Permissions, token.Jobs) || v.Token.Site == ""
	if everything && v.only == "" {
		return nil
	}
	return &jobs.Visible{Only: v.only, TokenID: v.Token.ID, Site: v.Token.Site, Everything: everything}
}

// Sees reports whether a job may be told.
func (v Viewer) Sees(j *jobs.Job) bool { return v.Visible().Sees(j) }

// MayCancel reports whether a job may be cancelled.
func (v Viewer) MayCancel(j *jobs.Job) bool {
	if !v.Sees(j) {
		return false
	}
	site := jobs.SiteOf(j.To)
	if j.Kind == jobs.KindSession {
		site = j.Site
	}
	return slices.Contains(v.Token.Permissions, token.Jobs) || j.TokenID != "" && j.TokenID == v.Token.ID ||
		j.Kind != jobs.KindPrune && v.server.places[site] != nil && v.Token.Permits(protocol.Push, site)
}

// errMayNot is the answer to what a token is not for.
var errMayNot = errors.New("the token is not for this")

// MayStart returns why a job cannot be started: its ends are not in the configuration, which wraps [transfer.ErrUsage], or the token is
// not for them.
func (v Viewer) MayStart(spec jobs.Spec) error {
	if err := v.server.CheckJob(spec); err != nil {
		return err
	}
	switch {
	case v.only != "":
		return fmt.Errorf("%w: it is for following one job", errMayNot)
	case v.Administers():
		return nil
	case spec.Kind == jobs.KindPrune:
		return fmt.Errorf("%w: deleting snapshots needs the permission jobs", errMayNot)
	}
	for _, end := range []struct {
		name      string
		direction protocol.Direction
	}{{jobs.SiteOf(spec.From), protocol.Pull}, {spec.To, protocol.Push}} {
		switch {
		case v.server.places[end.name] == nil:
			return fmt.Errorf("%w: a transfer with the remote %s needs the permission jobs", errMayNot, end.name)
		case !v.Token.Permits(end.direction, end.name):
			return fmt.Errorf("%w: it may not %s at the site %s", errMayNot, end.direction, end.name)
		}
	}
	return nil
}

// MaySchedule returns why a schedule cannot be made. It outlives the token, so that only one with the permission [token.Jobs] may.
func (v Viewer) MaySchedule(s jobs.Schedule) error {
	if err := v.server.CheckJob(jobs.Spec{Kind: s.Kind, From: s.From, To: s.To, Site: s.Site, Options: s.Options}); err != nil {
		return err
	}
	if !v.Administers() {
		return fmt.Errorf("%w: schedules need the permission jobs", errMayNot)
	}
	return nil
}

// CheckJob reports a job whose ends are not in the configuration, or are not for what they shall do.
func (s *Server) CheckJob(spec jobs.Spec) error {
	if spec.Kind == jobs.KindPrune {
		if s.places[spec.Site] == nil {
			return s.unknown(spec.Site)
		}
		if s.config.Jobs.Pruner == nil {
			return fmt.Errorf("%w: this server deletes no snapshots", transfer.ErrUsage)
		}
		return nil
	}
	from, err := s.find(spec.From)
	if err != nil {
		return err
	}
	if from.snapshot != "" {
		if _, ok := from.Site.(Reverter); !ok {
			return fmt.Errorf("%w: %s has no snapshots", transfer.ErrUsage, from.name)
		}
	}
	to, err := s.find(spec.To)
	switch {
	case err != nil:
		return err
	case to.snapshot != "":
		return fmt.Errorf("%w: a snapshot cannot be written to: give %s, which gets a new one", transfer.ErrUsage, to.name)
	case to.readOnly:
		return fmt.Errorf("%w: %s can only be read from", transfer.ErrUsage, to.name)
	}
	return nil
}

// ID is the id of the token.
func (v Viewer) ID() string { return v.Token.ID }
