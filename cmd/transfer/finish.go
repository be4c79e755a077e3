package main

import (
	"errors"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// reported is an error that the user has been told of.
type reported struct{ error }

func (r reported) Unwrap() error { return r.error }

// summary is the result as --json and --report tell it.
type summary struct {
	Event        string           `json:"event"` // "summary"
	Command      direction        `json:"command"`
	From         string           `json:"from,omitempty"`
	To           string           `json:"to,omitempty"`
	ExitCode     int              `json:"exitCode"`
	Error        string           `json:"error,omitempty"`
	State        transfer.State   `json:"destinationState"`
	Advice       string           `json:"advice,omitempty"` // the state in words, and what to do
	Plan         *planView        `json:"plan,omitempty"`
	Backup       *backupResult    `json:"backup,omitempty"`
	Verification *verification    `json:"verification,omitempty"`
	Report       *transfer.Report `json:"report,omitempty"`
}

// finish tells the result in every form that was asked for.
func (m *move) finish(report transfer.Report, err error) error {
	s := summary{
		Event: "summary", Command: m.mine, From: m.from.String(), To: m.to.String(), ExitCode: exitCode(err), State: report.State,
		Plan: m.plan, Backup: m.backup, Verification: m.verification,
	}
	if !report.Started.IsZero() {
		s.Report = &report
	}
	failed := err != nil && !errors.Is(err, errSkipped)
	if err != nil {
		s.Error = err.Error()
	}
	if failed || report.DryRun {
		s.Advice = m.advice(report.State)
	}
	if !m.opts.JSON && !m.opts.Quiet && len(report.Stages) > 0 {
		m.account(report)
	}
	switch {
	case errors.Is(err, errInterrupted) && !m.opts.Verbose && !errors.Is(err, transfer.ErrOutcomeUnknown):
		m.console.insist("transfer: interrupted")
	case err != nil:
		m.console.insist("transfer: %v", err)
	}
	if mismatch, ok := errors.AsType[*transfer.MismatchError](err); ok {
		m.differences(mismatch.Differences)
	}
	switch {
	case failed && m.to.Location != "":
		m.console.insist("destination: %s", s.Advice)
	case report.DryRun:
		m.console.say("dry run: nothing was changed")
	case err == nil:
		m.console.say("done in %s: %s", formatElapsed(report.Elapsed), m.to)
	}
	// A result that cannot be written down must not pass for success, and not hide why the transfer failed.
	if bad := m.write(s); bad != nil {
		m.console.insist("transfer: %v", bad)
		if err == nil {
			err = bad
		}
	}
	if err != nil {
		return reported{err}
	}
	return nil
}

// write writes what programs read.
func (m *move) write(s summary) (err error) {
	if m.opts.JSON {
		err = newJSONLines(m.app.out).write(s)
	}
	if m.opts.Report != "" {
		err = errors.Join(err, m.app.writeReport(m.opts.Report, s))
	}
	if path := m.app.getenv("GITHUB_STEP_SUMMARY"); path != "" && s.Report != nil {
		err = errors.Join(err, m.app.appendMarkdown(path, s))
	}
	return err
}

// differences lists in what schemas differ.
func (m *move) differences(diffs []transfer.Difference) {
	const most = 20
	for i, d := range diffs {
		if i == most && !m.opts.Verbose {
			m.console.insist("  and %d more (--verbose)", len(diffs)-most)
			return
		}
		m.console.insist("  %s", d)
	}
}

// account writes the account of a transfer to standard output: it is the result.
func (m *move) account(report transfer.Report) {
	t := table{numbers: 7}
	t.add("stage", "read", "sent", "stored", "excluded", "skipped", "size", "time")
	for _, s := range report.Stages {
		stored := "-"
		if s.Stored > 0 || s.Sent == 0 {
			stored = formatCount(s.Stored)
		}
		t.add(string(s.Stage), formatCount(s.Read), formatCount(s.Sent), stored, formatCount(s.Excluded), formatCount(s.Skipped),
			formatBytes(s.Bytes), formatElapsed(s.Elapsed))
	}
	if err := t.write(m.app.out); err != nil {
		m.console.insist("transfer: write the result: %v", err)
	}
	for _, skip := range report.Skipped {
		m.console.insist("skipped: %s: %s %s%s", plural(skip.Count, "record", "records"), skip.Stage, skip.Reason, examples(skip.Examples))
	}
	if m.opts.Verbose {
		for _, skip := range report.Excluded {
			m.console.say("excluded: %s: %s %s %s", plural(skip.Count, "record", "records"), skip.Stage, skip.Type, skip.Reason)
		}
	}
}

func examples(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return ", such as " + strings.Join(keys[:min(len(keys), 3)], "; ")
}
