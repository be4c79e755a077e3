package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// sample is a small site as Strapi exports it: the content of the demo.
//
//go:embed sample
var sample embed.FS

// demoOptions are the flags of demo.
type demoOptions struct {
	Keep bool
}

func newDemoCommand(a *app) *cobra.Command {
	o := &demoOptions{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run whole transfers on this machine, with sample content",
		Long: `Demo moves a small site that is part of this program from a folder into an archive, out of it into
another folder, and into a second archive, with the commands that a real transfer is run with, and
compares both ends. It needs no server, stays in a temporary folder and deletes it at the end.`,
		Example: "  transfer demo\n  transfer demo --keep",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), a, o) },
	}
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "leave the folder with the results where it is")
	return cmd
}

func runDemo(ctx context.Context, a *app, o *demoOptions) (err error) {
	dir, err := os.MkdirTemp("", "transfer-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() {
		if !o.Keep {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	site := filepath.Join(dir, "bakery")
	if err := unpackSample(site); err != nil {
		return fmt.Errorf("unpack the sample: %w", err)
	}
	d := demo{app: a, dir: dir}
	d.tell("A small site, a bakery's blog, as it would come out of a Strapi server:")
	d.run(ctx, "inspect", "dir:"+site)
	d.tell("Back it up into an archive that Strapi's own import takes:")
	d.run(ctx, "pull", "--from", "dir:"+site, "--to", d.path("backup.tar.gz"))
	d.tell("See what restoring it elsewhere would do, without doing it:")
	d.run(ctx, "push", "--from", d.path("backup.tar.gz"), "--to", "dir:"+d.path("restored"), "--dry-run")
	d.tell("Restore it, then read it back and compare:")
	d.run(ctx, "push", "--from", d.path("backup.tar.gz"), "--to", "dir:"+d.path("restored"), "--verify")
	d.tell("Once more into an archive, and compare both ends: rows, relations, files, settings:")
	d.run(ctx, "pull", "--from", "dir:"+d.path("restored"), "--to", d.path("again.tar.gz"), "--quiet")
	d.run(ctx, "diff", "--content", "dir:"+site, d.path("again.tar.gz"))
	if d.err != nil {
		return fmt.Errorf("demo: %w", d.err)
	}
	if o.Keep {
		d.tell("The results are in " + dir)
	}
	d.tell("With a server it is the same:")
	_, err = fmt.Fprint(a.out, `  transfer pull --from https://cms.example.org/admin --from-token-file token --to backup.tar.gz
  transfer push --from backup.tar.gz --to https://staging.example.org/admin --to-token-file token
`)
	return err
}

// demo runs commands in this process, the way a user would.
type demo struct {
	app *app
	dir string
	err error // the first; nothing is run after it
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) tell(text string) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.app.out, "\n%s\n\n", text)
	}
}

func (d *demo) run(ctx context.Context, args ...string) {
	if d.err != nil {
		return
	}
	if _, d.err = fmt.Fprintln(d.app.out, "$ transfer "+strings.Join(args, " ")); d.err != nil {
		return
	}
	root := newRootCommand(d.app) //nolint:contextcheck // commands get theirs from ExecuteContext
	root.SetArgs(args)
	d.err = root.ExecuteContext(ctx)
}

// unpackSample writes the sample to a new folder.
func unpackSample(to string) error {
	content, err := fs.Sub(sample, "sample")
	if err != nil {
		return err
	}
	return os.CopyFS(to, content)
}
