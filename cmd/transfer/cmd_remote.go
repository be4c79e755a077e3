package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/transfer"
)

func newRemoteCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remote",
		Short: "Name servers, so that other commands and jobs can use the name",
		Long: `Remote keeps names for servers in the user's configuration folder (TRANSFER_REMOTES names another file).
A name can be given wherever an endpoint can; it stands for the address, and for where the token is:
a file or a variable. The token itself is not kept. "transfer serve --remote NAME" lets jobs use it.`,
		Example: `  transfer remote add prod https://cms.example.org/admin --token-file ~/prod.token --read-only
  transfer remote list
  transfer pull --from prod --to backup.tar.gz`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newRemoteAddCommand(a), newRemoteListCommand(a), newRemoteRemoveCommand(a))
	return cmd
}

func newRemoteAddCommand(a *app) *cobra.Command {
	var r remote
	var replace, asJSON bool
	cmd := &cobra.Command{
		Use:     "add NAME URL",
		Short:   "Add a remote",
		Example: "  transfer remote add prod https://cms.example.org/admin --token-file prod.token --read-only\n  transfer remote add staging https://staging.example.org/admin --token-env STAGING_TOKEN",
		Args:    exactly(2, "a name and the address of a server"),
		RunE: func(_ *cobra.Command, args []string) error {
			r.URL = args[1]
			return addRemote(a, args[0], r, replace, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.TokenFile, "token-file", "", "file that holds the token")
	f.StringVar(&r.TokenEnv, "token-env", "", "variable that holds the token")
	f.StringVar(&r.CAFile, "ca-file", "", "PEM file with authorities to trust besides the system's")
	f.BoolVar(&r.ReadOnly, "read-only", false, "refuse to push to it")
	f.StringSliceVar(&r.Only, "only", nil, "default of --only")
	f.StringSliceVar(&r.Exclude, "exclude", nil, "default of --exclude")
	f.BoolVar(&replace, "replace", false, "replace a remote of this name")
	f.BoolVar(&asJSON, "json", false, "write JSON")
	f.SortFlags = false
	return cmd
}

func addRemote(a *app, name string, r remote, replace, asJSON bool) error {
	if err := r.validate(name); err != nil {
		return err
	}
	// What is kept is what will be used: without a password, and with paths that are right from everywhere.
	e, _, err := a.parse(r.URL)
	if err != nil {
		return err
	}
	r.URL = e.Location
	for _, path := range []*string{&r.TokenFile, &r.CAFile} {
		if *path == "" {
			continue
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return fmt.Errorf("%w: %w", transfer.ErrUsage, err)
		}
	}
	remotes, err := a.remotes()
	if err != nil {
		return err
	}
	if _, there := remotes[name]; there && !replace {
		return fmt.Errorf("%w: there is a remote %s; give --replace to replace it", transfer.ErrUsage, name)
	}
	if remotes == nil {
		remotes = make(map[string]remote)
	}
	remotes[name] = r
	if err := a.saveRemotes(remotes); err != nil {
		return err
	}
	if asJSON {
		return newJSONLines(a.out).write(namedRemote{name, r})
	}
	c := &console{w: a.err}
	for _, note := range e.Notes {
		c.say("note: %s", note)
	}
	c.say("%s is %s now, its token: %s", name, r.URL, r.source())
	return nil
}

// namedRemote is a remote in the output for programs.
type namedRemote struct {
	Name string `json:"name"`
	remote
}

func newRemoteListCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the remotes",
		Example: "  transfer remote list --json",
		Args:    none,
		RunE: func(*cobra.Command, []string) error {
			remotes, err := a.remotes()
			if err != nil {
				return err
			}
			lines, t := newJSONLines(a.out), table{}
			for _, name := range remoteNames(remotes) {
				r := remotes[name]
				if asJSON {
					if err := lines.write(namedRemote{name, r}); err != nil {
						return err
					}
					continue
				}
				rights := "read, write"
				if r.ReadOnly {
					rights = "read"
				}
				t.add(name, r.URL, rights, "token: "+r.source(), strings.Join(append(prefixed("only ", r.Only), prefixed("not ", r.Exclude)...), ", "))
			}
			return t.write(a.out)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON lines")
	return cmd
}

func prefixed(prefix string, list []string) []string {
	out := make([]string, 0, len(list))
	for _, item := range list {
		out = append(out, prefix+item)
	}
	return out
}

func newRemoteRemoveCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Aliases: []string{"rm"},
		Short:   "Remove a remote",
		Example: "  transfer remote remove staging",
		Args:    exactly(1, "the name of a remote"),
		RunE: func(_ *cobra.Command, args []string) error {
			remotes, err := a.remotes()
			if err != nil {
				return err
			}
			if _, there := remotes[args[0]]; !there {
				return fmt.Errorf("%w: there is no remote %q; the remotes are: %s", transfer.ErrUsage, args[0], strings.Join(remoteNames(remotes), ", "))
			}
			delete(remotes, args[0])
			return a.saveRemotes(remotes)
		},
	}
}
