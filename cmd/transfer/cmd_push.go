package main

import "github.com/spf13/cobra"

func newPushCommand(a *app) *cobra.Command {
	o := &moveOptions{}
	cmd := &cobra.Command{
		Use:   "push --to ENDPOINT [--from ENDPOINT]",
		Short: "Send content from here to a server, an archive or a folder",
		Long: `Push sends content from a Strapi project, an archive, a folder or a server to the destination, most
often a Strapi server. Without --from it is the project in the current folder, which is read from its own
database and files, whether Strapi runs or not. What the destination held of the same parts is replaced.
Before that the plan is shown and confirmed; without a terminal give --yes. --dry-run only shows the plan.

A token needs the scope "push"; --backup, --verify and the numbers of rows at the destination that the
plan shows when it is not confirmed by --yes need "pull" as well.
It may be given by --to-token, --to-token-file, or the variables TRANSFER_TO_TOKEN or
STRAPI_TRANSFER_TOKEN; - reads it from standard input. On a terminal it is asked for.

A Strapi project that is the destination is written in one transaction, its files with it: it holds the
old content or the new, whatever fails. --strategy merge keeps what only it has.

For automation there are --json, --report FILE, and exit codes; where CI sets GITHUB_STEP_SUMMARY, a
table is added to it. Options of "strapi transfer" and "strapi import" are understood.

` + exitHelp,
		Example: `  transfer push --to https://staging.example.org/admin
  transfer push --from backup.tar.gz --to https://staging.example.org/admin --dry-run
  transfer push --from backup.tar.gz --to https://staging.example.org/admin --yes --backup before.tar.gz --verify
  transfer push --from export.tar.gz.enc --key-file key --to http://127.0.0.1:1337/admin --only content,files`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMove(cmd.Context(), a, o, directionPush) },
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	return cmd
}
