package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// backupResult is what became of --backup.
type backupResult struct {
	File    string `json:"file"`
	Records int64  `json:"records"`
	Bytes   int64  `json:"bytes"`
}

// prepareBackup reads --backup. A backup never replaces a file: that may be the only good one.
func (m *move) prepareBackup(ctx context.Context) error {
	if m.opts.Backup == "" {
		return nil
	}
	parsed, err := providers.Parse(m.opts.Backup)
	if err != nil {
		return fmt.Errorf("--backup: %w", err)
	}
	if parsed.Live() {
		return fmt.Errorf("%w: --backup takes an archive or a folder on this machine", transfer.ErrUsage)
	}
	if !m.to.Live() {
		return fmt.Errorf("%w: --backup is for Strapi sites; a file or a folder on this machine is replaced only by a complete one, and can be copied",
			transfer.ErrUsage)
	}
	if _, err := os.Lstat(parsed.Path()); err == nil && parsed.Path() != "" {
		return fmt.Errorf("%w: --backup %s exists; give another name", transfer.ErrUsage, parsed)
	}
	if parsed.Kind == m.from.Kind && parsed.Location == m.from.Location || parsed.Kind == m.to.Kind && parsed.Location == m.to.Location {
		return fmt.Errorf("%w: --backup %s is one side of the transfer", transfer.ErrUsage, parsed)
	}
	m.saved = &end{Endpoint: parsed}
	return m.opts.apply(ctx, m.app, m.saved)
}

// saveDestination copies the destination into the backup and proves the copy whole. The destination's own session is open meanwhile
// and has not changed anything.
func (m *move) saveDestination(ctx context.Context) error {
	if m.saved == nil {
		return nil
	}
	report, err := m.copyDestination(ctx)
	m.progress.stop()
	if err == nil {
		err = m.checkBackup(ctx)
	}
	if err != nil {
		return fmt.Errorf("back up the destination, which has not been changed: %w", err)
	}
	m.backup = &backupResult{File: cmp.Or(m.saved.Path(), m.saved.String())}
	for _, s := range report.Stages {
		m.backup.Records += s.Sent
		m.backup.Bytes += s.Bytes
	}
	m.console.say("backup: %s, %s, %s; checked", m.saved, plural(m.backup.Records, "record", "records"), formatBytes(m.backup.Bytes))
	return nil
}

func (m *move) copyDestination(ctx context.Context) (report transfer.Report, err error) {
	src, err := m.open.OpenSource(ctx, m.to.Endpoint, m.to.access)
	if err != nil {
		return report, err
	}
	defer letGo(&err, src)
	dst, err := m.open.OpenDestination(ctx, m.saved.Endpoint, m.saved.access)
	if err != nil {
		return report, err
	}
	defer letGo(&err, dst)
	return transfer.Run(ctx, src, dst, transfer.Options{
		Logger: m.app.log, Observe: func(e transfer.Event) { m.progress.observe("backup", e) },
	})
}

func (m *move) checkBackup(ctx context.Context) (err error) {
	access := m.saved.access
	if len(access.Recipients) > 0 && access.Key == "" && len(access.Identities) == 0 {
		// Whoever writes for a public key cannot read what was written.
		m.console.say("warning: the backup is encrypted for a recipient and was not read back; --identity would allow that")
		return nil
	}
	src, err := m.open.OpenSource(ctx, m.saved.Endpoint, access)
	if err != nil {
		return err
	}
	defer letGo(&err, src)
	checker, ok := src.(transfer.Checker)
	if !ok {
		return fmt.Errorf("%s cannot be checked", m.saved)
	}
	return checker.Check(ctx)
}
