package dashboard

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// command is the line that does on a command line what the job does; "" where there is none.
func command(j *jobs.Job, server string) string {
	if j.Kind == jobs.KindSession {
		return ""
	}
	args := []string{"transfer", "job", "start"}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, flag, value)
		}
	}
	number := func(flag string, n int64) {
		if n > 0 {
			add(flag, strconv.FormatInt(n, 10))
		}
	}
	add("--server", server)
	add("--from", j.From)
	add("--to", j.To)
	o := j.Options
	add("--only", strings.ReplaceAll(joined(o.Only), ", ", ","))
	add("--exclude", strings.ReplaceAll(joined(o.Exclude), ", ", ","))
	add("--only-content-types", strings.Join(o.OnlyTypes, ","))
	add("--exclude-content-types", strings.Join(o.ExcludeTypes, ","))
	add("--schema-strategy", string(o.SchemaStrategy))
	add("--version-strategy", string(o.VersionStrategy))
	add("--orphans", string(o.Orphans))
	number("--allow-skipped", o.AllowSkipped)
	number("--max-rate", o.MaxRate)
	number("--attempts", int64(o.Attempts))
	add("--prune", j.Site)
	if k := o.Keep; k != nil {
		number("--keep-last", int64(k.Last))
		number("--keep-daily", int64(k.Daily))
		number("--keep-weekly", int64(k.Weekly))
	}
	if o.Rerun {
		args = append(args, "--rerun")
	}
	if o.DryRun {
		args = append(args, "--dry-run")
	}
	return quoted(args)
}

// usual is the server that the command talks to unless told otherwise.
const usual = "http://127.0.0.1:1400"

// addressOf is where a browser has found the server; "" where the command looks by itself.
func addressOf(r *http.Request) string {
	address := "http://" + r.Host
	if secure(r) {
		address = "https://" + r.Host
	}
	if address == usual {
		return ""
	}
	return address
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
