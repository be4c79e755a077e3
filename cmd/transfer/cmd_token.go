package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	runnerserver "github.com/transfer-runner/runner/transfer/server"
)

// dataFlags say where a server keeps what is its own.
type dataFlags struct {
	Data string
}

const dataUsage = "folder of the vault, the tokens and their key (TRANSFER_DATA; default: the user's data folder)"

func (d *dataFlags) dir(a *app) (string, error) {
	if d.Data != "" {
		return d.Data, nil
	}
	return vault.DefaultDir(a.getenv)
}

// tokenFlags say where tokens are.
type tokenFlags struct {
	dataFlags
	jobFlags
}

// openTokens opens the tokens of a server: beside its jobs where several servers share them, and in its data folder otherwise.
func openTokens(ctx context.Context, a *app, dir string, store jobStore) (*token.Store, error) {
	pg, ok := store.(*jobs.Postgres)
	if !ok {
		return token.Open(ctx, dir, token.Options{Now: a.now})
	}
	db, bind := pg.SQL()
	return token.OpenShared(ctx, token.Shared{DB: db, Bind: bind, Secret: pg.Secret()}, token.Options{Now: a.now})
}

// withTokens calls f with the store of tokens.
func (a *app) withTokens(ctx context.Context, d *tokenFlags, f func(*token.Store) error) (err error) {
	if d.Database == "" {
		d.Database = a.getenv(databaseVariable)
	}
	var kept jobStore
	var dir string
	if d.Database != "" {
		if kept, err = d.openJobs(ctx, a, ""); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, kept.Close()) }()
	} else if dir, err = d.dir(a); err != nil {
		return err
	}
	store, err := openTokens(ctx, a, dir, kept)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return f(store)
}

func newTokenCommand(a *app) *cobra.Command {
	d := &tokenFlags{}
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens of our own server",
		Long: `Token manages the transfer tokens of "transfer serve". They are kept in its data folder; the server need
not be stopped, and notices a revoked token within seconds. The tokens of a Strapi server are made in
its admin panel instead.`,
		Example: `  transfer token create --name ci --permissions push,pull --expires 24h
  transfer token list
  transfer token verify --token-file token`,
		Args: none,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&d.Data, "data", "", dataUsage)
	cmd.PersistentFlags().StringVar(&d.Database, "database", "", databaseUsage)
	cmd.AddCommand(newTokenCreateCommand(a, d), newTokenListCommand(a, d), newTokenRevokeCommand(a, d), newTokenVerifyCommand(a, d))
	return cmd
}

// tokenCreateOptions are the flags of token create.
type tokenCreateOptions struct {
	Name        string
	Permissions string
	Expires     time.Duration
	Site        string
	Once        bool
	JSON        bool
}

func newTokenCreateCommand(a *app, d *tokenFlags) *cobra.Command {
	o := &tokenCreateOptions{}
	cmd := &cobra.Command{
		Use:     "create --name NAME",
		Short:   "Make a token and print it, once",
		Example: "  transfer token create --name ci --permissions push,pull --expires 24h\n  transfer token create --name restore --permissions pull --site blog --once",
		Args:    none,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runTokenCreate(cmd.Context(), a, d, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Name, "name", "", "who or what the token is for")
	f.StringVar(&o.Permissions, "permissions", "push,pull", "what it permits: push, pull, and jobs, which is everything about jobs")
	f.DurationVar(&o.Expires, "expires", token.DefaultLifetime, "how long it is good")
	f.StringVar(&o.Site, "site", "", "the only site that it is for; default: all")
	f.BoolVar(&o.Once, "once", false, "good for one transfer")
	f.BoolVar(&o.JSON, "json", false, "write JSON")
	return cmd
}

func runTokenCreate(ctx context.Context, a *app, d *tokenFlags, o *tokenCreateOptions) error {
	permissions, err := token.ParsePermissions(o.Permissions)
	if err != nil {
		return fmt.Errorf("%w: --permissions: %w", transfer.ErrUsage, err)
	}
	if o.Name == "" {
		return fmt.Errorf("%w: give the token a --name", transfer.ErrUsage)
	}
	if o.Site != "" && !runnerserver.ValidSite(o.Site) {
		return fmt.Errorf("%w: --site: %q cannot be the name of a site: letters, digits, - and _", transfer.ErrUsage, o.Site)
	}
	return a.withTokens(ctx, d, func(store *token.Store) error {
		t, text, err := store.Create(ctx, token.Spec{Name: o.Name, Permissions: permissions, Site: o.Site, Once: o.Once, Lifetime: o.Expires})
		if err != nil {
			return fmt.Errorf("%w: %w", transfer.ErrUsage, err)
		}
		if o.JSON {
			return newJSONLines(a.out).write(struct {
				token.Token

				Text string `json:"token"`
			}{t, text})
		}
		c := &console{w: a.err}
		c.say("Token %q (%s) for %s, good until %s. It is shown only now:", t.Name, t.ID, o.Permissions, t.Expires.Format(time.RFC3339))
		_, err = fmt.Fprintln(a.out, text)
		return err
	})
}

func newTokenListCommand(a *app, d *tokenFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the tokens, without their texts",
		Example: "  transfer token list --json",
		Args:    none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withTokens(cmd.Context(), d, func(store *token.Store) error {
				list, err := store.List(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					out := newJSONLines(a.out)
					for _, t := range list {
						if err := out.write(t); err != nil {
							return err
						}
					}
					return nil
				}
				return tokenTable(list, a.now()).write(a.out)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "write JSON lines")
	return cmd
}

func tokenTable(list []token.Token, now time.Time) *table {
	t := &table{}
	t.add("ID", "NAME", "PERMISSIONS", "SITE", "STATUS", "EXPIRES", "LAST USED")
	for _, item := range list {
		var names []string
		for _, p := range item.Permissions {
			names = append(names, string(p))
		}
		if item.Once {
			names = append(names, "once")
		}
		site, used := item.Site, "never"
		if site == "" {
			site = "any"
		}
		if !item.LastUsed.IsZero() {
			used = item.LastUsed.Format(time.DateTime)
		}
		t.add(item.ID, item.Name, strings.Join(names, ","), site, item.Status(now), item.Expires.Format(time.DateTime), used)
	}
	return t
}

func newTokenRevokeCommand(a *app, d *tokenFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID|NAME",
		Short:   "Void a token; sessions that use it end within seconds",
		Example: "  transfer token revoke ci",
		Args:    exactly(1, "the id or name of a token"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withTokens(cmd.Context(), d, func(store *token.Store) error {
				t, err := store.Revoke(cmd.Context(), args[0])
				if errors.Is(err, token.ErrUnknown) {
					return fmt.Errorf("%w: %w", transfer.ErrUsage, err)
				}
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(a.out, "revoked %s (%s)\n", t.Name, t.ID)
				return err
			})
		},
	}
}

func newTokenVerifyCommand(a *app, d *tokenFlags) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     "verify [-]",
		Short:   "Say what a token is good for; it is read from a file or a line of standard input",
		Example: "  transfer token verify --token-file token",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] != "-" {
				return fmt.Errorf("%w: a token on the command line can be read by others on this machine: give --token-file, or - for standard input", transfer.ErrUsage)
			}
			if file == "" {
				file = "-"
			}
			text, err := a.secret(secretSource{what: "token", file: file, named: "--token-file"})
			if err != nil {
				return err
			}
			return a.withTokens(cmd.Context(), d, func(store *token.Store) error {
				t, err := store.Verify(cmd.Context(), text.Reveal())
				if err != nil {
					return fmt.Errorf("%w: %w", transfer.ErrAuth, err)
				}
				return newJSONLines(a.out).write(t)
			})
		},
	}
	cmd.Flags().StringVar(&file, "token-file", "", "file that holds the token; - is standard input")
	return cmd
}
