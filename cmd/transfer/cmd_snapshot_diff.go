package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

func newSnapshotDiffCommand(a *app, o *snapshotOptions) *cobra.Command {
	limit := 0
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two snapshots, of one site or of two",
		Long: `Diff compares two snapshots: schemas, rows by type, documentId, locale and status, links between them,
settings, and files by their digests. Files are not read for that.

The exit code is 0 if both are the same and 1 if they differ.

` + exitHelp,
		Example: `  transfer snapshot diff site@20261120 site`,
		Args:    exactly(2, "two snapshots, each as SITE or SITE@SNAPSHOT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var refs [2]vault.Reference
			for i, text := range args {
				var err error
				if refs[i], err = snapshotReference(text); err != nil {
					return err
				}
			}
			return a.withVault(cmd.Context(), func(v *vault.Vault) error { return diffSnapshots(cmd.Context(), a, o, v, refs, limit) })
		},
	}
	cmd.Flags().IntVar(&limit, "limit", maxDifferences, "how many differences of rows, links and settings to tell; 0 is all")
	return cmd
}

func diffSnapshots(ctx context.Context, a *app, o *snapshotOptions, v *vault.Vault, refs [2]vault.Reference, limit int) error {
	d, err := v.Diff(ctx, refs[0], refs[1], limit)
	if err != nil {
		return err
	}
	if o.JSON {
		if err := newJSONLines(a.out).write(d); err != nil || d.Same {
			return err
		}
		return reported{errDifferent}
	}
	if err := writeSnapshotDiff(a, d); err != nil || d.Same {
		return err
	}
	return errDifferent
}

func writeSnapshotDiff(a *app, d vault.Diff) error {
	p := &page{w: a.out}
	t := table{}
	t.add("A", d.A.Reference().String(), formatMoment(d.A.CreatedAt))
	t.add("B", d.B.Reference().String(), formatMoment(d.B.CreatedAt))
	p.table(t)
	if d.Same {
		p.line("the same content")
		return p.err
	}
	for _, schema := range d.Schemas {
		p.line("schema %s", schema)
	}
	if len(d.Records) > 0 {
		t = table{numbers: 2}
		t.add("rows", "A", "B")
		for _, uid := range slices.Sorted(maps.Keys(d.Records)) {
			n := d.Records[uid]
			t.add(uid, formatCount(n[0]), formatCount(n[1]))
		}
		p.table(t)
	}
	for _, line := range d.Content {
		p.line("%s", line)
	}
	for _, list := range []struct {
		what  string
		names []string
	}{{"only in B", d.Files.Added}, {"only in A", d.Files.Removed}, {"differs", d.Files.Changed}} {
		for i, name := range list.names {
			if i == maxDifferences {
				p.line("and %s more (--json lists all): %s", plural(int64(len(list.names)-i), "file", "files"), list.what)
				break
			}
			p.line("file %s: %s", name, list.what)
		}
	}
	return p.err
}

func newSnapshotExportCommand(a *app, o *snapshotOptions) *cobra.Command {
	move := &moveOptions{}
	cmd := &cobra.Command{
		Use:   "export SITE[@SNAPSHOT] FILE",
		Short: "Write a snapshot into an archive or a folder",
		Long: `Export writes a snapshot into an archive that "strapi import" reads, or into a folder: the same as
transfer pull --from vault:SITE@SNAPSHOT --to FILE.

` + exitHelp,
		Example: `  transfer snapshot export site@20261121 backup.tar.gz`,
		Args:    exactly(2, "a snapshot and a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := snapshotReference(args[0])
			if err != nil {
				return err
			}
			move.From.Endpoint, move.To.Endpoint, move.JSON = "vault:"+ref.String(), args[1], o.JSON
			return runMove(cmd.Context(), a, move, directionPull)
		},
	}
	f := cmd.Flags()
	move.From.name, move.To.name = "from", "to"
	move.SchemaStrategy, move.VersionStrategy, move.Orphans = string(transfer.SchemaStrict), string(transfer.VersionExact), string(transfer.OrphansFail)
	f.BoolVarP(&move.Yes, "yes", "y", false, "replace a file that is there")
	f.BoolVarP(&move.Quiet, "quiet", "q", false, "say nothing but errors")
	move.filterFlags.addFlags(f)
	move.keyFlags.addFlags(f)
	f.SortFlags = false
	return cmd
}
