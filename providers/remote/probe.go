package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

const (
	// probeTimeout bounds one request of Probe.
	probeTimeout = 15 * time.Second
	// maxProbeBody is how much of an answer is looked at.
	maxProbeBody = 64 << 10
)

// Probe returns the address under which the runner at base answers. Users often give the address of their site where that of its
// admin API is wanted; if only the latter answers, it is returned with a note. An address that leads nowhere is returned as it is,
// because connecting to it gives the better error.
func Probe(ctx context.Context, base string, opts Options) (string, []transfer.Note, error) {
	if _, err := protocol.RunnerURL(base, protocol.Pull); err != nil {
		return "", nil, fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	}
	if protocol.HasAdminPath(base) {
		return base, nil, nil
	}
	client := &http.Client{
		Timeout:       probeTimeout,
		Transport:     &http.Transport{TLSClientConfig: opts.TLS, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if sounds(ctx, client, base, opts) {
		return base, nil, nil
	}
	admin, err := protocol.WithAdminPath(base)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	}
	if !sounds(ctx, client, admin, opts) {
		return base, nil, ctx.Err()
	}
	note := transfer.Note{Level: transfer.NoteInfo, Message: protocol.RedactURL(base) + " is a site; its transfer runner is at " + admin}
	return admin, []transfer.Note{note}, nil
}

// sounds reports whether a request without a token is turned away as a runner does it. The token is not sent along: whoever
// answers may not be meant to have it.
func sounds(ctx context.Context, client *http.Client, base string, opts Options) bool {
	url, err := protocol.RunnerURL(base, protocol.Pull)
	if err != nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http"+strings.TrimPrefix(url, "ws"), nil)
	if err != nil {
		return false
	}
	maps.Copy(req.Header, opts.Header)
	res, err := client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusUpgradeRequired {
		return true
	}
	if res.StatusCode != http.StatusUnauthorized {
		return false
	}
	var body struct {
		Error struct {
			Name string `json:"name"`
		} `json:"error"`
	}
	err = json.NewDecoder(io.LimitReader(res.Body, maxProbeBody)).Decode(&body)
	return err == nil && body.Error.Name == protocol.CodeUnauthorized
}
