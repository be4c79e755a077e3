package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/transfer-runner/runner/protocol"
)

// open opens a connection in each direction with the token, and talks over the first that opens.
func (p *patient) open(ctx context.Context) *Finding {
	var scopes []string
	var refused *Finding
	for _, d := range []protocol.Direction{protocol.Pull, protocol.Push} {
		f := p.try(ctx, d)
		switch {
		case f == nil:
			scopes = append(scopes, string(d))
			p.checked(string(d), nil, "open")
		case f.Problem == WrongScope:
			refused = f
			p.report.Checks = append(p.report.Checks, Check{Name: string(d), Detail: "the token does not allow it"})
		default:
			return p.checked(string(d), f, "")
		}
	}
	if len(scopes) == 0 {
		return refused
	}
	p.measured(scopes)
	if refused != nil {
		p.report.Notes = append(p.report.Notes, Finding{
			Problem: WrongScope, Cause: "the token allows " + scopes[0] + " only",
			Fix: "for the other direction make a token with both kinds of access, under Settings, Transfer Tokens",
		})
	}
	return nil
}

// try opens one connection and says a word over it.
func (p *patient) try(ctx context.Context, d protocol.Direction) *Finding {
	ctx, cancel := context.WithTimeout(ctx, 2*p.opts.Timeout)
	defer cancel()
	conn, got, err := p.dial(ctx, d)
	switch {
	case err != nil && got.status == 0:
		return p.brokenOff(err)
	case err != nil:
		return p.declined(got)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	f := p.talk(conn)
	if f == nil && d == protocol.Pull {
		p.introduce(conn)
	}
	_ = conn.Close()
	return f
}

func (p *patient) dial(ctx context.Context, d protocol.Direction) (*websocket.Conn, answer, error) {
	address, err := protocol.RunnerURL(p.base, d)
	if err != nil {
		return nil, answer{}, err
	}
	dialer := websocket.Dialer{Proxy: p.opts.Proxy, TLSClientConfig: p.tlsConfig(), HandshakeTimeout: p.opts.Timeout}
	header := p.opts.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	header.Set("Authorization", "Bearer "+p.opts.Token)
	conn, res, err := dialer.DialContext(ctx, address, header)
	if err != nil && res != nil && errors.Is(err, websocket.ErrBadHandshake) {
		return nil, p.read(res), err
	}
	return conn, answer{}, err
}

// tlsConfig is a copy: the dialer changes what it is given.
func (p *patient) tlsConfig() *tls.Config {
	if p.opts.TLS == nil {
		return nil
	}
	return p.opts.TLS.Clone()
}

// brokenOff tells why an upgrade got no answer although a plain request does.
func (p *patient) brokenOff(err error) *Finding {
	if hungUp(err) || strings.Contains(err.Error(), "malformed") {
		return &Finding{
			Problem: HungUp, Cause: "plain requests are answered, but the upgrade to a WebSocket is cut off: another WebSocket server on the same port " +
				"(socket.io, a plugin) takes it, or a proxy does not allow it",
			Fix: "have the other WebSocket server handle its own path only (socket.io: destroyUpgrade: false), or switch the plugin off during " +
				"transfers; if there is none, allow WebSockets in the proxy",
			Detail: detailOf(err),
		}
	}
	return p.transport(err)
}

// declined tells what a status means that came instead of an upgrade, when the runner is known to be there.
func (p *patient) declined(got answer) *Finding {
	f := p.withToken(got)
	f.Detail = fmt.Sprintf("HTTP status %d", got.status)
	if got.message != "" {
		f.Detail += ": " + got.message
	}
	f.Detail = strings.ReplaceAll(f.Detail, p.opts.Token, "***")
	return f
}

func (p *patient) withToken(got answer) *Finding {
	switch {
	case got.status == http.StatusUnauthorized && got.message == protocol.MessageTokenExpired:
		return &Finding{Problem: ExpiredToken, Cause: "the token has expired", Fix: "make a new one in the admin panel under Settings, Transfer Tokens"}
	case got.status == http.StatusUnauthorized && got.strapi != "":
		return &Finding{
			Problem: BadToken, Cause: "the server does not know the token",
			Fix: "copy the token again, whole, or make a new one under Settings, Transfer Tokens; tokens of another server, API tokens, and tokens " +
				"from before the salt was changed do not work",
		}
	case got.status == http.StatusForbidden && got.strapi != "":
		return &Finding{
			Problem: WrongScope, Cause: "the token does not allow this direction",
			Fix: "make a token with push, pull or full access under Settings, Transfer Tokens",
		}
	case got.status == http.StatusNotFound && p.behind != "":
		return p.stripped("answers as if no upgrade had been asked for")
	case got.status == http.StatusNotFound:
		return &Finding{
			Problem: Disabled, Cause: "the runner is there but switched off for remote transfers, or something on the way removes the Upgrade header",
			Fix: "set transfer.remote.enabled to true in config/server; if it is, have the proxy pass the Upgrade and Connection headers on",
		}
	case got.isPage():
		return p.stripped("answers the request for a WebSocket with a page")
	case isRedirect(got.status):
		return p.redirected(got.location)
	}
	return p.byStatus(got)
}

func (p *patient) stripped(how string) *Finding {
	front := "the proxy in front of Strapi"
	if p.behind != "" {
		front += " (" + p.behind + ")"
	}
	return &Finding{
		Problem: UpgradeStripped, Cause: front + " removes the Upgrade header, so that Strapi " + how,
		Fix: "have it pass WebSockets on: nginx needs proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade and " +
			`proxy_set_header Connection "upgrade"; if it does, set transfer.remote.enabled to true in config/server`,
	}
}
