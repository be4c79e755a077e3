package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// move is one run of push or pull.
type move struct {
	*ends

	app      *app
	opts     *moveOptions
	mine     direction
	console  *console
	progress progress
	open     opener
	engine   transfer.Options
	saved    *end // where --backup goes
	places   [2]string

	plan         *planView
	backup       *backupResult
	verification *verification
}

// runMove does what push and pull are for. Its error has been told to the user already.
func runMove(ctx context.Context, a *app, o *moveOptions, d direction) error {
	c := &console{w: a.err, quiet: o.Quiet}
	a.logTo(c, o.outputOptions)
	m := &move{app: a, opts: o, mine: d, console: c, progress: newProgress(a, c, o.outputOptions), ends: &ends{}}
	report, err := m.run(ctx)
	m.progress.stop()
	return m.finish(report, err)
}

func (m *move) run(ctx context.Context) (transfer.Report, error) {
	report := transfer.Report{State: transfer.StateUntouched}
	if err := m.prepare(ctx); err != nil {
		return report, err
	}
	m.open = m.app.open(m.console)
	report, err := m.transfer(ctx)
	if err != nil || report.DryRun {
		return report, err
	}
	if m.opts.Verify {
		if err := m.verify(ctx, report.Digest); err != nil {
			return report, err
		}
	}
	if n := report.SkippedRecords(); n > 0 {
		return report, fmt.Errorf("%w: %s", errSkipped, plural(n, "record", "records"))
	}
	return report, nil
}

// prepare reads flags, environment, files and, if need be, the terminal. Nothing is opened yet.
func (m *move) prepare(ctx context.Context) (err error) {
	if err := m.opts.validate(); err != nil {
		return err
	}
	notes, err := m.opts.translate(m.mine)
	if err != nil {
		return err
	}
	for _, note := range notes {
		m.console.say("note: %s", note)
	}
	if m.engine, err = m.opts.engine(); err != nil {
		return err
	}
	if *m.ends, err = m.opts.resolve(ctx, m.app, m.console, m.mine); err != nil {
		return err
	}
	if m.opts.preferred {
		if m.engine, err = m.opts.engine(); err != nil {
			return err
		}
	}
	if m.opts.Insecure && (m.from.Remote() || m.to.Remote()) {
		m.console.insist("warning: --insecure: certificates are not checked, anyone in between can read the token and the content")
	}
	if err := m.prepareBackup(ctx); err != nil {
		return err
	}
	return m.guardLocal(ctx)
}

// guardLocal asks before a file or an export on this machine is replaced. The engine does not: to it a new archive is blank.
func (m *move) guardLocal(ctx context.Context) error {
	if m.to.Path() == "" || m.opts.DryRun {
		return nil
	}
	info, err := os.Stat(m.to.Path())
	if errors.Is(err, os.ErrNotExist) || m.opts.Yes {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: look at %s: %w", transfer.ErrUnwritable, m.to, err)
	}
	if info.IsDir() {
		if entries, err := os.ReadDir(m.to.Path()); err == nil && len(entries) == 0 {
			return nil
		}
	}
	return m.app.confirm(ctx, fmt.Sprintf("%s exists. Replace it?", m.to), "give --yes to replace "+m.to.Location)
}

// transfer opens both sides and runs the engine between them.
func (m *move) transfer(ctx context.Context) (report transfer.Report, err error) {
	report.State = transfer.StateUntouched
	src, err := m.open.OpenSource(ctx, m.from.Endpoint, m.from.access)
	if err != nil {
		return report, &transfer.Error{Side: transfer.FromSource, Op: "open", Err: err}
	}
	defer letGo(&err, src)
	dst, err := m.open.OpenDestination(ctx, m.to.Endpoint, m.to.access)
	if err != nil {
		return report, &transfer.Error{Side: transfer.FromDestination, Op: "open", Err: err}
	}
	if err := m.locate(src, dst); err != nil {
		return report, errors.Join(err, dst.Close())
	}
	opts := m.engine
	opts.Logger, opts.Collect = m.app.log, m.opts.Verify
	opts.Confirm = m.confirm
	opts.Observe = func(e transfer.Event) { m.progress.observe("", e) }
	report, err = transfer.Run(ctx, src, dst, opts)
	// Only now, by letting go of what was not committed, the destination gets into its final state.
	letGo(&err, dst)
	if s, ok := dst.(transfer.Stater); ok {
		report.State = s.State()
	}
	if n, ok := dst.(transfer.Noter); ok {
		for _, note := range n.Notes() {
			report.Notes = append(report.Notes, note)
			m.progress.observe("", transfer.Event{Kind: transfer.EventNote, Time: m.app.now(), Note: &note})
		}
	}
	if report.DryRun && m.plan == nil {
		m.showPlan(m.describePlan(ctx, transfer.Review{
			Plan:   transfer.Plan{Source: report.Source, Stages: m.engine.Filter.Stages(), Restore: m.engine.Filter.Restore(report.Source.Schemas)},
			Source: report.Source, Destination: report.Destination, Totals: totals(ctx, src),
		}))
	}
	return report, err
}

// locate finds out which databases the sides are, and refuses if they are one: projects may share it by a variable.
func (m *move) locate(src transfer.Source, dst transfer.Destination) error {
	var found [2]string
	for i, side := range []any{src, dst} {
		if placed, ok := side.(interface{ Place() string }); ok {
			found[i] = placed.Place()
			m.places[i] = ", " + found[i]
		}
	}
	if found[0] != "" && found[0] == found[1] {
		return fmt.Errorf("%w: --from and --to have the same database: %s", transfer.ErrUsage, found[0])
	}
	return nil
}

// totals asks a source that has been read through for what it holds.
func totals(ctx context.Context, src transfer.Source) map[transfer.Stage]transfer.Count {
	c, ok := src.(transfer.Counter)
	if _, checked := src.(transfer.Checker); !ok || !checked {
		return nil
	}
	out := make(map[transfer.Stage]transfer.Count)
	for _, stage := range transfer.Stages() {
		if n, err := c.Count(ctx, stage); err == nil {
			out[stage] = n
		}
	}
	return out
}

// letGo closes an endpoint. Its error counts unless something more telling has gone wrong before.
func letGo(err *error, c io.Closer) {
	if closing := c.Close(); *err == nil {
		*err = closing
	}
}

// confirm shows the plan, asks, and saves the destination if a backup is wished for. The engine calls it before anything is changed.
func (m *move) confirm(ctx context.Context, review transfer.Review) error {
	plan := m.describePlan(ctx, review)
	m.progress.stop()
	m.showPlan(plan)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if m.opts.DryRun {
		return nil
	}
	if err := m.canVerify(ctx); err != nil {
		return err
	}
	if !m.opts.Yes {
		question := fmt.Sprintf("This replaces content of %s. Go on?", m.target())
		if m.opts.Strategy == strategyMerge {
			question = fmt.Sprintf("This merges into the content of %s. Go on?", m.target())
		}
		if err := m.app.confirm(ctx, question, "give --yes to go on, or --dry-run to see the plan only"); err != nil {
			return err
		}
	}
	return m.saveDestination(ctx)
}

// target names the destination in questions: what a user recognises is the host.
func (m *move) target() string {
	if host := m.to.Host(); host != "" {
		return host
	}
	return m.to.String()
}

// describeEnd names an endpoint with what is known of it.
func describeEnd(e providers.Endpoint, d transfer.Description) string {
	text := e.String()
	var known []string
	if d.Version != "" {
		known = append(known, "Strapi "+d.Version)
	}
	if !d.CreatedAt.IsZero() && !e.Remote() {
		known = append(known, "of "+d.CreatedAt.Local().Format("2006-01-02 15:04"))
	}
	if len(known) == 0 {
		return text
	}
	return text + " (" + strings.Join(known, ", ") + ")"
}

// hasStage reports whether a stage is part of the plan.
func hasStage(stages []transfer.Stage, stage transfer.Stage) bool {
	return slices.Contains(stages, stage)
}
