package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/transfer"
)

// run executes a command line and returns the exit code.
func run(ctx context.Context, a *app, args []string) int {
	a.prepare()
	args, note := paste(args)
	if note != "" {
		_, _ = fmt.Fprintln(a.err, "note: "+note)
	}
	root := newRootCommand(a) //nolint:contextcheck // commands get theirs from ExecuteContext
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	if cause := context.Cause(ctx); errors.Is(err, context.Canceled) && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err) // libraries know that a context ended, not why
	}
	if _, told := errors.AsType[reported](err); !told {
		_, _ = fmt.Fprintf(a.err, "transfer: %v\n", err)
		if errors.Is(err, transfer.ErrUsage) {
			_, _ = fmt.Fprintln(a.err, `Run "transfer --help" or "transfer COMMAND --help" for usage.`)
		}
	}
	return exitCode(err)
}

func newRootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "transfer",
		Short: "Move content between Strapi servers, projects, archives and folders",
		Long: `Transfer moves a Strapi site's content, all of it or parts, between servers, projects, databases,
archives and folders. It speaks the protocol of "strapi transfer", reads and writes the format of
"strapi export" and the databases of Strapi projects, and needs no Node.

Endpoints:
  https://host/admin        a Strapi server, with a transfer token
  backup.tar.gz             an archive: .tar or .tar.gz, encrypted with .enc (as Strapi does) or .age
  dir:PATH, ./export/       the same content unpacked
  ./project/, strapi:PATH   a Strapi project: its own database and uploaded files
  postgres://user@host/name a Strapi database without its project, as mysql://, mariadb:// and sqlite:PATH
  vault:SITE[@SNAPSHOT]     a site in the local vault, or one snapshot of it
  NAME                      a server that "transfer remote add" gave a name

` + exitHelp,
		Example: `  transfer demo
  transfer pull --from https://cms.example.org/admin --from-token-file token --to backup.tar.gz
  transfer push --from backup.tar.gz --to https://staging.example.org/admin --to-token-file token
  transfer pull --from https://a.example.org/admin --to https://b.example.org/admin
  transfer pull --from https://cms.example.org/admin --to ./my-project
  transfer doctor https://cms.example.org`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: false},
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("%w: unknown command %q", transfer.ErrUsage, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", transfer.ErrUsage, err) })
	root.PersistentFlags().StringVar(&a.data, "data", "", dataUsage)
	root.AddCommand(
		newPushCommand(a), newPullCommand(a), newInspectCommand(a), newDiffCommand(a), newDoctorCommand(a), newDemoCommand(a),
		newServeCommand(a), newTokenCommand(a), newSnapshotCommand(a), newJobCommand(a), newRemoteCommand(a), newVersionCommand(a),
	)
	return root
}

// exactly takes n arguments, which are called what.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return fmt.Errorf("%w: give %s", transfer.ErrUsage, what)
		case len(args) > n:
			return fmt.Errorf("%w: too many arguments, first %q: give %s", transfer.ErrUsage, args[n], what)
		}
		return nil
	}
}

// none takes no arguments.
func none(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %q is too much: this command takes flags only", transfer.ErrUsage, args[0])
	}
	return nil
}
