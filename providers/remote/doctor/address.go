package doctor

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/transfer-runner/runner/protocol"
)

// readAddress reads the address and finds the proxy on its way.
func (p *patient) readAddress(address string) *Finding {
	runner, err := protocol.RunnerURL(address, protocol.Pull)
	if err != nil {
		return p.checked("address", &Finding{
			Problem: BadURL, Cause: "the address cannot be used: " + strings.TrimPrefix(err.Error(), protocol.ErrInvalidURL.Error()+": "),
			Fix: "give the address of the admin panel, such as https://cms.example.org/admin",
		}, "")
	}
	p.base = strings.TrimSuffix(protocol.RedactURL(address), "/")
	p.checked("address", nil, p.base)
	req := &http.Request{Header: make(http.Header)}
	if req.URL, err = url.Parse("http" + strings.TrimPrefix(runner, "ws")); err == nil {
		p.proxy, err = p.opts.Proxy(req)
	}
	if err != nil {
		return p.checked("proxy", &Finding{
			Problem: ProxyFails, Cause: "the proxy that the environment names cannot be used",
			Fix: "correct HTTPS_PROXY or HTTP_PROXY: they must look like http://proxy:3128",
		}, "")
	}
	if p.proxy != nil {
		p.checked("proxy", nil, p.proxy.Host)
	}
	return nil
}

// resolve looks the host up. With a proxy in between that is the proxy's affair.
func (p *patient) resolve(ctx context.Context) *Finding {
	if p.proxy != nil {
		return nil
	}
	host := p.url().Hostname()
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return p.checked("name", p.transport(err), "")
	}
	return p.checked("name", nil, fmt.Sprintf("%s is %s", host, strings.Join(addresses[:min(len(addresses), 4)], ", ")))
}

// url returns the base address, which has been read before.
func (p *patient) url() *url.URL {
	u, err := url.Parse(p.base)
	if err != nil {
		return &url.URL{}
	}
	return u
}

// with returns the address with another scheme, host or path, for advice.
func (p *patient) with(change func(*url.URL)) string {
	u := *p.url()
	change(&u)
	return strings.TrimSuffix(u.String(), "/")
}
