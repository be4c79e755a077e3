package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/providers/vault"
)

// forgetOptions are the flags of snapshot forget.
type forgetOptions struct {
	*snapshotOptions

	vault.Policy

	Site   string
	DryRun bool
}

func newSnapshotForgetCommand(a *app, so *snapshotOptions) *cobra.Command {
	o := &forgetOptions{snapshotOptions: so}
	cmd := &cobra.Command{
		Use:   "forget",
		Short: "Forget old snapshots and free what only they need",
		Long: `Forget applies rules to the snapshots of each site by itself. A snapshot that any of the rules keeps is
kept; the others are forgotten, and the space that nothing else needs is freed. While somebody is
reading or writing the space stays taken until nobody does.

` + exitHelp,
		Example: `  transfer snapshot forget --keep-last 5 --keep-daily 14 --keep-weekly 8 --dry-run`,
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Location = time.Local
			if err := o.Validate(); err != nil {
				return fmt.Errorf("%w: give --keep-last, --keep-daily or --keep-weekly", err)
			}
			return a.withVault(cmd.Context(), func(v *vault.Vault) error { return runForget(cmd.Context(), a, o, v) })
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Last, "keep-last", 0, "keep the newest so many snapshots")
	f.IntVar(&o.Daily, "keep-daily", 0, "keep the newest snapshot of each of the last so many days that have one")
	f.IntVar(&o.Weekly, "keep-weekly", 0, "keep the newest snapshot of each of the last so many weeks that have one")
	addSiteFlag(f, &o.Site)
	f.BoolVar(&o.DryRun, "dry-run", false, "say what would be forgotten and do nothing")
	f.SortFlags = false
	return cmd
}

// forgetResult is what forget did, or would do.
type forgetResult struct {
	DryRun    bool             `json:"dryRun,omitempty"`
	Decisions []vault.Decision `json:"decisions"`
	Freed     vault.Swept      `json:"freed"`
}

func runForget(ctx context.Context, a *app, o *forgetOptions, v *vault.Vault) error {
	sites, err := v.Sites(ctx)
	if err != nil {
		return err
	}
	if o.Site != "" {
		sites = []string{o.Site}
	}
	mode := vault.DoIt
	if o.DryRun {
		mode = vault.DryRun
	}
	result := forgetResult{DryRun: o.DryRun, Decisions: []vault.Decision{}}
	for _, site := range sites {
		decisions, freed, err := v.Forget(ctx, site, o.Policy, mode)
		if err != nil {
			return err
		}
		result.Decisions = append(result.Decisions, decisions...)
		result.Freed.Busy = result.Freed.Busy || freed.Busy
		result.Freed.Blobs, result.Freed.Bytes = result.Freed.Blobs+freed.Blobs, result.Freed.Bytes+freed.Bytes
	}
	if o.JSON {
		return newJSONLines(a.out).write(result)
	}
	return result.write(a)
}

func (r forgetResult) write(a *app) error {
	p := &page{w: a.out}
	t := table{}
	kept, gone := int64(0), int64(0)
	for _, d := range r.Decisions {
		what := "forget"
		if d.Keep {
			what = "keep: " + strings.Join(d.Reasons, ", ")
			kept++
		} else {
			gone++
		}
		t.add(d.Snapshot.Reference().String(), formatMoment(d.Snapshot.CreatedAt), what)
	}
	p.table(t)
	switch {
	case r.DryRun:
		p.line("dry run: %s would be forgotten, %s kept", plural(gone, "snapshot", "snapshots"), formatCount(kept))
	case r.Freed.Busy:
		p.line("%s forgotten, %s kept; the vault is in use, so the space is freed later", plural(gone, "snapshot", "snapshots"), formatCount(kept))
	default:
		p.line("%s forgotten, %s kept, %s freed", plural(gone, "snapshot", "snapshots"), formatCount(kept), formatBytes(r.Freed.Bytes))
	}
	return p.err
}
