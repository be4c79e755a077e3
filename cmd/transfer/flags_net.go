package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// netFlags say how servers are reached and how long they are waited for.
type netFlags struct {
	Header       []string
	CAFile       string
	Insecure     bool
	RetryTimeout span
	Retries      int
	Stall        span
	Prepare      span
	NoChecksums  bool
}

func (n *netFlags) addFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&n.Header, "header", nil, "name=value to send to every server, for proxies in between (repeatable)")
	f.StringVar(&n.CAFile, "ca-file", "", "PEM file with authorities to trust besides the system's")
	f.BoolVar(&n.Insecure, "insecure", false, "do not check certificates (anyone in between can read the token and the content)")
	f.Var(&n.RetryTimeout, "retry-message-timeout", "how long to wait for an answer before sending a message again (default 30s)")
	f.IntVar(&n.Retries, "retry-message-max-retries", 0, "how often to send a message again (default 5)")
	f.Var(&n.Stall, "stall-timeout", "how long nothing may move while the other side owes something (default 5m)")
	f.Var(&n.Prepare, "prepare-timeout", "how long a server may take to clear what is replaced (default 30m)")
	f.BoolVar(&n.NoChecksums, "no-checksums", false, "do not check files by SHA-256 on their way")
}

// maxCAFile bounds a file of certificates.
const maxCAFile = 16 << 20

func (n *netFlags) tls() (*tls.Config, error) {
	if n.CAFile == "" && !n.Insecure {
		return nil, nil //nolint:nilnil // nil is the system's own configuration
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: n.Insecure} //nolint:gosec // asked for, and warned of
	if n.CAFile == "" {
		return config, nil
	}
	pem, err := readLimited(n.CAFile, maxCAFile)
	if err != nil {
		return nil, fmt.Errorf("%w: read --ca-file: %w", transfer.ErrUsage, err)
	}
	config.RootCAs, err = x509.SystemCertPool()
	if err != nil {
		config.RootCAs = x509.NewCertPool()
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%w: --ca-file %s holds no certificate in PEM form", transfer.ErrUsage, n.CAFile)
	}
	return config, nil
}

// accessOf is access for one side, which may be a remote with authorities of its own.
func (n *netFlags) accessOf(a *app, e *end, header []string) (providers.Access, error) {
	own := *n
	if own.CAFile == "" {
		own.CAFile = e.remote.CAFile
	}
	return own.access(a, header)
}

// access fills what the flags say of servers.
func (n *netFlags) access(a *app, header []string) (providers.Access, error) {
	if n.Retries < 0 {
		return providers.Access{}, fmt.Errorf("%w: --retry-message-max-retries must not be negative", transfer.ErrUsage)
	}
	config, err := n.tls()
	if err != nil {
		return providers.Access{}, err
	}
	headers, err := a.parseHeaders(append(append([]string{}, n.Header...), header...))
	return providers.Access{
		Header: headers, TLS: config, NoChecksums: n.NoChecksums,
		RetryMessageTimeout: time.Duration(n.RetryTimeout), RetryMessageMaxRetries: n.Retries,
		StallTimeout: time.Duration(n.Stall), PrepareTimeout: time.Duration(n.Prepare),
	}, err
}
