package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

// snapshotOptions are the flags of all snapshot commands.
type snapshotOptions struct {
	JSON bool
}

func newSnapshotCommand(a *app) *cobra.Command {
	o := &snapshotOptions{}
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "List, compare, check and forget the snapshots in the vault",
		Long: `Snapshot manages what the vault holds: complete versions of sites, each piece of content kept once.
"transfer serve" and every transfer to vault:SITE add snapshots; none is ever changed. A snapshot is
named by the beginning of its id: vault:SITE@20261121 is the one of that day, vault:SITE the newest.

` + exitHelp,
		Example: `  transfer push --from backup.tar.gz --to vault:site
  transfer snapshot list
  transfer snapshot diff site@20261120 site
  transfer push --from vault:site@20261120 --to https://cms.example.org/admin --to-token-file token
  transfer snapshot forget --site site --keep-last 5 --keep-daily 14`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: unknown command %q of snapshot", transfer.ErrUsage, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&a.shared.Database, "database", "", databaseUsage)
	cmd.PersistentFlags().StringVar(&a.shared.Blobs, "blobs", "", blobsUsage)
	cmd.PersistentFlags().BoolVar(&o.JSON, "json", false, "write the result as JSON to standard output")
	cmd.AddCommand(
		newSnapshotListCommand(a, o), newSnapshotShowCommand(a, o), newSnapshotDiffCommand(a, o), newSnapshotCheckCommand(a, o),
		newSnapshotForgetCommand(a, o), newSnapshotExportCommand(a, o),
	)
	return cmd
}

// dataFolder is where the vault is.
func (a *app) dataFolder() (string, error) { return (&dataFlags{Data: a.data}).dir(a) }

// withVault calls f with the vault, which must be there.
func (a *app) withVault(ctx context.Context, f func(v *vault.Vault) error) error {
	dir, err := a.dataFolder()
	if err != nil {
		return err
	}
	opts, err := a.vaultOptions(a.shared.Database, a.shared.Blobs)
	if err != nil {
		return err
	}
	opts.Existing = true
	v, err := vault.Open(ctx, dir, opts)
	if err != nil {
		return err
	}
	err = f(v)
	return errors.Join(err, v.Close())
}

// snapshotReference reads SITE[@SNAPSHOT], with or without the scheme of the endpoint.
func snapshotReference(text string) (vault.Reference, error) {
	return vault.ParseReference(strings.TrimPrefix(text, "vault:"))
}

func newSnapshotListCommand(a *app, o *snapshotOptions) *cobra.Command {
	return &cobra.Command{
		Use:     "list [SITE]",
		Short:   "List the snapshots of a site, or of all",
		Example: `  transfer snapshot list site`,
		Args:    atMost(1, "one site"),
		RunE: func(cmd *cobra.Command, args []string) error {
			site := ""
			if len(args) > 0 {
				ref, err := snapshotReference(args[0])
				if err != nil {
					return err
				}
				if site = ref.Site; ref.Snapshot != "" {
					return fmt.Errorf("%w: list takes a site: %q names a snapshot", transfer.ErrUsage, args[0])
				}
			}
			return a.withVault(cmd.Context(), func(v *vault.Vault) error { return listSnapshots(cmd.Context(), a, o, v, site) })
		},
	}
}

// atMost takes up to n arguments, which are called what.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("%w: too many arguments, first %q: give %s at most", transfer.ErrUsage, args[n], what)
		}
		return nil
	}
}

// snapshotList is what list finds.
type snapshotList struct {
	Vault     string           `json:"vault"`
	Stat      vault.Stat       `json:"stat"`
	Snapshots []vault.Snapshot `json:"snapshots"`
}

func listSnapshots(ctx context.Context, a *app, o *snapshotOptions, v *vault.Vault, site string) error {
	list := snapshotList{Vault: v.Dir()}
	var err error
	if list.Snapshots, err = v.Snapshots(ctx, site); err != nil {
		return err
	}
	if site != "" && len(list.Snapshots) == 0 {
		_, err := v.Resolve(ctx, vault.Reference{Site: site}) // says which sites there are
		return err
	}
	if list.Stat, err = v.Stat(ctx); err != nil {
		return err
	}
	if o.JSON {
		return newJSONLines(a.out).write(list)
	}
	t := table{numbers: 0}
	t.add("snapshot", "created", "Strapi", "rows", "files", "size", "added", "from")
	for _, s := range list.Snapshots {
		entities, assets := s.Counts[transfer.StageEntities], s.Counts[transfer.StageAssets]
		t.add(s.Reference().String(), formatMoment(s.CreatedAt), dash(s.Version), formatCount(entities.Records), formatCount(assets.Records),
			formatBytes(contentBytes(s)), formatBytes(s.AddedBytes), dash(s.Source))
	}
	p := &page{w: a.out}
	if len(list.Snapshots) > 0 {
		p.table(t)
	}
	p.line("%s of %s in %s: %s on disk, %s of content", plural(list.Stat.Snapshots, "snapshot", "snapshots"),
		plural(list.Stat.Sites, "site", "sites"), list.Vault, formatBytes(list.Stat.Bytes), formatBytes(list.Stat.Contents))
	return p.err
}

func formatMoment(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// contentBytes is how much a snapshot holds.
func contentBytes(s vault.Snapshot) (n int64) {
	for _, count := range s.Counts {
		n += count.Bytes
	}
	return n
}

func newSnapshotShowCommand(a *app, o *snapshotOptions) *cobra.Command {
	return &cobra.Command{
		Use:     "show SITE[@SNAPSHOT]",
		Short:   "Show what a snapshot holds and where it came from",
		Example: `  transfer snapshot show site@20261121`,
		Args:    exactly(1, "a site, or SITE@SNAPSHOT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ref, err := snapshotReference(args[0])
			if err != nil {
				return err
			}
			return a.withVault(cmd.Context(), func(v *vault.Vault) error {
				s, err := v.Resolve(cmd.Context(), ref)
				if err != nil {
					return err
				}
				if o.JSON {
					return newJSONLines(a.out).write(s)
				}
				return showSnapshot(a, s)
			})
		},
	}
}

func showSnapshot(a *app, s vault.Snapshot) error {
	t := table{}
	t.add("snapshot", "vault:"+s.Reference().String())
	t.add("created", formatMoment(s.CreatedAt))
	t.add("Strapi", dash(s.Version))
	t.add("from", strings.TrimSpace(dash(s.Source)+" "+s.SourceKind))
	if !s.SourceCreatedAt.IsZero() {
		t.add("source of", formatMoment(s.SourceCreatedAt))
	}
	if s.Parent != "" {
		t.add("kept from", s.Parent+" what the transfer did not replace")
	}
	if !s.SchemasKnown {
		t.add("schemas", "unknown: whoever sent the content did not tell them")
	}
	t.add("added", plural(s.AddedBlobs, "piece", "pieces")+", "+formatBytes(s.AddedBytes)+" on disk")
	p := &page{w: a.out}
	p.table(t)
	t = table{numbers: 2}
	t.add("")
	for _, stage := range transfer.Stages() {
		n := s.Counts[stage]
		t.add(string(stage), formatCount(n.Records), formatBytes(n.Bytes))
		if stage == transfer.StageEntities || stage == transfer.StageConfiguration {
			for _, group := range slices.Sorted(maps.Keys(n.ByType)) {
				t.add("  "+group, formatCount(n.ByType[group]))
			}
		}
	}
	p.table(t)
	return p.err
}

// addSiteFlag adds the flag that picks a site.
func addSiteFlag(f *pflag.FlagSet, site *string) {
	f.StringVar(site, "site", "", "the site whose snapshots are meant (default: every site)")
}
