package main

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/providers/remote/doctor"
	"github.com/transfer-runner/runner/transfer"
)

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	Token     string
	TokenFile string
	Header    []string
	CAFile    string
	Insecure  bool
	JSON      bool
	Timeout   span
}

func newDoctorCommand(a *app) *cobra.Command {
	o := &doctorOptions{}
	cmd := &cobra.Command{
		Use:   "doctor URL",
		Short: "Find out why a server cannot be reached: one cause and one fix",
		Long: `Doctor goes the way that a transfer goes, step by step: the address, the proxy, the name, the
connection, the certificate, what answers there, the token, the WebSocket, and whether a runner speaks
on it. Where it does not lead on it names the cause and what to do. It changes nothing at the server.

Without a token only the way to the server is examined. The token is taken from --token,
--token-file, TRANSFER_FROM_TOKEN, TRANSFER_TO_TOKEN or STRAPI_TRANSFER_TOKEN.

` + exitHelp,
		Example: `  transfer doctor https://cms.example.org
  transfer doctor https://cms.example.org/admin --token-file token
  transfer doctor https://localhost:1337/admin --ca-file ca.pem --json`,
		Args: exactly(1, "the address of a server, such as https://host/admin"),
		RunE: func(cmd *cobra.Command, args []string) error { return runDoctor(cmd.Context(), a, o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Token, "token", "", "transfer token; - reads a line of standard input")
	f.StringVar(&o.TokenFile, "token-file", "", "file that holds the token")
	f.StringArrayVar(&o.Header, "header", nil, "name=value to send along, for proxies in between (repeatable)")
	f.StringVar(&o.CAFile, "ca-file", "", "PEM file with authorities to trust besides the system's")
	f.BoolVar(&o.Insecure, "insecure", false, "do not check certificates")
	f.Var(&o.Timeout, "timeout", "how long to wait for each answer (default 15s)")
	f.BoolVar(&o.JSON, "json", false, "write JSON")
	f.SortFlags = false
	return cmd
}

func runDoctor(ctx context.Context, a *app, o *doctorOptions, address string) error {
	opts, err := o.options(a)
	if err != nil {
		return err
	}
	// The grammar of endpoints cuts what does not belong; what it cannot read at all the doctor explains.
	if parsed, known, err := a.parse(address); err == nil && parsed.Remote() {
		address = parsed.Location
		if opts.Token == "" {
			token, err := a.remoteToken(parsed.Name, known)
			if err != nil {
				return err
			}
			opts.Token = token.Reveal()
		}
	}
	report := doctor.Examine(ctx, address, opts)
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if o.JSON {
		if err := newJSONLines(a.out).write(report); err != nil {
			return err
		}
	} else if err := writeExamination(a, report); err != nil {
		return err
	}
	if report.Finding == nil {
		return nil
	}
	return reported{doctorError(report.Finding.Problem)}
}

func (o *doctorOptions) options(a *app) (doctor.Options, error) {
	token, err := a.secret(secretSource{
		what: "transfer token", flag: o.Token, file: o.TokenFile, named: "--token or --token-file",
		env: []string{"TRANSFER_FROM_TOKEN", "TRANSFER_TO_TOKEN", "STRAPI_TRANSFER_TOKEN"},
	})
	if err != nil {
		return doctor.Options{}, err
	}
	net := netFlags{CAFile: o.CAFile, Insecure: o.Insecure}
	config, err := net.tls()
	if err != nil {
		return doctor.Options{}, err
	}
	var header http.Header
	if header, err = a.parseHeaders(o.Header); err != nil {
		return doctor.Options{}, err
	}
	return doctor.Options{Token: token.Reveal(), Header: header, TLS: config, Timeout: o.Timeout.duration(), Logger: a.log}, nil
}

func writeExamination(a *app, r doctor.Report) error {
	p := page{w: a.out}
	for _, check := range r.Checks {
		mark := "ok    "
		if !check.OK {
			mark = "FAILED"
		}
		p.line("%s  %-12s %s", mark, check.Name, check.Detail)
	}
	for _, note := range r.Notes {
		p.line("\n%s\n%s", wrap(note.Cause, "note   ", "       "), wrap(note.Fix, "fix    ", "       "))
	}
	if r.Finding == nil {
		p.line("\nnothing found: use %s", r.Runner)
	} else {
		p.line("\n%s\n%s", wrap(r.Finding.Cause, "cause  ", "       "), wrap(r.Finding.Fix, "fix    ", "       "))
	}
	return p.err
}

// doctorError is the sentinel that a transfer would have ended with.
func doctorError(p doctor.Problem) error {
	switch {
	case p == doctor.BadURL:
		return transfer.ErrUsage
	case p.Refusal():
		return transfer.ErrAuth
	case p.Slow():
		return transfer.ErrStalled
	}
	return transfer.ErrConnection
}
