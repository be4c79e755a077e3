package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// transport tells why a request got no answer at all.
func (p *patient) transport(err error) *Finding {
	f := p.cause(err)
	f.Detail = detailOf(err)
	return f
}

func (p *patient) cause(err error) *Finding {
	if f := p.proxyCause(err); f != nil {
		return f
	}
	if f := p.tlsCause(err); f != nil {
		return f
	}
	host := p.url().Host
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return &Finding{
			Problem: HostUnknown, Cause: "there is no host called " + p.url().Hostname(),
			Fix: "check the spelling; if the name is known only in another network, connect to that network (VPN) first",
		}
	case errors.As(err, &dns):
		return &Finding{
			Problem: HostUnknown, Cause: "the name server did not answer when asked for " + p.url().Hostname(),
			Fix: "check the network and the DNS settings of this machine",
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Finding{Problem: Refused, Cause: "nothing listens at " + host, Fix: p.refusedFix()}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Finding{
			Problem: TimedOut, Cause: host + " does not answer",
			Fix: "look whether the server is up, and whether a firewall lets this machine through to the port",
		}
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return &Finding{
			Problem: Unreachable, Cause: "there is no way from this machine to " + host,
			Fix: "check the network; if the server is in another one, connect to that (VPN) first",
		}
	case hungUp(err):
		return &Finding{
			Problem: HungUp, Cause: host + " closes the connection without an answer",
			Fix: "look whether the port is that of Strapi or of its proxy, and into the log of what listens there",
		}
	}
	return &Finding{
		Problem: NotHTTP, Cause: "what listens at " + host + " does not speak HTTP",
		Fix: "check the port: it must be that of Strapi (1337 unless changed) or of the proxy in front of it",
	}
}

func (p *patient) refusedFix() string {
	if p.url().Hostname() == "localhost" {
		return "start Strapi, check the port, or give " + p.with(func(u *url.URL) {
			u.Host = strings.Replace(u.Host, "localhost", "127.0.0.1", 1)
		}) + ": localhost may mean an address that Strapi does not listen at"
	}
	return "start Strapi and check the port (1337 unless changed); it must listen at this address and not only at 127.0.0.1"
}

// proxyCause tells whether the failure lies between here and the proxy.
func (p *patient) proxyCause(err error) *Finding {
	if p.proxy == nil {
		return nil
	}
	var op *net.OpError
	proxied := errors.As(err, &op) && op.Op == "proxyconnect"
	// A CONNECT that the proxy declines becomes an error of its status text alone.
	if !proxied && p.url().Scheme == "https" {
		text := detailOf(err)
		for code := 400; code < 512; code++ {
			proxied = proxied || http.StatusText(code) != "" && text == http.StatusText(code)
		}
	}
	var dns *net.DNSError
	if !proxied && p.url().Scheme == "http" && (op != nil && op.Op == "dial" || errors.As(err, &dns)) {
		proxied = true
	}
	if !proxied {
		return nil
	}
	return &Finding{
		Problem: ProxyFails, Cause: "the proxy " + p.proxy.Host + " cannot be used",
		Fix: "correct HTTPS_PROXY or HTTP_PROXY and their password, or name the host in NO_PROXY if it can be reached directly",
	}
}

// tlsCause tells what is wrong with the encryption, nil if it is not that.
func (p *patient) tlsCause(err error) *Finding {
	host := p.url().Hostname()
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return &Finding{
			Problem: NotTLS, Cause: "the server speaks plain HTTP at this port",
			Fix: "give " + p.with(func(u *url.URL) { u.Scheme = "http" }) + ", or the port of HTTPS",
		}
	case errors.As(err, &name):
		return &Finding{
			Problem: WrongHost, Cause: "the server's certificate is for another name than " + host,
			Fix: "give the name that the certificate is for, or have the certificate renewed for this one",
		}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return &Finding{
			Problem: CertificateDates, Cause: "the server's certificate has expired, or is not valid yet",
			Fix: "renew the certificate; if it is valid, set the clock of this machine (it says " + time.Now().UTC().Format(time.DateOnly) + ")",
		}
	case errors.As(err, &authority):
		return &Finding{
			Problem: UnknownAuthority, Cause: "the server's certificate is signed by an authority that this machine does not know",
			Fix: "give that authority's certificate with --ca-file FILE; if the certificate is a public one, the server must send its intermediate too",
		}
	case errors.As(err, &verify), errors.As(err, &alert), errors.As(err, &invalid):
		return &Finding{
			Problem: TLSFails, Cause: "no encrypted connection with " + host + " could be agreed upon",
			Fix: "look at the certificate and the TLS settings of the server or its proxy; TLS 1.2 or newer is needed",
		}
	}
	return nil
}

// speaksTLS reports whether the port takes a TLS handshake.
func (p *patient) speaksTLS(ctx context.Context) bool {
	if p.proxy != nil || p.url().Scheme != "http" {
		return false
	}
	host := p.url().Host
	if p.url().Port() == "" {
		host = net.JoinHostPort(p.url().Hostname(), "80")
	}
	ctx, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{
		ServerName: p.url().Hostname(), MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // nothing is sent: only whether there is TLS is of interest
	}}
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// detailOf is the innermost text of a request's error: the outer ones repeat the address.
func detailOf(err error) string {
	if request, ok := errors.AsType[*url.Error](err); ok {
		err = request.Err
	}
	return oneLine(err.Error())
}

// oneLine makes text from elsewhere fit to be shown.
func oneLine(text string) string {
	const most = 200
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
