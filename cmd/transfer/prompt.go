package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// errDeclined is the answer of a user who does not want to go on.
var errDeclined = fmt.Errorf("%w: answered no", transfer.ErrRefused)

// confirm asks a yes-or-no question. Without a terminal nobody can answer, so nothing is asked and hint says what to do instead.
func (a *app) confirm(ctx context.Context, question, hint string) error {
	if !a.terminal.in {
		return fmt.Errorf("%w: there is no terminal to ask on; %s", transfer.ErrRefused, hint)
	}
	a.tell("%s [y/N] ", question)
	answer, err := a.await(ctx, func() (string, error) { return a.lines.ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}

// askSecret asks for a token or a key on the terminal.
func (a *app) askSecret(ctx context.Context, what, hint string) (providers.Secret, error) {
	if !a.terminal.in || a.terminal.secret == nil {
		return "", fmt.Errorf("%w: the %s is missing; %s", transfer.ErrUsage, what, hint)
	}
	a.tell("%s: ", what)
	text, err := a.await(ctx, a.terminal.secret)
	a.tell("\n")
	if err != nil {
		if a.terminal.restore != nil {
			a.terminal.restore()
		}
		return "", fmt.Errorf("read the %s: %w", what, err)
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return "", fmt.Errorf("%w: the %s is missing; %s", transfer.ErrUsage, what, hint)
	}
	a.secrets.add(text)
	return providers.Secret(text), nil
}

// tell writes to standard error. Nothing can be done if that fails.
func (a *app) tell(format string, args ...any) { _, _ = fmt.Fprintf(a.err, format, args...) }

// await runs a read that cannot be cancelled and stops waiting for it when ctx ends. The read then lives until the process ends,
// which is what a Ctrl-C at a prompt leads to.
func (a *app) await(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case got := <-answers:
		return got.text, got.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
