package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
)

// app is the outside world as the commands see it, so that a test can give them another one.
type app struct {
	in       io.Reader
	out, err io.Writer // results; everything said to people
	getenv   func(string) string
	now      func() time.Time
	terminal terminal
	endpoint opener // nil is the real one, made once the logger is known

	data    string                           // --data: the folder of the vault
	shared  struct{ Database, Blobs string } // where several servers keep a vault that they share
	secrets *redactor
	lines   *bufio.Reader // of in, kept because a reader may hold more than the line that was asked for
	log     *slog.Logger
}

// opener opens endpoints. *providers.Registry is the one in use.
type opener interface {
	OpenSource(ctx context.Context, e providers.Endpoint, a providers.Access) (transfer.Source, error)
	OpenDestination(ctx context.Context, e providers.Endpoint, a providers.Access) (transfer.Destination, error)
}

// terminal says which streams are one.
type terminal struct {
	in, err bool
	file    *os.File // where bars are drawn; nil where they are not
	// secret reads a line without showing it; restore shows what is typed again if it was left in between.
	secret  func() (string, error)
	restore func()
}

func newApp() *app {
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv, now: time.Now}
	a.terminal.in = term.IsTerminal(int(os.Stdin.Fd())) && os.Getenv("CI") == ""
	a.terminal.err = term.IsTerminal(int(os.Stderr.Fd())) && os.Getenv("TERM") != "dumb"
	if a.terminal.err {
		a.terminal.file = os.Stderr
	}
	if !a.terminal.in {
		return a
	}
	a.terminal.secret = func() (string, error) {
		text, err := term.ReadPassword(int(os.Stdin.Fd()))
		return string(text), err
	}
	if before, err := term.GetState(int(os.Stdin.Fd())); err == nil {
		a.terminal.restore = func() { _ = term.Restore(int(os.Stdin.Fd()), before) }
	}
	return a
}

// prepare puts the redactor between the commands and the streams.
func (a *app) prepare() {
	a.secrets = &redactor{}
	a.out, a.err = a.secrets.wrap(a.out), a.secrets.wrap(a.err)
	a.lines = bufio.NewReader(a.in)
	a.log = slog.New(slog.DiscardHandler)
}

// logTo makes the logger of a command.
func (a *app) logTo(w io.Writer, o outputOptions) {
	level := slog.LevelError
	if o.Verbose {
		level = slog.LevelDebug
	}
	a.log = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// open returns the opener of endpoints. What it has to tell goes to c.
func (a *app) open(c *console) opener {
	if a.endpoint != nil {
		return a.endpoint
	}
	dir, err := a.dataFolder()
	if err != nil {
		a.log.Debug("there is no data folder", keyError, err) // whoever needs it is told
	}
	return providers.New(providers.Config{
		Logger: a.log, Note: func(message string) { c.say("note: %s", message) }, Data: dir, Who: "the transfer command",
		Vault: func() (vault.Options, error) { return a.vaultOptions("", "") },
	})
}
