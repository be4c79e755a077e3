package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// writeReport replaces the file at path by the summary as JSON.
func (a *app) writeReport(path string, s summary) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(s); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if err := replaceFile(path, a.secrets.clean(text.Bytes())); err != nil {
		return fmt.Errorf("%w: write the report: %w", transfer.ErrUnwritable, err)
	}
	return nil
}

// replaceFile writes a file so that others see the old text or the new one, whatever happens.
func replaceFile(path string, text []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(text)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// appendMarkdown adds the summary to a page of a CI run.
func (a *app) appendMarkdown(path string, s summary) (err error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // CI names the file, and reads it
	if err != nil {
		return fmt.Errorf("append to the step summary: %w", err)
	}
	_, err = a.secrets.wrap(file).Write([]byte(markdown(s)))
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("append to the step summary: %w", err)
	}
	return nil
}

// markdown writes the summary as a table.
func markdown(s summary) string {
	var b strings.Builder
	verdict := "done"
	switch {
	case s.ExitCode == exitSkipped:
		verdict = "done, with skipped records"
	case s.ExitCode != exitOK:
		verdict = fmt.Sprintf("failed (exit code %d)", s.ExitCode)
	case s.Report.DryRun:
		verdict = "dry run"
	}
	fmt.Fprintf(&b, "### transfer %s: %s\n\n`%s` → `%s`\n\n", s.Command, verdict, cell(s.From), cell(s.To))
	if len(s.Report.Stages) > 0 {
		markdownStages(&b, s.Report.Stages)
	}
	for _, skip := range s.Report.Skipped {
		fmt.Fprintf(&b, "- skipped: %s %s: %s\n", formatCount(skip.Count), skip.Stage, cell(skip.Reason))
	}
	if s.Verification != nil {
		fmt.Fprintf(&b, "- verification: %s\n", map[bool]string{true: "same", false: "**different**"}[s.Verification.Same])
	}
	if s.Backup != nil {
		fmt.Fprintf(&b, "- backup: `%s`\n", cell(s.Backup.File))
	}
	if s.Error != "" {
		fmt.Fprintf(&b, "- error: %s\n", cell(s.Error))
	}
	if s.Advice != "" {
		fmt.Fprintf(&b, "- destination: %s\n", cell(s.Advice))
	}
	b.WriteString("\n")
	return b.String()
}

func markdownStages(b *strings.Builder, stages []transfer.StageReport) {
	b.WriteString("| stage | read | sent | stored | excluded | skipped | size | time |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, s := range stages {
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", s.Stage, formatCount(s.Read), formatCount(s.Sent), formatCount(s.Stored),
			formatCount(s.Excluded), formatCount(s.Skipped), formatBytes(s.Bytes), formatElapsed(s.Elapsed))
	}
	b.WriteString("\n")
}

// cell makes text fit into a Markdown line.
func cell(text string) string {
	return strings.NewReplacer("\n", " ", "\r", " ", "|", `\|`, "`", "'", "<", "&lt;").Replace(text)
}
