package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/transfer-runner/runner/providers"
	"github.com/transfer-runner/runner/transfer"
)

// jobOptions are the flags that all commands about jobs have: which server, and with what token.
type jobOptions struct {
	Server    string
	Token     string
	TokenFile string
	CAFile    string
	Insecure  bool
	JSON      bool
}

func (o *jobOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.Server, "server", "", "the server: its address, or the name of a remote (TRANSFER_SERVER; default http://"+defaultListen+")")
	f.StringVar(&o.Token, "token", "", "token of the server (TRANSFER_TOKEN); - reads a line of standard input")
	f.StringVar(&o.TokenFile, "token-file", "", "file that holds the token")
	f.StringVar(&o.CAFile, "ca-file", "", "PEM file with authorities to trust besides the system's")
	f.BoolVar(&o.Insecure, "insecure", false, "do not check certificates (anyone in between can read the token)")
	f.BoolVar(&o.JSON, "json", false, "write JSON lines")
}

// client is a client of a server's API.
type client struct {
	base  string
	token providers.Secret
	http  *http.Client
}

const (
	apiTimeout = 30 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 64 << 20
)

// client finds the server and its token.
func (o *jobOptions) client(ctx context.Context, a *app) (*client, error) {
	server := o.Server
	for _, fallback := range []string{a.getenv("TRANSFER_SERVER"), "http://" + defaultListen} {
		if server == "" {
			server = fallback
		}
	}
	e, known, err := a.parse(server)
	if err != nil {
		return nil, fmt.Errorf("--server: %w", err)
	}
	if !e.Remote() {
		return nil, fmt.Errorf("%w: --server takes the address of a server, such as https://transfer.example.org", transfer.ErrUsage)
	}
	net := netFlags{CAFile: o.CAFile, Insecure: o.Insecure}
	access, err := net.accessOf(a, &end{Endpoint: e, remote: known}, nil)
	if err != nil {
		return nil, err
	}
	secret, err := a.secret(secretSource{
		what: "token of " + e.Host(), flag: o.Token, file: o.TokenFile, env: []string{"TRANSFER_TOKEN"}, named: "--token or --token-file",
	})
	if err == nil && secret == "" {
		secret, err = a.remoteToken(e.Name, known)
	}
	if err == nil && secret == "" {
		secret, err = a.askSecret(ctx, "token of "+e.Host(), `give --token or --token-file, or set TRANSFER_TOKEN; "transfer token create" makes one on the server`)
	}
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: access.TLS, TLSHandshakeTimeout: apiTimeout, DisableKeepAlives: true}
	return &client{
		base: strings.TrimSuffix(e.Location, "/admin"), token: secret,
		http: &http.Client{Transport: transport, Timeout: apiTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// reply is an answer of the API.
type reply struct {
	Data  json.RawMessage `json:"data"`
	Meta  json.RawMessage `json:"meta"`
	Error *struct {
		Name    string `json:"name"`
		Message string `json:"message"`
	} `json:"error"`

	status int
	tag    string
	after  time.Duration // Retry-After
}

// call sends a request and reads the answer. A failure that the server tells of is an error of this program's kinds.
func (c *client) call(ctx context.Context, method, path string, body any, header http.Header) (r reply, err error) {
	var text io.Reader = http.NoBody
	if body != nil {
		written, err := json.Marshal(body)
		if err != nil {
			return r, fmt.Errorf("write the request: %w", err)
		}
		text = bytes.NewReader(written)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, text)
	if err != nil {
		return r, fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(req)
	if err != nil {
		return r, fmt.Errorf("%w: %w; check that the server runs, and --server", transfer.ErrConnection, err)
	}
	defer response.Body.Close() //nolint:errcheck // only read
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return r, fmt.Errorf("%w: %w", transfer.ErrConnection, err)
	}
	r.status, r.tag = response.StatusCode, response.Header.Get("ETag")
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		r.after = time.Duration(seconds) * time.Second
	}
	if r.status == http.StatusNotModified || r.status == http.StatusNoContent {
		return r, nil
	}
	if err := json.Unmarshal(answer, &r); err != nil {
		return r, fmt.Errorf("%w: %s answered %s with something that is not of a transfer server; check --server", transfer.ErrConnection, c.base, response.Status)
	}
	if r.status >= http.StatusMultipleChoices {
		return r, c.failure(r)
	}
	return r, nil
}

// errRate is the answer to too many requests.
var errRate = errors.New("too many requests")

func (c *client) failure(r reply) error {
	message := http.StatusText(r.status)
	if r.Error != nil {
		message = r.Error.Message
	}
	switch r.status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: %s; check the token", transfer.ErrAuth, message)
	case http.StatusForbidden:
		return fmt.Errorf("%w: %s", transfer.ErrAuth, message)
	case http.StatusBadRequest, http.StatusNotFound:
		return fmt.Errorf("%w: %s", transfer.ErrUsage, message)
	case http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s", errRate, message)
	}
	return fmt.Errorf("%s answered %d: %s", c.base, r.status, message)
}

// get reads one thing.
func (c *client) get(ctx context.Context, path string, query url.Values, into any) (reply, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	r, err := c.call(ctx, http.MethodGet, path, nil, nil)
	if err == nil && into != nil {
		err = r.into(into)
	}
	return r, err
}

func (r reply) into(to any) error {
	if err := json.Unmarshal(r.Data, to); err != nil {
		return fmt.Errorf("%w: the server's answer cannot be read: %w", transfer.ErrConnection, err)
	}
	return nil
}
