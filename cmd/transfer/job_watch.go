package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

const (
	// watchEvery is the time between two looks: as often as the server allows.
	watchEvery = 2100 * time.Millisecond
	// Short jobs are not made to wait: the first looks come sooner.
	quickLooks = 5
	quickEvery = 400 * time.Millisecond
	// watchPatience is how long a server may be away.
	watchPatience = 5 * time.Minute
)

// jobStartOptions are the flags of job start.
type jobStartOptions struct {
	From, To string
	Prune    string
	Keep     jobs.Keep
	Settings jobs.Settings
	Watch    bool

	filterFlags
	schemas, versions, orphans string
	rate                       byteRate
}

func newJobStartCommand(a *app, jo *jobOptions) *cobra.Command {
	o := &jobStartOptions{}
	cmd := &cobra.Command{
		Use:   "start --from NAME --to NAME",
		Short: "Start a transfer between two sites or remotes of the server",
		Long: `Start has the server move content between two of its sites and remotes, which "transfer job start" names
as the server does; SITE@SNAPSHOT is a site as it was. The job's id is written to standard output.

With --prune SITE it deletes the snapshots of a site that no --keep- rule keeps.`,
		Example: "  transfer job start --from production --to staging --watch\n  transfer job start --from shop@20261124-0200 --to shop\n  transfer job start --prune shop --keep-last 10",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runJobStart(cmd.Context(), a, jo, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.From, "from", "", "site, SITE@SNAPSHOT or remote to read from")
	f.StringVar(&o.To, "to", "", "site or remote to write to")
	o.addFlags(f)
	f.StringVar(&o.schemas, "schema-strategy", "", "which schemas may meet: exact, strict (default), ignore")
	f.StringVar(&o.versions, "version-strategy", "", "which Strapi versions may meet: exact (default), patch, minor, major, ignore")
	f.StringVar(&o.orphans, "orphans", "", "links to rows that are not there: fail (default) or skip")
	f.Int64Var(&o.Settings.AllowSkipped, "allow-skipped", 0, "how many records may be left behind")
	f.Var(&o.rate, "max-rate", "bytes a second at most, such as 5MiB/s")
	f.BoolVar(&o.Settings.DryRun, "dry-run", false, "change nothing, say what would be")
	f.BoolVar(&o.Settings.Rerun, "rerun", false, "run again if the server dies meanwhile")
	f.IntVar(&o.Settings.Attempts, "attempts", 0, fmt.Sprintf("how often to try when the connection fails (default %d)", jobs.DefaultAttempts))
	o.addPrune(f)
	f.BoolVarP(&o.Watch, "watch", "w", false, "follow the job to its end")
	f.SortFlags = false
	return cmd
}

func (o *jobStartOptions) addPrune(f *pflag.FlagSet) {
	f.StringVar(&o.Prune, "prune", "", "site whose snapshots are deleted, but for those that are kept")
	f.IntVar(&o.Keep.Last, "keep-last", 0, "keep the newest so many snapshots")
	f.IntVar(&o.Keep.Daily, "keep-daily", 0, "keep the newest snapshot of each of the last so many days that have one")
	f.IntVar(&o.Keep.Weekly, "keep-weekly", 0, "keep the newest snapshot of each of the last so many weeks that have one")
}

// request is the body that starts the job.
func (o *jobStartOptions) request() (map[string]any, error) {
	filter, err := o.filter()
	if err != nil {
		return nil, err
	}
	s := o.Settings
	s.Only, s.Exclude, s.OnlyTypes, s.ExcludeTypes = filter.Only, filter.Exclude, filter.OnlyTypes, filter.ExcludeTypes
	s.SchemaStrategy, s.VersionStrategy = transfer.SchemaStrategy(o.schemas), transfer.VersionStrategy(o.versions)
	s.Orphans, s.MaxRate = transfer.OrphanPolicy(o.orphans), int64(o.rate)
	if o.Prune != "" {
		if o.From != "" || o.To != "" {
			return nil, fmt.Errorf("%w: give --prune, or --from and --to", transfer.ErrUsage)
		}
		s.Keep = &o.Keep
		return map[string]any{"kind": jobs.KindPrune, "site": o.Prune, "options": s}, nil
	}
	if o.From == "" || o.To == "" {
		return nil, fmt.Errorf("%w: give --from and --to, names that the server knows: \"transfer job list\" shows some", transfer.ErrUsage)
	}
	return map[string]any{"from": o.From, "to": o.To, "options": s}, s.Validate()
}

func runJobStart(ctx context.Context, a *app, jo *jobOptions, o *jobStartOptions) error {
	body, err := o.request()
	if err != nil {
		return err
	}
	c, err := jo.client(ctx, a)
	if err != nil {
		return err
	}
	r, err := c.call(ctx, http.MethodPost, "/api/jobs", body, nil)
	if err != nil {
		return err
	}
	var started struct {
		JobID string `json:"jobId"`
	}
	if err := r.into(&started); err != nil {
		return err
	}
	if o.Watch {
		return watchJob(ctx, a, jo, c, started.JobID)
	}
	if jo.JSON {
		return newJSONLines(a.out).write(r.Data)
	}
	_, err = fmt.Fprintln(a.out, started.JobID)
	return err
}

func newJobWatchCommand(a *app, o *jobOptions) *cobra.Command {
	return jobCommand(a, o, "watch", "Follow a job to its end, and exit as the transfer would have", "0193c2f4-7d1e-7b0a-9c55-3f2a8e6b1d42 --json", func(ctx context.Context, c *client, id string) error {
		return watchJob(ctx, a, o, c, id)
	})
}

// watchJob shows a job until it has ended. A server that is away is waited for.
func watchJob(ctx context.Context, a *app, o *jobOptions, c *client, id string) error {
	w := &watcher{app: a, options: o, console: &console{w: a.err}, lines: newJSONLines(a.out)}
	away := backoff.NewExponentialBackOff(backoff.WithInitialInterval(watchEvery), backoff.WithMaxInterval(30*time.Second), backoff.WithMaxElapsedTime(watchPatience))
	header := http.Header{}
	for looks := 0; ; looks++ {
		wait := watchEvery
		if looks < quickLooks {
			wait = quickEvery
		}
		r, err := c.call(ctx, http.MethodGet, "/api/jobs/"+url.PathEscape(id), nil, header)
		switch {
		case errors.Is(err, errRate):
			wait = max(r.after, watchEvery)
		case errors.Is(err, transfer.ErrConnection) && ctx.Err() == nil:
			if wait = away.NextBackOff(); wait == backoff.Stop {
				return err
			}
			w.console.say("%v; trying again", err)
		case err != nil:
			return err
		case r.status != http.StatusNotModified:
			away.Reset()
			header.Set("If-None-Match", r.tag)
			j, err := w.show(r.Data)
			if err != nil {
				return err
			}
			if j.State.Ended() {
				return jobError(j)
			}
		}
		if err := waitFor(ctx, wait); err != nil {
			return err
		}
	}
}

func waitFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// watcher shows a job as it goes on.
type watcher struct {
	app     *app
	options *jobOptions
	console *console
	lines   *jsonLines
	told    int // diagnostics
}

func (w *watcher) show(raw json.RawMessage) (j jobs.Job, err error) {
	if err := json.Unmarshal(raw, &j); err != nil {
		return j, fmt.Errorf("%w: the server's answer cannot be read: %w", transfer.ErrConnection, err)
	}
	if w.options.JSON {
		return j, w.lines.write(raw)
	}
	for _, d := range j.Diagnostics[min(w.told, len(j.Diagnostics)):] {
		w.console.say("%s: %s", d.Level, d.Message)
	}
	w.told = len(j.Diagnostics)
	line := fmt.Sprintf("%-40s %s", jobTitle(j), jobState(j))
	if n := len(j.Stages); n > 0 && !j.State.Ended() {
		s := j.Stages[n-1]
		line += fmt.Sprintf("  %s  %s  %s/s  %s", plural(s.Items, "item", "items"), formatBytes(s.Bytes), formatBytes(int64(s.Rate)), stageLeft(s))
	}
	w.console.say("%s", line)
	return j, nil
}
