package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// sample is a small site as Strapi exports it: the content of the demo.
//
//go:embed sample
var sample embed.FS

// demoOptions are the flags of demo.
type demoOptions struct {
	Keep   bool
	JSON   bool
	Listen string
}

func newDemoCommand(a *app) *cobra.Command {
	o := &demoOptions{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a server and whole transfers on this machine, with sample content",
		Long: `Demo starts a server of its own on this machine, pushes a small site that is part of this program to
it over a WebSocket, shows the snapshot that the server made of it, pulls it into an archive, and
compares what came back with what was sent: with the commands that a real transfer is run with. It
needs nothing else, stays in a temporary folder, and deletes that at the end, also after Ctrl-C.

With --keep the server goes on until it is interrupted, and commands to play with are printed.`,
		Example: "  transfer demo\n  transfer demo --keep\n  transfer demo --json",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), a, o) },
	}
	cmd.Flags().BoolVar(&o.Keep, "keep", false, "leave the server running, with the sample content, until it is interrupted")
	cmd.Flags().BoolVar(&o.JSON, "json", false, "write the results as JSON lines, and nothing else, to standard output")
	cmd.Flags().StringVar(&o.Listen, "listen", "127.0.0.1:0", "address of this machine for the server; port 0 is any that is free")
	return cmd
}

// demoTokenLifetime is how long the token of a demo is good.
const demoTokenLifetime = 24 * time.Hour

func runDemo(ctx context.Context, a *app, o *demoOptions) (err error) {
	dir, err := os.MkdirTemp("", "transfer-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := newDemo(a, o, dir)
	if err := unpackSample(d.path("bakery")); err != nil {
		return fmt.Errorf("unpack the sample: %w", err)
	}
	stop, err := d.startServer(ctx)
	if err != nil {
		return fmt.Errorf("start the server of the demo: %w", err)
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := d.walk(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if !o.Keep {
		return d.farewell()
	}
	if err := d.invite(); err != nil {
		return err
	}
	return d.stay(ctx)
}

// demo runs a server, and commands against it the way a user would, in this process.
type demo struct {
	opts     *demoOptions
	commands app // as which the commands are run; it learns the token, and never shows it
	app      *app
	dir      string
	level    slog.LevelVar // of the server's log
	server   *service
	token    string
	ended    chan error // what ended the server
	result   demoResult
	err      error // the first; nothing is run after it
}

// demoResult is what --json writes of the transfers.
type demoResult struct {
	Event    string          `json:"event"` // "demo"
	URL      string          `json:"url"`
	Push     json.RawMessage `json:"push"` // the reports of the two transfers
	Pull     json.RawMessage `json:"pull"`
	Snapshot vault.Snapshot  `json:"snapshot"`
	Same     bool            `json:"same"` // what was pulled is what was pushed
}

func newDemo(a *app, o *demoOptions, dir string) *demo {
	d := &demo{opts: o, app: a, dir: dir, commands: *a, ended: make(chan error, 1)}
	d.commands.data = ""
	d.commands.prepare()
	if o.JSON {
		d.commands.out = io.Discard
	}
	d.level.Set(slog.LevelError)
	return d
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

// startServer starts the server and makes a token for it. stop ends it and waits for that.
func (d *demo) startServer(ctx context.Context) (stop func() error, err error) {
	c := &console{w: d.app.err, quiet: d.opts.JSON}
	served := *d.app
	served.log = slog.New(slog.NewTextHandler(c, &slog.HandlerOptions{Level: &d.level}))
	o := &serveOptions{Listen: d.opts.Listen}
	o.Data, o.limits.Grace = d.path("data"), time.Second
	if d.server, err = o.open(ctx, &served, c); err != nil {
		return nil, err
	}
	if err := d.makeToken(ctx); err != nil {
		return nil, errors.Join(err, d.server.close())
	}
	// An interrupted client must still be able to say so: the server goes on until the commands have ended.
	serving, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go func() { d.ended <- d.server.serve(serving) }() // joined by stop
	return func() error {
		cancel()
		err := <-d.ended
		return errors.Join(err, d.server.close())
	}, nil
}

// makeToken makes a token and leaves it in a file, from which the commands take it.
func (d *demo) makeToken(ctx context.Context) (err error) {
	if _, d.token, err = d.server.tokens.Create(ctx, token.Spec{Name: "demo", Lifetime: demoTokenLifetime}); err != nil {
		return err
	}
	return os.WriteFile(d.path("token"), []byte(d.token+"\n"), 0o600)
}

func (d *demo) url() string { return d.server.url(runnerserver.DefaultSite) }

// stay waits until the user has seen enough.
func (d *demo) stay(ctx context.Context) error {
	d.level.Set(slog.LevelInfo)
	if d.opts.JSON {
		d.level.Set(slog.LevelWarn)
	}
	select {
	case <-ctx.Done():
		(&console{w: d.app.err, quiet: d.opts.JSON}).say("stopped; everything of the demo is deleted")
		return nil
	case err := <-d.ended:
		d.ended <- err // for stop
		return fmt.Errorf("%w: the server of the demo ended: %w", transfer.ErrConnection, err)
	}
}

// unpackSample writes the sample to a new folder.
func unpackSample(to string) error {
	content, err := fs.Sub(sample, "sample")
	if err != nil {
		return err
	}
	return os.CopyFS(to, content)
}
