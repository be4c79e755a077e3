package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args  []string
		env   map[string]string
		stdin string
		code  int
		says  string // on standard error
	}{
		"help":                         {args: []string{"--help"}},
		"nothing":                      {},
		"version":                      {args: []string{"version"}},
		"completion":                   {args: []string{"completion", "bash"}},
		"unknown command":              {args: []string{"restore"}, code: exitUsage, says: "unknown command"},
		"unknown flag":                 {args: []string{"push", "--nope"}, code: exitUsage, says: "unknown flag: --nope"},
		"stray argument":               {args: []string{"push", "backup.tar"}, code: exitUsage, says: "flags only"},
		"no destination":               {args: []string{"push", "--from", "x.tar"}, code: exitUsage, says: "--to https://host/admin"},
		"no source of push":            {args: []string{"push", "--to", cms}, code: exitUsage, says: "--from backup.tar.gz"},
		"no source of pull":            {args: []string{"pull"}, code: exitUsage, says: "--from https://host/admin"},
		"unknown endpoint":             {args: []string{"pull", "--from", "ftp://x"}, code: exitUsage, says: `unknown kind of endpoint "ftp:"`},
		"a project":                    {args: []string{"push", "--from", "strapi:.", "--to", "x.tar"}, code: exitUsage, says: "is not a Strapi project"},
		"no token, nobody to ask":      {args: []string{"pull", "--from", cms}, code: exitUsage, says: "--from-token"},
		"a token for a file":           {args: []string{"pull", "--from", "x.tar", "--from-token", "abcdef", "--to", "y.tar"}, code: exitUsage, says: "is for servers"},
		"two tokens":                   {args: []string{"pull", "--from", cms, "--from-token", "abcdef", "--from-token-file", "x"}, code: exitUsage, says: "not both"},
		"a token file that is missing": {args: []string{"pull", "--from", cms, "--from-token-file", "/no/such/file"}, code: exitUsage, says: "no such file"},
		"an empty standard input":      {args: []string{"pull", "--from", cms, "--from-token", "-"}, code: exitUsage, says: "standard input holds no"},
		"unknown part":                 {args: []string{"pull", "--from", "x.tar", "--to", "y.tar", "--only", "media"}, code: exitUsage, says: `unknown part "media"`},
		"a part twice":                 {args: []string{"pull", "--from", "x.tar", "--to", "y.tar", "--only", "files", "--exclude", "files"}, code: exitUsage, says: "both in only and in exclude"},
		"unknown strategy":             {args: []string{"pull", "--from", "x.tar", "--to", "y.tar", "--schema-strategy", "loose"}, code: exitUsage, says: "one of strict, exact, ignore"},
		"unknown version strategy":     {args: []string{"pull", "--from", "x.tar", "--to", "y.tar", "--version-strategy", "loose"}, code: exitUsage, says: "one of exact"},
		"unknown orphan policy":        {args: []string{"pull", "--from", "x.tar", "--to", "y.tar", "--orphans", "keep"}, code: exitUsage, says: "one of fail, skip"},
		"negative allowance":           {args: []string{"pull", "--from", "x.tar", "--to", "y.tar", "--allow-skipped", "-1"}, code: exitUsage, says: "negative"},
		"bad rate":                     {args: []string{"pull", "--max-rate", "fast"}, code: exitUsage, says: "5MiB/s"},
		"bad duration":                 {args: []string{"pull", "--stall-timeout", "soon"}, code: exitUsage, says: "milliseconds"},
		"both quiet and verbose":       {args: []string{"pull", "--quiet", "--verbose"}, code: exitUsage, says: "exclude each other"},
		"the same twice":               {args: []string{"pull", "--from", "x.tar", "--to", "./x.tar"}, code: exitUsage, says: "are the same"},
		"a key for nothing":            {args: []string{"pull", "--from", "x.tar", "--to", "y.tar", "--key", "secret-key"}, code: exitUsage, says: "nothing is encrypted"},
		"an encrypted file, no key":    {args: []string{"pull", "--from", "x.tar", "--to", "y.tar.gz.enc"}, code: exitUsage, says: "--key"},
		"age without a key":            {args: []string{"pull", "--from", "x.tar", "--to", "y.tar.gz.age"}, code: exitUsage, says: "--recipient"},
		"an Authorization header":      {args: []string{"pull", "--from", cms, "--from-token", "abcdef", "--header", "authorization: Basic x"}, code: exitUsage, says: "carries the transfer token"},
		"a header without a value":     {args: []string{"pull", "--from", cms, "--from-token", "abcdef", "--header", "x"}, code: exitUsage, says: "name=value"},
		"a CA file that holds none":    {args: []string{"pull", "--from", cms, "--from-token", "abcdef", "--ca-file", "main.go"}, code: exitUsage, says: "no certificate"},
		"a file that is missing":       {args: []string{"pull", "--from", "/no/such.tar", "--to", "y.tar"}, code: exitUsage, says: "no such file"},
		"a backup to a server":         {args: []string{"push", "--from", "x.tar", "--to", cms, "--to-token", "abcdef", "--backup", staging}, code: exitUsage, says: "--backup takes an archive"},
		"a backup of a file":           {args: []string{"push", "--from", "x.tar", "--to", "y.tar", "--backup", "z.tar"}, code: exitUsage, says: "--backup is for Strapi sites"},
		"diff without arguments":       {args: []string{"diff"}, code: exitUsage, says: "two endpoints"},
		"doctor with too many":         {args: []string{"doctor", "a", "b"}, code: exitUsage, says: "too many"},
		"doctor of another scheme":     {args: []string{"doctor", "ftp://host"}, code: exitUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.stdin = tt.stdin
			if tt.env != nil {
				w.env = tt.env
			}
			require.Equal(t, tt.code, w.run(tt.args...), w.err.String())
			require.Contains(t, w.err.String(), tt.says)
			require.NotContains(t, w.err.String()+w.out.String(), "secret-key")
		})
	}
}

func TestPullWritesAnArchive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample().WithAdmin())
	to := w.path("out.tar.gz")
	require.Equal(t, exitOK, w.run("pull", "--from", cms, "--from-token", fullToken, "--to", to, "--verify"), w.err.String())
	require.FileExists(t, to)
	require.Regexp(t, `(?m)^entities +9 +8 +8 +1 +0 `, w.out.String())
	require.Contains(t, w.err.String(), "verified: the destination holds what was sent")
	require.Contains(t, w.err.String(), "done in")
	require.Equal(t, exitOK, w.run("inspect", to, "--json"))
	require.Contains(t, w.out.String(), `"api::article.article":2`)
}

func TestPullNamesTheFileAfterTheHost(t *testing.T) {
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample())
	t.Chdir(w.dir)
	require.Equal(t, exitOK, w.run("pull", "--from", cms, "--from-token", fullToken, "--quiet"), w.err.String())
	require.FileExists(t, "cms.example.org-20261121090000.tar.gz")
	require.Empty(t, w.out.String()+w.err.String(), "quiet")
}

func TestWhereTokensComeFrom(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args  []string
		env   map[string]string
		stdin string
		code  int
	}{
		"flag":                         {args: []string{"--from-token", fullToken}},
		"file":                         {args: []string{"--from-token-file", "FILE"}},
		"standard input":               {args: []string{"--from-token", "-"}, stdin: fullToken + "\nmore"},
		"standard input without end":   {args: []string{"--from-token", "-"}, stdin: fullToken},
		"our variable":                 {env: map[string]string{"TRANSFER_FROM_TOKEN": fullToken}},
		"Strapi's variable":            {env: map[string]string{"STRAPI_TRANSFER_TOKEN": fullToken}},
		"ours goes before Strapi's":    {env: map[string]string{"TRANSFER_FROM_TOKEN": fullToken, "STRAPI_TRANSFER_TOKEN": "other-token"}},
		"a flag goes before variables": {args: []string{"--from-token", fullToken}, env: map[string]string{"TRANSFER_FROM_TOKEN": "other-token"}},
		"that of the other side":       {env: map[string]string{"TRANSFER_TO_TOKEN": fullToken}, code: exitUsage},
		"a wrong one":                  {args: []string{"--from-token", "wrong-token-1"}, code: exitAuth},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.serve("cms.example.org", transfertest.Sample())
			if tt.env != nil {
				w.env = tt.env
			}
			w.stdin = tt.stdin
			args := []string{"pull", "--from", cms, "--to", w.path("out.tar")}
			for _, arg := range tt.args {
				if arg == "FILE" {
					arg = w.file("token", fullToken+"\n")
				}
				args = append(args, arg)
			}
			require.Equal(t, tt.code, w.run(args...), w.err.String())
			for _, secret := range []string{fullToken, "other-token", "wrong-token-1"} {
				require.NotContains(t, w.err.String()+w.out.String(), secret)
			}
		})
	}
}

func TestStrapisVariablesNameTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve("staging.example.org", fresh())
	from := w.serve("cms.example.org", transfertest.Sample())
	w.env = map[string]string{"STRAPI_TRANSFER_URL": staging, "STRAPI_TRANSFER_TOKEN": fullToken}
	require.Equal(t, exitUsage, w.run("push", "--from", cms, "--yes"), "the token is for the server that the command is about")
	require.Zero(t, from.opened)
	w.env["TRANSFER_FROM_TOKEN"] = pullOnly
	require.Equal(t, exitOK, w.run("push", "--from", cms, "--yes"), w.err.String())
	require.Equal(t, transfertest.Sample().Lines(), s.site.Lines())
}

func TestPushAsksFirst(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		tty    bool
		stdin  string
		args   []string
		code   int
		pushed bool
		says   string
	}{
		"no terminal":                {code: exitRefused, says: "give --yes"},
		"no terminal, a yes in pipe": {stdin: "yes\n", code: exitRefused, says: "there is no terminal"},
		"yes by flag":                {args: []string{"--yes"}, pushed: true},
		"forced":                     {args: []string{"--force"}, pushed: true, says: "--force is read as --yes"},
		"yes on the terminal":        {tty: true, stdin: "y\n", pushed: true, says: "This replaces content of staging.example.org. Go on? [y/N]"},
		"no to a merge":              {tty: true, stdin: "n\n", args: []string{"--strategy", "merge"}, code: exitRefused, says: "This merges into the content of staging.example.org. Go on? [y/N]"},
		"no on the terminal":         {tty: true, stdin: "n\n", code: exitRefused, says: "answered no"},
		"return on the terminal":     {tty: true, stdin: "\n", code: exitRefused, says: "answered no"},
		"end of input":               {tty: true, code: exitRefused, says: "answered no"},
		"dry run":                    {args: []string{"--dry-run"}, says: "dry run: nothing was changed"},
		"dry run, forced":            {args: []string{"--dry-run", "--yes"}, says: "dry run: nothing was changed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.serve("staging.example.org", fresh())
			w.serve("cms.example.org", transfertest.Sample())
			w.tty, w.stdin = tt.tty, tt.stdin
			args := append([]string{"push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", fullToken}, tt.args...)
			require.Equal(t, tt.code, w.run(args...), w.err.String())
			require.Contains(t, w.err.String(), tt.says)
			require.Contains(t, w.err.String(), "Plan\n")
			if tt.pushed {
				require.Equal(t, transfertest.Sample().Lines(), s.site.Lines())
				return
			}
			require.Equal(t, fresh().Lines(), s.site.Lines(), "nothing may have changed")
		})
	}
}

func TestPlanSaysWhatIsReplacedAndKept(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args  []string
		token string
		want  []string
	}{
		"everything": {token: fullToken, want: []string{
			`content +8 .* 1 +replaced`, `files +\? +\? +replaced`, `config +\? +\? +replaced`,
			`api::category.category +2 +1 +replaced`, `api::article.article +2 +0 +replaced`, `always kept: users, roles and tokens`,
			`uploaded files of the destination are deleted`, `settings and webhooks are replaced`, `lifecycle hooks`, `no way back without a backup`,
		}},
		"a token that cannot pull":   {token: pushOnly, want: []string{`content +8 .* \? +replaced`}},
		"content only":               {token: fullToken, args: []string{"--only", "content"}, want: []string{`content +8 .* 1 +replaced`, `files +\? +\? +kept`, `config +\? +\? +kept`, `rows of the media library are replaced`}},
		"one content type":           {token: fullToken, args: []string{"--only-content-types", "api::category.category"}, want: []string{`replaced: api::category.category only`}},
		"all but one content type":   {token: fullToken, args: []string{"--exclude-content-types", "api::category.category"}, want: []string{`api::category.category +0 +1 +kept`}},
		"without config and backups": {token: fullToken, args: []string{"--exclude", "config", "--backup", "b.tar"}, want: []string{`config +\? +\? +kept`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.serve("staging.example.org", fresh())
			w.serve("cms.example.org", transfertest.Sample())
			args := append([]string{"push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", tt.token}, tt.args...)
			require.Equal(t, exitRefused, w.run(args...), w.err.String())
			text := strings.Join(strings.Fields(w.err.String()), " ")
			for _, want := range tt.want {
				require.Regexp(t, strings.ReplaceAll(want, " +", " "), text)
			}
			if strings.Contains(name, "config") {
				require.NotContains(t, text, "webhooks are replaced")
				require.NotContains(t, text, "no way back")
			}
		})
	}
}

func TestBackupComesBeforeTheTransfer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve("staging.example.org", fresh())
	w.serve("cms.example.org", transfertest.Sample())
	before := w.path("before.tar.gz")
	push := []string{"push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", fullToken, "--backup", before}
	require.Equal(t, exitRefused, w.run(push...))
	require.NoFileExists(t, before, "nothing is saved before the answer is yes")
	require.Equal(t, exitOK, w.run(append(push, "--dry-run")...))
	require.NoFileExists(t, before, "a dry run writes nothing")

	require.Equal(t, exitOK, w.run(append(push, "--yes", "--verify")...), w.err.String())
	require.Contains(t, w.err.String(), "backup: "+before)
	require.Equal(t, transfertest.Sample().Lines(), s.site.Lines())

	require.Equal(t, exitUsage, w.run(append(push, "--yes")...), "a backup is never replaced")
	require.Contains(t, w.err.String(), "exists")

	require.Equal(t, exitOK, w.run("push", "--from", before, "--to", staging, "--to-token", fullToken, "--yes"), w.err.String())
	require.Equal(t, fresh().Lines(), s.site.Lines(), "the backup brings the old content back")
}

func TestNothingIsChangedWhenABackupOrAVerificationIsImpossible(t *testing.T) {
	t.Parallel()
	for _, flag := range [][]string{{"--backup", "b.tar"}, {"--verify"}} {
		w := newWorld(t)
		s := w.serve("staging.example.org", fresh())
		w.serve("cms.example.org", transfertest.Sample())
		if flag[0] == "--backup" {
			flag[1] = w.path(flag[1])
		}
		args := []string{"push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", pushOnly, "--yes"}
		require.Equal(t, exitAuth, w.run(append(args, flag...)...), w.err.String())
		require.Contains(t, w.err.String(), "has not been changed")
		require.Contains(t, w.err.String(), "destination: unchanged")
		require.Equal(t, fresh().Lines(), s.site.Lines())
		require.NoFileExists(t, w.path("b.tar"))
	}
}

func TestVerificationFindsWhatIsMissing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve("staging.example.org", fresh())
	w.serve("cms.example.org", transfertest.Sample())
	s.reading = func(src transfer.Source) transfer.Source {
		m, ok := src.(*transfertest.Memory)
		require.True(t, ok)
		site := m.Site().Clone()
		if n := len(site.Records[transfer.StageLinks]); n > 1 {
			site.Records[transfer.StageLinks] = site.Records[transfer.StageLinks][:n-1]
		}
		return transfertest.NewMemory(site)
	}
	report := w.path("report.json")
	require.Equal(t, exitDamaged, w.run("push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", fullToken, "--yes",
		"--verify", "--report", report), w.err.String())
	require.Contains(t, w.err.String(), "links of api::article.article.localizations: 1 at the source, 0 at the destination")
	require.Contains(t, w.err.String(), "destination: holds the new content")
	var got summary
	readJSON(t, report, &got)
	require.Equal(t, exitDamaged, got.ExitCode)
	require.False(t, got.Verification.Same)
	require.Len(t, got.Verification.Differences, 1)
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, into))
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]int{
		nil:                        exitOK,
		errors.New("else"):         exitFailure,
		transfer.ErrUsage:          exitUsage,
		transfer.ErrAuth:           exitAuth,
		transfer.ErrRefused:        exitRefused,
		transfer.ErrIncompatible:   exitIncompatible,
		transfer.ErrConnection:     exitConnection,
		transfer.ErrStalled:        exitStalled,
		context.DeadlineExceeded:   exitStalled,
		transfer.ErrDamaged:        exitDamaged,
		errSkipped:                 exitSkipped,
		transfer.ErrUnwritable:     exitUnwritable,
		transfer.ErrOutcomeUnknown: exitUnknown,
		errInterrupted:             exitInterrupted,
		errors.Join(errInterrupted, transfer.ErrConnection):      exitInterrupted,
		errors.Join(errInterrupted, transfer.ErrOutcomeUnknown):  exitUnknown,
		errors.Join(transfer.ErrStalled, transfer.ErrConnection): exitStalled,
	} {
		if err != nil {
			err = &transfer.Error{Side: transfer.FromDestination, Op: "write", Err: fmt.Errorf("deep: %w", err)}
		}
		require.Equal(t, want, exitCode(err), "%v", err)
	}
	for code := range 12 {
		require.Contains(t, exitHelp, fmt.Sprintf("\n  %d ", code))
	}
}

// failing is a destination whose Write or Commit fails.
type failing struct {
	transfer.Destination

	write, commit error
}

func (f failing) Write(ctx context.Context, b transfer.Batch) error {
	if f.write != nil && b.Stage == transfer.StageLinks {
		return f.write
	}
	return f.Destination.Write(ctx, b)
}

func (f failing) Commit(ctx context.Context) error {
	if f.commit != nil {
		return f.commit
	}
	return f.Destination.Commit(ctx)
}

func TestAfterAFailureOneLineSaysWhatTheDestinationHolds(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		write, commit error
		state         transfer.State
		backup        bool
		code          int
		says          string
	}{
		"rolled back":       {write: transfer.ErrUnwritable, state: transfer.StateRolledBack, code: exitUnwritable, says: "destination: rolled back, the old content is in place"},
		"files gone":        {write: transfer.ErrConnection, state: transfer.StateFilesGone, code: exitConnection, says: "public/uploads_backup_"},
		"new files":         {write: transfer.ErrConnection, state: transfer.StateNewFiles, code: exitConnection, says: "the uploaded files are the new ones already"},
		"files gone, saved": {write: transfer.ErrConnection, state: transfer.StateFilesGone, backup: true, code: exitConnection, says: "restore it with: transfer push --from "},
		"broken off":        {write: transfer.ErrStalled, state: transfer.StateUncertain, code: exitStalled, says: "rolls back by itself"},
		"unknown":           {commit: transfer.ErrOutcomeUnknown, state: transfer.StateUnknown, code: exitUnknown, says: "transfer diff --content " + cms + " " + staging},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			s := w.serve("staging.example.org", fresh())
			w.serve("cms.example.org", transfertest.Sample())
			s.wrap = func(d transfer.Destination) transfer.Destination {
				return withState{failing{d, tt.write, tt.commit}, tt.state}
			}
			args := []string{"push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", fullToken, "--yes", "--report", w.path("r.json")}
			if tt.backup {
				args = append(args, "--backup", w.path("before.tar"))
			}
			require.Equal(t, tt.code, w.run(args...), w.err.String())
			require.Contains(t, w.err.String(), tt.says)
			lines := strings.Split(strings.TrimSpace(w.err.String()), "\n")
			require.True(t, strings.HasPrefix(lines[len(lines)-1], "destination: "), "the last line: %q", lines[len(lines)-1])
			var got summary
			readJSON(t, w.path("r.json"), &got)
			require.Equal(t, tt.code, got.ExitCode)
			require.Equal(t, tt.state, got.State)
			require.NotEmpty(t, got.Error)
			require.NotEmpty(t, got.Advice)
		})
	}
}

func TestInterruption(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.serve("staging.example.org", fresh())
	w.serve("cms.example.org", transfertest.Sample())
	ctx, cancel := context.WithCancelCause(t.Context())
	s.wrap = func(d transfer.Destination) transfer.Destination {
		return interrupting{d, func() { cancel(errInterrupted) }}
	}
	code := w.runContext(ctx, "push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", fullToken, "--yes")
	require.Equal(t, exitInterrupted, code, w.err.String())
	require.Contains(t, w.err.String(), "transfer: interrupted")
	require.Contains(t, w.err.String(), "destination: ")
	require.Equal(t, fresh().Lines(), s.site.Lines())
}

type interrupting struct {
	transfer.Destination

	interrupt func()
}

func (i interrupting) Write(ctx context.Context, b transfer.Batch) error {
	if b.Stage == transfer.StageLinks {
		i.interrupt()
		return context.Cause(ctx)
	}
	return i.Destination.Write(ctx, b)
}

func TestInterruptionAtAPrompt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("staging.example.org", fresh())
	w.serve("cms.example.org", transfertest.Sample())
	w.tty = true
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	require.Equal(t, exitInterrupted, w.runContext(ctx, "push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", fullToken))
}

func TestSchemasThatDoNotMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := fresh()
	other.Records[transfer.StageSchemas][0] = strings.Replace(other.Records[transfer.StageSchemas][0], `"count":{"type":"biginteger"},`, "", 1)
	s := w.serve("staging.example.org", other)
	w.serve("cms.example.org", transfertest.Sample())
	args := []string{"push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", fullToken}
	require.Equal(t, exitIncompatible, w.run(append(args, "--yes")...))
	require.Contains(t, w.err.String(), "api::article.article.attributes.count")
	require.Equal(t, other.Lines(), s.site.Lines())
	require.Equal(t, exitOK, w.run(append(args, "--force")...), w.err.String())
	require.Contains(t, w.err.String(), "the schemas differ in 1 place")
}

func TestSkippedRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("staging.example.org", fresh())
	site := transfertest.Sample()
	site.Records[transfer.StageLinks] = append(site.Records[transfer.StageLinks],
		`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::article.article","field":"category","ref":10},"right":{"type":"api::category.category","ref":999}}`)
	w.serve("cms.example.org", site)
	args := []string{"push", "--from", cms, "--from-token", fullToken, "--to", staging, "--to-token", fullToken, "--yes"}
	require.Equal(t, exitDamaged, w.run(args...), "an orphan fails the transfer")
	require.Contains(t, w.err.String(), "destination: unchanged")
	w.env["GITHUB_STEP_SUMMARY"] = w.path("summary.md")
	require.Equal(t, exitSkipped, w.run(append(args, "--orphans", "skip")...), w.err.String())
	require.Contains(t, w.err.String(), "skipped: 1 record: links leads to or from a row that the source does not have")
	text, err := os.ReadFile(w.path("summary.md"))
	require.NoError(t, err)
	require.Contains(t, string(text), "done, with skipped records")
	require.Contains(t, string(text), "- skipped: 1 links")
}

func TestStepSummaryIsAppended(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample())
	w.env["GITHUB_STEP_SUMMARY"] = w.file("summary.md", "before\n")
	require.Equal(t, exitOK, w.run("pull", "--from", cms, "--from-token", fullToken, "--to", w.path("a|b.tar")), w.err.String())
	text, err := os.ReadFile(w.path("summary.md"))
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "before\n### transfer pull: done\n"))
	require.Contains(t, string(text), "| entities | 8 | 8 | 8 | 0 | 0 |")
	require.Contains(t, string(text), `a\|b.tar`)
}

func TestAReportThatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample())
	code := w.run("pull", "--from", cms, "--from-token", fullToken, "--to", w.path("a.tar"), "--report", w.path("no/such/folder/r.json"))
	require.Equal(t, exitUnwritable, code)
	require.Contains(t, w.err.String(), "write the report")
	leftovers, err := filepath.Glob(w.path(".*"))
	require.NoError(t, err)
	require.Empty(t, leftovers)
}

func TestLocalFilesAreNotReplacedUnasked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample())
	precious := w.file("precious.tar", "not an archive, but precious")
	args := []string{"pull", "--from", cms, "--from-token", fullToken, "--to", precious}
	require.Equal(t, exitRefused, w.run(args...))
	text, err := os.ReadFile(precious)
	require.NoError(t, err)
	require.Equal(t, "not an archive, but precious", string(text))
	w.tty, w.stdin = true, "y\n"
	require.Equal(t, exitOK, w.run(args...), w.err.String())
	require.Equal(t, exitOK, w.run("inspect", precious))
}

func TestSecretsInAnswersOfPeersAreStruckOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample())
	report := w.path("r.json")
	require.Equal(t, exitAuth, w.run("pull", "--from", cms, "--from-token", "wrong-token-1", "--to", w.path("a.tar"), "--report", report, "--json",
		"--verbose", "--header", "cf-access: header-secret"))
	text, err := os.ReadFile(report)
	require.NoError(t, err)
	for _, shown := range []string{w.out.String(), w.err.String(), string(text)} {
		require.NotContains(t, shown, "wrong-token-1")
		require.NotContains(t, shown, "header-secret")
	}
	require.Contains(t, w.err.String(), "bad token ***")
}
