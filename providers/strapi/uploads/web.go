package uploads

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// Limits of fetching a file from where its url says it is. The body itself may take as long as it comes.
const (
	webDial   = 20 * time.Second
	webHeader = 60 * time.Second
)

func webClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: webDial}).DialContext, TLSHandshakeTimeout: webDial,
		ResponseHeaderTimeout: webHeader, IdleConnTimeout: webHeader, MaxIdleConnsPerHost: 8,
	}}
}

// elsewhere reports whether a row says that its file is not kept by provider, but can be had from the web.
func elsewhere(file File, provider string) bool {
	if file.Provider == "" || file.Provider == provider {
		return false
	}
	return strings.HasPrefix(file.URL, "http://") || strings.HasPrefix(file.URL, "https://")
}

// fetch opens the file of a row that another provider keeps.
func fetch(ctx context.Context, client *http.Client, file File) (io.ReadCloser, int64, error) {
	answer, err := request(ctx, client, http.MethodGet, file)
	if err != nil {
		return nil, 0, err
	}
	return answer.Body, answer.ContentLength, nil
}

// measure is the size of such a file, -1 when its server does not say.
func measure(ctx context.Context, client *http.Client, file File) (int64, error) {
	answer, err := request(ctx, client, http.MethodHead, file)
	if err != nil {
		return 0, err
	}
	return answer.ContentLength, answer.Body.Close()
}

func request(ctx context.Context, client *http.Client, method string, file File) (*http.Response, error) {
	where := shownURL(file.URL)
	r, err := http.NewRequestWithContext(ctx, method, file.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: the url of the uploaded file %s cannot be read", transfer.ErrDamaged, file.Name())
	}
	// The bytes as they are stored, not as a server would pack them for a browser.
	r.Header.Set("Accept-Encoding", "identity")
	answer, err := client.Do(r)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("%w: uploaded file %s", transfer.ErrConnection, where)
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	_ = answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		return nil, fmt.Errorf("uploaded file %s: %w", where, fs.ErrNotExist)
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("%w: uploaded file %s: its storage answers %s", transfer.ErrAuth, where, answer.Status)
	}
	return nil, fmt.Errorf("%w: uploaded file %s: its storage answers %s", transfer.ErrConnection, where, answer.Status)
}

// shownURL leaves out what may let somebody in.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(a url)"
	}
	return u.Scheme + "://" + u.Host + u.Path
}
