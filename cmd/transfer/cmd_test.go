package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestInspect(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample().WithAdmin())
	archive := w.archive("site.tar.gz")

	require.Equal(t, exitOK, w.run("inspect", archive), w.err.String())
	require.Regexp(t, `(?m)^entities +31 +14\.\d KiB$`, w.out.String())
	require.Regexp(t, `(?m)^checked +whole$`, w.out.String())

	require.Equal(t, exitOK, w.run("inspect", cms, "--token", fullToken, "--schemas", w.path("schemas.json")), w.err.String())
	require.NotContains(t, w.out.String(), "admin::user", "what is never moved is not shown")
	var schemas map[string]any
	readJSON(t, w.path("schemas.json"), &schemas)
	require.Contains(t, schemas, "api::article.article")
	require.Equal(t, exitOK, w.run("inspect", cms, "--token", fullToken, "--quick", "--json"))
	var got inspection
	require.NoError(t, json.Unmarshal([]byte(w.out.String()), &got))
	require.Equal(t, inspection{Endpoint: cms, Kind: "memory", Version: "5.54.0", CreatedAt: got.CreatedAt, Types: 4, Components: 2}, got)

	text, err := os.ReadFile(archive)
	require.NoError(t, err)
	cut := w.file("cut.tar.gz", string(text[:len(text)/2]))
	require.Equal(t, exitDamaged, w.run("inspect", cut), w.err.String())
	require.Contains(t, w.err.String(), "cut.tar.gz")
}

func TestDiff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample())
	s := w.serve("staging.example.org", transfertest.Sample())
	diff := []string{"diff", cms, staging, "--from-token", fullToken, "--to-token", fullToken}
	require.Equal(t, exitOK, w.run(append(diff, "--content")...), w.err.String())
	require.Contains(t, w.out.String(), "the same")

	s.site = transfertest.Sample()
	s.site.Files[0].Body = []byte("HELLO, WORLD")
	require.Equal(t, exitOK, w.run(diff...), "the numbers are the same")
	require.Equal(t, exitDifferent, w.run(append(diff, "--content")...))
	require.Contains(t, w.out.String(), "content: file a_1.txt: differs")
	require.Equal(t, exitOK, w.run(append(diff, "--content", "--exclude", "files")...), w.out.String())

	s.site = fresh()
	require.Equal(t, exitDifferent, w.run(append(diff, "--json")...))
	var got diffResult
	require.NoError(t, json.Unmarshal([]byte(w.out.String()), &got))
	require.Equal(t, [2]int64{2, 1}, got.Counts["api::category.category"])
	require.False(t, got.Same)
	require.Equal(t, exitOK, w.run(append(diff, "--schemas-only")...))

	s.site.Records[transfer.StageSchemas][0] = strings.Replace(s.site.Records[transfer.StageSchemas][0], `"biginteger"`, `"integer"`, 1)
	require.Equal(t, exitDifferent, w.run(append(diff, "--schemas-only")...))
	require.Contains(t, w.out.String(), `schema: api::article.article.attributes.count.type is "biginteger" at the source and "integer" at the destination`)
	require.Equal(t, exitUsage, w.run(append(diff, "--schemas-only", "--content")...))
}

func TestEncryptedArchives(t *testing.T) {
	t.Parallel()
	identity, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	w := newWorld(t)
	source := w.archive("site.tar")
	file := w.file("identity.txt", "# made for a test\n"+identity.String()+"\n")
	tests := map[string]struct {
		name        string
		write, read []string
		wrong       []string
		code        int
	}{
		"Strapi's form":  {name: "a.tar.gz.enc", write: []string{"--key", "right-key"}, read: []string{"-k", "right-key"}, wrong: []string{"--key", "wrong-key"}, code: exitDamaged},
		"a public key":   {name: "b.tar.age", write: []string{"--recipient", identity.Recipient().String()}, read: []string{"--identity", file}, wrong: nil, code: exitUsage},
		"Strapi's names": {name: "c.tar.gz.enc", write: nil, read: []string{"--key", "right-key"}, wrong: nil, code: exitUsage},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			to := w.path(tt.name)
			args := append([]string{"pull", "--from", source, "--to", to}, tt.write...)
			if tt.write == nil {
				args = []string{"export", "--from", source, "-f", strings.TrimSuffix(to, ".tar.gz.enc"), "-k", "right-key"}
			}
			require.Equal(t, exitOK, w.run(args...), w.err.String())
			require.Equal(t, exitOK, w.run(append([]string{"diff", "--content", source, to}, tt.read...)...), w.err.String())
			code := w.run(append([]string{"inspect", to}, tt.wrong...)...)
			if tt.code == exitDamaged { // the archive decides between a wrong key and damage, which may look alike
				require.Contains(t, []int{exitDamaged, exitAuth, exitUsage}, code, w.err.String())
			} else {
				require.Equal(t, tt.code, code, w.err.String())
			}
			require.NotContains(t, w.err.String()+w.out.String(), "wrong-key")
		})
	}
}

func TestKeyFromEverywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := w.archive("site.tar")
	to := w.path("a.tar.enc")
	w.stdin = "right-key\n"
	require.Equal(t, exitOK, w.run("pull", "--from", source, "--to", to, "--key", "-"), w.err.String())
	require.Equal(t, exitOK, w.run("inspect", to, "--key-file", w.file("key", "right-key\n")), w.err.String())
	w.env["TRANSFER_KEY"] = "right-key"
	require.Equal(t, exitOK, w.run("inspect", to), w.err.String())
	require.Equal(t, exitUsage, w.run("inspect", to, "--key", "a", "--key-file", "b"))
}

func TestLinesForStrapisToolsWork(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		args []string
		code int
		made string
		says string
	}{
		"transfer --to":                {args: []string{"--to", staging, "--to-token", fullToken, "--force", "--exclude", "config", "--from", "SITE"}, says: "read as transfer push"},
		"transfer --from":              {args: []string{"--from", cms, "--from-token", fullToken, "-f", "OUT", "--no-encrypt"}, made: "OUT.tar.gz", says: "read as transfer pull"},
		"import":                       {args: []string{"import", "-f", "SITE", "--to", staging, "--to-token", fullToken, "--force"}, says: "import is read as push"},
		"export, plain":                {args: []string{"export", "-f", "OUT", "--no-encrypt", "--no-compress", "--from", cms, "--from-token", fullToken}, made: "OUT.tar"},
		"export, compressed":           {args: []string{"export", "--file", "OUT", "--no-encrypt", "--from", cms, "--from-token", fullToken}, made: "OUT.tar.gz"},
		"export, encrypted":            {args: []string{"export", "--file", "OUT", "-k", "some-key", "--from", cms, "--from-token", fullToken}, made: "OUT.tar.gz.enc"},
		"export, encrypted only":       {args: []string{"export", "--file", "OUT", "-k", "some-key", "--no-compress", "--from", cms, "--from-token", fullToken}, made: "OUT.tar.enc"},
		"export, no key":               {args: []string{"export", "--file", "OUT", "--from", cms, "--from-token", fullToken}, code: exitUsage, says: "--key"},
		"export, folder":               {args: []string{"export", "--file", "OUT", "--format", "dir", "--no-encrypt", "--from", cms, "--from-token", fullToken}, made: "OUT/metadata.json"},
		"export, encrypted folder":     {args: []string{"export", "--file", "OUT", "--format", "dir", "--from", cms, "--from-token", fullToken}, code: exitUsage, says: "cannot be encrypted"},
		"export, key and no-encrypt":   {args: []string{"export", "--file", "OUT", "-k", "some-key", "--no-encrypt", "--from", cms, "--from-token", fullToken}, code: exitUsage, says: "exclude each other"},
		"export, full name":            {args: []string{"export", "--file", "OUT.tar.gz", "--no-encrypt", "--from", cms, "--from-token", fullToken}, made: "OUT.tar.gz"},
		"export, name against flags":   {args: []string{"export", "--file", "OUT.tar.gz.enc", "--no-encrypt", "--from", cms, "--from-token", fullToken}, code: exitUsage, says: "says otherwise"},
		"file and to":                  {args: []string{"pull", "--file", "OUT", "--to", "OUT.tar", "--from", cms, "--from-token", fullToken}, code: exitUsage, says: "not both"},
		"throttle in milliseconds":     {args: []string{"pull", "--throttle", "1", "--to", "OUT.tar", "--from", cms, "--from-token", fullToken}, made: "OUT.tar"},
		"no-encrypt where it is plain": {args: []string{"pull", "--no-encrypt", "--to", "OUT.tar", "--from", cms, "--from-token", fullToken}, made: "OUT.tar"},
		"format without file":          {args: []string{"pull", "--format", "dir", "--to", "OUT.tar", "--from", cms, "--from-token", fullToken}, code: exitUsage, says: "belong to --file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.serve("cms.example.org", transfertest.Sample())
			site := w.path("moved.tar")
			require.Equal(t, exitOK, w.run("pull", "--from", cms, "--from-token", fullToken, "--to", site))
			w.serve("staging.example.org", fresh())
			args := make([]string, len(tt.args))
			for i, arg := range tt.args {
				arg = strings.Replace(arg, "OUT", w.path("OUT"), 1)
				args[i] = strings.Replace(arg, "SITE", site, 1)
			}
			require.Equal(t, tt.code, w.run(args...), w.err.String())
			require.Contains(t, w.err.String(), tt.says)
			if tt.made != "" {
				require.FileExists(t, w.path(tt.made))
			}
		})
	}
}

// TestEventsAreStable keeps the shape of --json: names of fields and kinds of events are a contract.
func TestEventsAreStable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("cms.example.org", transfertest.Sample().WithAdmin())
	require.Equal(t, exitOK, w.run("pull", "--from", cms, "--from-token", fullToken, "--to", w.path("a.tar"), "--json"), w.err.String())
	got := regexp.MustCompile(`"time":"[^"]+"`).ReplaceAllString(w.out.String(), `"time":"T"`)
	got = regexp.MustCompile(`"started":"[^"]+"`).ReplaceAllString(got, `"started":"T"`)
	got = regexp.MustCompile(`"elapsedNs":\d+`).ReplaceAllString(got, `"elapsedNs":0`)
	got = strings.ReplaceAll(got, w.dir, "DIR")
	// How often progress is told depends on the machine.
	var kept []string
	for line := range strings.Lines(got) {
		if !strings.Contains(line, `"event":"stage_progress"`) {
			kept = append(kept, line)
		}
	}
	got = strings.Join(kept, "")
	const golden = "testdata/events.jsonl"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestTokensAreAskedForOnATerminal(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		typed string
		code  int
	}{"typed": {fullToken, exitOK}, "nothing typed": {"", exitUsage}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.serve("cms.example.org", transfertest.Sample())
			a := &app{in: strings.NewReader(""), out: &w.out, err: &w.err, getenv: func(string) string { return "" }, endpoint: fakeOpener{w: w}}
			a.terminal = terminal{in: true, secret: func() (string, error) { return tt.typed, nil }}
			require.Equal(t, tt.code, run(t.Context(), a, []string{"inspect", cms, "--quick"}), w.err.String())
			require.Contains(t, w.err.String(), "transfer token of cms.example.org: ")
			require.NotContains(t, w.err.String(), fullToken)
		})
	}
}

// TestExamplesAreRight parses each example of the help: a reader may paste it.
func TestExamplesAreRight(t *testing.T) {
	t.Parallel()
	a := newApp()
	a.prepare()
	seen := 0
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		lines := bufio.NewScanner(strings.NewReader(cmd.Example))
		for lines.Scan() {
			args := strings.Fields(lines.Text())
			require.Equal(t, "transfer", args[0])
			found, rest, err := newRootCommand(a).Find(args[1:])
			require.NoError(t, err, lines.Text())
			require.True(t, strings.HasPrefix(strings.Join(args, " ")+" ", found.CommandPath()+" "), lines.Text())
			require.NoError(t, found.ParseFlags(rest), lines.Text())
			require.NoError(t, found.ValidateArgs(found.Flags().Args()), lines.Text())
			seen++
		}
		for _, child := range cmd.Commands() {
			if child.Name() != "completion" && child.Name() != "help" {
				require.NotEmpty(t, child.Example, child.Name())
				require.NotEmpty(t, child.Short, child.Name())
				visit(child)
			}
		}
	}
	visit(newRootCommand(a))
	require.Greater(t, seen, 20)
}

// TestReadmeCommandsAreRight parses each command line of the README, as TestExamplesAreRight does those of the help.
func TestReadmeCommandsAreRight(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../README.md")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("there is no README.md yet")
	}
	require.NoError(t, err)
	a := newApp()
	a.prepare()
	fenced := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		line = strings.TrimPrefix(line, "$ ")
		if !fenced || !strings.HasPrefix(line, "transfer ") && !strings.HasPrefix(line, "bin/transfer ") {
			continue
		}
		line, _, _ = strings.Cut(line, " #")
		args := strings.Fields(line)[1:]
		found, rest, err := newRootCommand(a).Find(args)
		require.NoError(t, err, line)
		require.True(t, found.HasParent() || strings.HasPrefix(args[0], "-"), line)
		require.NoError(t, found.ParseFlags(rest), line)
	}
}
