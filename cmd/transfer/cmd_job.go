package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

func newJobCommand(a *app) *cobra.Command {
	o := &jobOptions{}
	cmd := &cobra.Command{
		Use:   "job",
		Short: "Start and follow the jobs of a transfer server",
		Long: `Job talks to a running "transfer serve": it starts transfers between the sites and remotes that the server
knows by name, lists what it has done, follows jobs and cancels them.

` + exitHelp,
		Example: `  transfer job start --from production --to staging --watch
  transfer job list --state failed
  transfer job watch 0193c2f4-7d1e-7b0a-9c55-3f2a8e6b1d42`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	o.addFlags(cmd.PersistentFlags())
	cmd.AddCommand(newJobStartCommand(a, o), newJobListCommand(a, o), newJobShowCommand(a, o), newJobWatchCommand(a, o), newJobCancelCommand(a, o))
	return cmd
}

// jobCommand is a command that takes the id of a job.
func jobCommand(a *app, o *jobOptions, use, short, example string, do func(context.Context, *client, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " ID", Short: short, Example: "  transfer job " + use + " " + example, Args: exactly(1, "the id of a job, as \"transfer job list\" shows it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.client(cmd.Context(), a)
			if err != nil {
				return err
			}
			return do(cmd.Context(), c, args[0])
		},
	}
}

// jobListOptions are the flags of job list.
type jobListOptions struct {
	States, Kinds []string
	Name, Text    string
	Since         time.Duration
	Limit         int
}

func newJobListCommand(a *app, jo *jobOptions) *cobra.Command {
	o := &jobListOptions{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List jobs, newest first",
		Example: "  transfer job list --state failed,interrupted --since 24h\n  transfer job list --json",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runJobList(cmd.Context(), a, jo, o) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.States, "state", nil, "pending, processing, completed, failed, cancelled, interrupted")
	f.StringSliceVar(&o.Kinds, "kind", nil, "session, sync, prune")
	f.StringVar(&o.Name, "name", "", "of a site or remote at either end")
	f.StringVar(&o.Text, "text", "", "part of who, from, to or id")
	f.DurationVar(&o.Since, "since", 0, "not older than")
	f.IntVar(&o.Limit, "limit", 25, "how many")
	return cmd
}

func runJobList(ctx context.Context, a *app, jo *jobOptions, o *jobListOptions) error {
	c, err := jo.client(ctx, a)
	if err != nil {
		return err
	}
	if o.Limit < 1 {
		return fmt.Errorf("%w: --limit is at least 1", transfer.ErrUsage)
	}
	query := url.Values{"pageSize": {strconv.Itoa(min(o.Limit, jobs.MaxPage))}}
	for name, value := range map[string]string{"state": strings.Join(o.States, ","), "kind": strings.Join(o.Kinds, ","), "name": o.Name, "text": o.Text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if o.Since > 0 {
		query.Set("since", a.now().Add(-o.Since).UTC().Format(time.RFC3339))
	}
	t := table{}
	lines := newJSONLines(a.out)
	for page, left := 1, o.Limit; left > 0; page++ {
		query.Set("page", strconv.Itoa(page))
		var list []json.RawMessage
		if _, err := c.get(ctx, "/api/jobs", query, &list); err != nil {
			return err
		}
		for _, raw := range list[:min(left, len(list))] {
			var j jobs.Job
			if err := json.Unmarshal(raw, &j); err != nil {
				return fmt.Errorf("%w: the server's answer cannot be read: %w", transfer.ErrConnection, err)
			}
			if jo.JSON {
				if err := lines.write(raw); err != nil {
					return err
				}
				continue
			}
			t.add(string(j.ID), jobState(j), jobTitle(j), formatMoment(j.Created), j.Who)
		}
		left -= len(list)
		if len(list) < min(o.Limit, jobs.MaxPage) {
			break
		}
	}
	return t.write(a.out)
}

// jobTitle says in short what a job is.
func jobTitle(j jobs.Job) string {
	switch j.Kind {
	case jobs.KindPrune:
		return "prune " + j.Site
	case jobs.KindSession:
		return j.Direction + " " + j.Site
	case jobs.KindSync:
	}
	return j.From + " → " + j.To
}

// jobState says in short how a job is.
func jobState(j jobs.Job) string {
	switch {
	case j.State == jobs.StateProcessing && j.Cancelling:
		return "cancelling"
	case j.State == jobs.StateProcessing:
		return fmt.Sprintf("%s %.0f %%", j.Step, j.Progress)
	case j.Error != nil:
		return string(j.State) + ": " + j.Error.Code
	default:
		return string(j.State)
	}
}

func newJobShowCommand(a *app, o *jobOptions) *cobra.Command {
	var report bool
	cmd := jobCommand(a, o, "show", "Show a job", "0193c2f4-7d1e-7b0a-9c55-3f2a8e6b1d42 --report", func(ctx context.Context, c *client, id string) error {
		path := "/api/jobs/" + url.PathEscape(id)
		if report {
			r, err := c.get(ctx, path+"/report", nil, nil)
			if err != nil {
				return err
			}
			return newJSONLines(a.out).write(r.Data)
		}
		var j jobs.Job
		r, err := c.get(ctx, path, nil, &j)
		if err != nil {
			return err
		}
		if o.JSON {
			return newJSONLines(a.out).write(r.Data)
		}
		return showJob(a, j)
	})
	cmd.Flags().BoolVar(&report, "report", false, "write the report, as JSON")
	return cmd
}

func showJob(a *app, j jobs.Job) error {
	p := page{w: a.out}
	t := table{}
	for _, line := range [][2]string{
		{"job", string(j.ID)}, {"what", jobTitle(j)}, {"state", jobState(j)}, {"started by", j.Who}, {"created", formatMoment(j.Created)},
	} {
		t.add(line[0], line[1])
	}
	if !j.Finished.IsZero() {
		t.add("ended", formatMoment(j.Finished))
	}
	if j.Attempt > 1 {
		t.add("attempt", strconv.Itoa(j.Attempt))
	}
	if j.Error != nil {
		t.add("error", j.Error.Message)
	}
	if r := j.Result; r != nil {
		t.add("destination", string(r.Destination))
		if r.Snapshot != "" {
			t.add("snapshot", j.To+"@"+r.Snapshot)
		}
	}
	p.table(t)
	stages := table{indent: "  ", numbers: 3}
	for _, s := range j.Stages {
		stages.add(string(s.Stage), formatCount(s.Items), formatBytes(s.Bytes), formatBytes(int64(s.Rate))+"/s", stageLeft(s))
	}
	p.table(stages)
	for _, d := range j.Diagnostics {
		p.line("%s %-7s %s", d.Time.Local().Format(time.TimeOnly), d.Level, d.Message)
	}
	return p.err
}

// stageLeft says how long a stage is going to take, if that is known.
func stageLeft(s jobs.Stage) string {
	if s.ETA == nil {
		return ""
	}
	return formatElapsed(time.Duration(*s.ETA*float64(time.Second))) + " left"
}

func newJobCancelCommand(a *app, o *jobOptions) *cobra.Command {
	return jobCommand(a, o, "cancel", "Cancel a job", "0193c2f4-7d1e-7b0a-9c55-3f2a8e6b1d42", func(ctx context.Context, c *client, id string) error {
		r, err := c.call(ctx, http.MethodPost, "/api/jobs/"+url.PathEscape(id)+"/cancel", nil, nil)
		if err != nil {
			return err
		}
		if o.JSON {
			return newJSONLines(a.out).write(r.Data)
		}
		var j jobs.Job
		if err := r.into(&j); err != nil {
			return err
		}
		(&console{w: a.err}).say("%s: %s", j.ID, jobState(j))
		return nil
	})
}

// jobError is what a job's end means to the exit code.
func jobError(j jobs.Job) error {
	switch j.State {
	case jobs.StatePending, jobs.StateProcessing:
		return nil
	case jobs.StateCompleted:
		if j.Result != nil && j.Result.Skipped > 0 {
			return fmt.Errorf("%w: %s", errSkipped, plural(j.Result.Skipped, "record", "records"))
		}
		return nil
	case jobs.StateCancelled, jobs.StateInterrupted, jobs.StateFailed:
	}
	failure := jobs.Failure{Code: string(j.State)}
	if j.Error != nil {
		failure = *j.Error
	}
	message := fmt.Sprintf("job %s: %s", j.State, failure.Message)
	kinds := map[string]error{
		"cancelled": errInterrupted, "outcome_unknown": transfer.ErrOutcomeUnknown, "auth": transfer.ErrAuth, "refused": transfer.ErrRefused,
		"incompatible": transfer.ErrIncompatible, "stalled": transfer.ErrStalled, "timeout": transfer.ErrStalled, "damaged": transfer.ErrDamaged,
		"unwritable": transfer.ErrUnwritable, "busy": transfer.ErrUnwritable, "connection": transfer.ErrConnection, "interrupted": transfer.ErrConnection,
	}
	if kind, ok := kinds[failure.Code]; ok {
		return coded{error: errors.New(message), kind: kind}
	}
	return errors.New(message)
}

// coded is an error whose text says what kind it is already.
type coded struct {
	error
	kind error
}

func (c coded) Unwrap() error { return c.kind }
