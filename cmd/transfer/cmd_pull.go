package main

import "github.com/spf13/cobra"

func newPullCommand(a *app) *cobra.Command {
	o := &moveOptions{}
	cmd := &cobra.Command{
		Use:   "pull --from ENDPOINT [--to ENDPOINT]",
		Short: "Fetch content from a server into an archive, a folder or another server",
		Long: `Pull fetches content from the source, most often a Strapi server, into a Strapi project on this machine,
an archive, a folder or another server. Without --to it writes ./HOST-TIMESTAMP.tar.gz. An archive
appears under its name only when it is complete.

A project is written in its own database and files, in one transaction and without Strapi. Where they
are is found in its .env and config; --database, --uploads, --schemas, --strapi-env and --timezone say
otherwise. For one side of two projects write --from-uploads, --to-database and so on.

A token needs the scope "pull". It may be given by --from-token, --from-token-file, or the variables
TRANSFER_FROM_TOKEN or STRAPI_TRANSFER_TOKEN; - reads it from standard input. On a terminal it is
asked for.

The passwords of encrypted archives come from --key, --key-file or TRANSFER_KEY. Options of
"strapi transfer" and "strapi export" are understood.

` + exitHelp,
		Example: `  transfer pull --from https://cms.example.org/admin --from-token-file token
  transfer pull --from https://cms.example.org/admin --to ./my-strapi-project
  transfer pull --from https://cms.example.org/admin --to backup.tar.gz.age --recipient age1…
  transfer pull --from https://a.example.org/admin --to https://b.example.org/admin --yes
  transfer pull --from backup.tar.gz.enc --key-file key --to dir:./unpacked`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return runMove(cmd.Context(), a, o, directionPull) },
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().SortFlags = false
	return cmd
}
