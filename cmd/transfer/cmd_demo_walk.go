package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/transfer-runner/runner/providers/vault"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// walk pushes the sample to the server, shows what became of it, pulls it, and compares.
func (d *demo) walk(ctx context.Context) error {
	site, pulled := "dir:"+d.path("bakery"), d.path("pulled.tar.gz")
	to := []string{"--to", d.url(), "--to-token-file", d.path("token")}
	from := []string{"--from", d.url(), "--from-token-file", d.path("token")}

	d.tell("A server of our own, as \"transfer serve\" runs it, listens at " + d.url() + ".\n" +
		"And this is a small site, a bakery's blog, as it would come out of a Strapi server:")
	d.run(ctx, "inspect", site)
	d.tell("Push it to the server, then read it back and compare:")
	d.run(ctx, d.move("push", "push.json", []string{"--from", site}, to, []string{"--verify"})...)
	d.tell("The server keeps what is pushed as a snapshot, each piece of content once:")
	d.run(ctx, "snapshot", "list", "--data", d.path("data"))
	d.tell("Pull it over the same protocol, into an archive that Strapi's own import takes:")
	d.run(ctx, d.move("pull", "pull.json", from, []string{"--to", pulled})...)
	d.tell("What was pulled is what was pushed: rows, relations, files, settings:")
	diff := []string{"diff", "--content", site, pulled}
	if d.opts.JSON {
		diff = append(diff, "--quiet")
	}
	d.run(ctx, diff...)
	return d.conclude(ctx)
}

// move is the command line of a transfer that leaves a report.
func (d *demo) move(command, report string, lists ...[]string) []string {
	line := []string{command}
	for _, list := range lists {
		line = append(line, list...)
	}
	if command == "push" {
		line = append(line, "--yes")
	}
	if d.opts.JSON {
		line = append(line, "--quiet", "--report", d.path(report))
	}
	return line
}

// conclude writes what --json promises.
func (d *demo) conclude(ctx context.Context) error {
	if d.err != nil || !d.opts.JSON {
		return d.err
	}
	d.result.Event, d.result.URL, d.result.Same = "demo", d.url(), true // diff would have failed
	for name, report := range map[string]*json.RawMessage{"push.json": &d.result.Push, "pull.json": &d.result.Pull} {
		text, err := os.ReadFile(d.path(name))
		if err != nil {
			return fmt.Errorf("read a report: %w", err)
		}
		*report = text
	}
	var err error
	if d.result.Snapshot, err = d.server.vault.Resolve(ctx, vault.Reference{Site: runnerserver.DefaultSite}); err != nil {
		return err
	}
	return newJSONLines(d.app.out).write(d.result)
}

// tell says what comes next.
func (d *demo) tell(text string) {
	if d.err == nil && !d.opts.JSON {
		_, d.err = fmt.Fprintf(d.app.out, "\n%s\n\n", text)
	}
}

func (d *demo) run(ctx context.Context, args ...string) {
	if d.err != nil {
		return
	}
	if !d.opts.JSON {
		if _, d.err = fmt.Fprintln(d.app.out, "$ transfer "+strings.Join(args, " ")); d.err != nil {
			return
		}
	}
	root := newRootCommand(&d.commands) //nolint:contextcheck // commands get theirs from ExecuteContext
	root.SetArgs(args)
	d.err = root.ExecuteContext(ctx)
}

// farewell says how it goes on with servers of one's own.
func (d *demo) farewell() error {
	d.tell("Everything of this is deleted now. \"transfer demo --keep\" leaves the server running to play with;\nwith a Strapi server it is the same:")
	if d.opts.JSON {
		return nil
	}
	_, err := fmt.Fprint(d.app.out, `  transfer pull --from https://cms.example.org/admin --from-token-file token --to backup.tar.gz
  transfer push --from backup.tar.gz --to https://staging.example.org/admin --to-token-file token
`)
	return err
}

// suggestion is a command to play with.
type suggestion struct {
	What    string `json:"what"`
	Command string `json:"command"`
}

// suggestions are commands that work while the server runs.
func (d *demo) suggestions() []suggestion {
	program, url, token := programName(), d.url(), quoteArg(d.path("token"))
	return []suggestion{
		{"see what the server holds", fmt.Sprintf("%s inspect %s --token-file %s", program, url, token)},
		{"pull it", fmt.Sprintf("%s pull --from %s --from-token-file %s --to bakery.tar.gz", program, url, token)},
		{"push it again, and see that only differences are kept", fmt.Sprintf("%s push --from dir:%s --to %s --to-token-file %s --yes", program, quoteArg(d.path("bakery")), url, token)},
		{"list the snapshots", fmt.Sprintf("%s snapshot list --data %s", program, quoteArg(d.path("data")))},
		{"examine the connection", fmt.Sprintf("%s doctor %s --token-file %s", program, url, token)},
		{"watch its numbers", "curl " + strings.TrimSuffix(url, "/admin") + "/metrics"},
		{"store a Strapi project in it, from the project's folder", fmt.Sprintf("npx strapi transfer --to %s --to-token \"$(cat %s)\"", url, token)},
	}
}

// invite says where the server is and what can be done with it.
func (d *demo) invite() error {
	if d.opts.JSON {
		return newJSONLines(d.app.out).write(struct {
			Event    string       `json:"event"`
			URL      string       `json:"url"`
			Token    string       `json:"token"`
			Folder   string       `json:"folder"`
			Commands []suggestion `json:"commands"`
		}{"serving", d.url(), d.token, d.dir, d.suggestions()})
	}
	p := page{w: d.app.out}
	p.line("\nThe server goes on until you press Ctrl-C, which deletes everything of the demo.\n")
	p.line("  address  %s", d.url())
	p.line("  token    %s", d.token)
	p.line("  folder   %s", d.dir)
	p.line("\nIn another terminal:\n")
	for _, s := range d.suggestions() {
		p.line("  # %s\n  %s", s.What, s.Command)
	}
	return p.err
}

// programName is how this program was called, for lines to copy.
func programName() string {
	if len(os.Args) == 0 || os.Args[0] == "" {
		return "transfer"
	}
	return quoteArg(os.Args[0])
}

// quoteArg makes text one word of a shell.
func quoteArg(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@=+,") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
