package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

func newSnapshotCheckCommand(a *app, o *snapshotOptions) *cobra.Command {
	read := false
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look for damage in the vault",
		Long: `Check looks whether everything that the snapshots are made of is there. --read-data also reads every
byte and compares it with its digest, which finds what a disk has changed.

A piece that is missing or too short is written again by the next transfer that brings its content.

` + exitHelp,
		Example: `  transfer snapshot check --read-data`,
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withVault(cmd.Context(), func(v *vault.Vault) error { return checkVault(cmd.Context(), a, o, v, read) })
		},
	}
	cmd.Flags().BoolVar(&read, "read-data", false, "read every byte and compare it with its digest")
	return cmd
}

func checkVault(ctx context.Context, a *app, o *snapshotOptions, v *vault.Vault, read bool) error {
	report, err := v.Check(ctx, vault.CheckOptions{ReadData: read})
	if err != nil {
		return err
	}
	bad := fmt.Errorf("%w: the vault has %s", transfer.ErrDamaged, plural(int64(len(report.Problems)), "problem", "problems"))
	if o.JSON {
		if err := newJSONLines(a.out).write(report); err != nil || len(report.Problems) == 0 {
			return err
		}
		return reported{bad}
	}
	p := &page{w: a.out}
	for _, problem := range report.Problems {
		p.line("%s", problem.Message)
		if len(problem.Snapshots) > 0 {
			p.line("  part of %s", strings.Join(problem.Snapshots, ", "))
		}
	}
	all, how := "everything ", "is there"
	if len(report.Problems) > 0 {
		all = "everything else "
	}
	if report.Read {
		how = "was read"
	}
	p.line("%s, %s of %s: %s%s", plural(report.Snapshots, "snapshot", "snapshots"), plural(report.Blobs, "piece", "pieces"),
		formatBytes(report.Bytes), all, how)
	if p.err != nil || len(report.Problems) == 0 {
		return p.err
	}
	return bad
}
