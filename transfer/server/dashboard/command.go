package dashboard

import (
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// command is the line that does on a command line what the job does; "" where there is none.
func command(j *jobs.Job) string {
	switch j.Kind {
	case jobs.KindSync:
	case jobs.KindPrune:
		return pruneCommand(j)
	case jobs.KindSession:
		return ""
	}
	args := []string{"transfer", "job", "start", "--from", j.From, "--to", j.To}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	o := j.Options
	add("--only", strings.ReplaceAll(joined(o.Only), ", ", ","))
	add("--exclude", strings.ReplaceAll(joined(o.Exclude), ", ", ","))
	add("--only-content-types", strings.Join(o.OnlyTypes, ","))
	add("--exclude-content-types", strings.Join(o.ExcludeTypes, ","))
	add("--schema-strategy", string(o.SchemaStrategy))
	add("--version-strategy", string(o.VersionStrategy))
	add("--orphans", string(o.Orphans))
	if o.AllowSkipped > 0 {
		add("--allow-skipped", strconv.FormatInt(o.AllowSkipped, 10))
	}
	if o.MaxRate > 0 {
		add("--max-rate", strconv.FormatInt(o.MaxRate, 10))
	}
	if o.DryRun {
		args = append(args, "--dry-run")
	}
	return quoted(args)
}

func pruneCommand(j *jobs.Job) string {
	args := []string{"transfer", "snapshot", "forget", "--site", j.Site}
	if k := j.Options.Keep; k != nil {
		for _, rule := range []struct {
			flag string
			n    int
		}{{"--keep-last", k.Last}, {"--keep-daily", k.Daily}, {"--keep-weekly", k.Weekly}} {
			if rule.n > 0 {
				args = append(args, rule.flag, strconv.Itoa(rule.n))
			}
		}
	}
	return quoted(args)
}

// quoted writes arguments so that a shell reads them as they are.
func quoted(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		if a != "" && strings.Trim(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@,=") == "" {
			out[i] = a
			continue
		}
		out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(out, " ")
}
