package dispatcher

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/transfer-runner/runner/protocol"
)

// DefaultHandshakeTimeout is how long [Dial] may take.
const DefaultHandshakeTimeout = 30 * time.Second

const (
	// writeBuffer is the longest frame that a message is cut into on its way out: the message of a full batch of assets fits
	// into six, and the memory is spent once.
	writeBuffer = 256 << 10
	// maxHandshake bounds what a peer may send before it is known to be one: certificates, headers, an error page.
	maxHandshake = 1 << 20
)

// DialOptions are the choices of [Dial]. The zero value works.
type DialOptions struct {
	Header http.Header // sent with the handshake, such as Authorization
	TLS    *tls.Config // nil is the default: the system's roots
	// Proxy returns the proxy for a request. Default: as the environment says (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).
	Proxy func(*http.Request) (*url.URL, error)
	// NetDial makes the network connection. Default: [net.Dialer.DialContext] with its defaults.
	NetDial          func(ctx context.Context, network, address string) (net.Conn, error)
	HandshakeTimeout time.Duration // from the name's resolution to the HTTP answer; default 30 s
	WebSocketOptions
}

func (o DialOptions) withDefaults() DialOptions {
	o.WebSocketOptions = o.WebSocketOptions.withDefaults()
	o.HandshakeTimeout = cmp.Or(max(o.HandshakeTimeout, 0), DefaultHandshakeTimeout)
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.NetDial == nil {
		o.NetDial = new(net.Dialer).DialContext
	}
	return o
}

// Dial opens a connection to the ws or wss URL address. It follows no redirect, offers neither subprotocol nor compression, and
// tries once. An HTTP answer other than 101 is a [*protocol.HandshakeError]; other errors wrap those of net, tls and x509, or
// what ended ctx. None holds a header, or the user and password of an address.
func Dial(ctx context.Context, address string, opts DialOptions) (*WebSocket, error) {
	opts = opts.withDefaults()
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return nil, errors.New("open connection: the address is no URL")
	case u.Scheme != "ws" && u.Scheme != "wss", u.Host == "":
		return nil, fmt.Errorf("open connection: %s is no ws or wss URL", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("open connection to %s: a user and password in the address are not supported", u.Host)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, opts.HandshakeTimeout, handshakeTimeoutError(opts.HandshakeTimeout))
	defer cancel()

	proxy, err := findProxy(opts.Proxy, u)
	if err != nil {
		return nil, fmt.Errorf("open connection to %s: %w", u.Host, err)
	}
	d := dialing{opts: opts, proxy: proxy}
	conn, answer, err := d.dialer().DialContext(ctx, u.String(), opts.Header)
	m := d.release()
	switch {
	case errors.Is(err, websocket.ErrBadHandshake) && answer != nil:
		return nil, fmt.Errorf("open connection to %s: %w", u.Host, refusal(answer))
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("open connection to %s: %w", u.Host, ended(ctx))
	case err != nil && m.over():
		return nil, fmt.Errorf("open connection to %s: %w: %w", u.Host, ErrProtocol, errHandshakeTooLong)
	case err != nil:
		return nil, fmt.Errorf("open connection to %s: %w", u.Host, discreet(err, opts.Header))
	case answer.Header.Get("Sec-Websocket-Extensions") != "":
		// The library would take it up, and unpack without limit.
		return nil, errors.Join(fmt.Errorf("open connection to %s: %w: it uses an extension that was not offered", u.Host, ErrProtocol),
			conn.NetConn().Close())
	}
	if ctx.Err() != nil {
		return nil, errors.Join(fmt.Errorf("open connection to %s: %w", u.Host, ended(ctx)), conn.NetConn().Close())
	}
	m.limit.Store(0)
	return NewWebSocket(conn, opts.WebSocketOptions), nil
}

// handshakeTimeoutError is a [net.Error], as other timeouts of the network are.
type handshakeTimeoutError time.Duration

func (e handshakeTimeoutError) Error() string {
	return fmt.Sprintf("no answer to the handshake in %s", time.Duration(e))
}
func (handshakeTimeoutError) Timeout() bool   { return true }
func (handshakeTimeoutError) Temporary() bool { return true }

// maxErrorText bounds what is shown of a peer that does not even speak HTTP.
const maxErrorText = 300

// discreetError shows an error without what must not be shown.
type discreetError struct {
	text string
	error
}

func (e *discreetError) Error() string { return e.text }
func (e *discreetError) Unwrap() error { return e.error }

// discreet shortens an error that quotes what the peer sent, and strikes out what this side sent, should the peer have sent it
// back.
func discreet(err error, header http.Header) error {
	text := err.Error()
	for _, values := range header {
		for word := range strings.FieldsSeq(strings.Join(values, " ")) {
			if len(word) >= shortestSecret {
				text = strings.ReplaceAll(text, word, "[struck out]")
			}
		}
	}
	if len(text) > maxErrorText {
		text = strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	if text == err.Error() {
		return err
	}
	return &discreetError{text: text, error: err}
}

// shortestSecret is the length from which a word of a header may be one: shorter ones are schemes such as Bearer.
const shortestSecret = 8

// refusal tells what an HTTP answer means.
func refusal(answer *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(answer.Body, protocol.MaxHandshakeBody))
	refused := protocol.NewHandshakeError(answer.StatusCode, answer.Header, body)
	return errors.Join(refused, err, answer.Body.Close())
}

// dialing is a handshake under way.
type dialing struct {
	opts  DialOptions
	proxy *url.URL // nil: none

	mu    sync.Mutex // guards what follows
	meter *meter
	stop  func() bool
}

func (d *dialing) dialer() *websocket.Dialer {
	dialer := &websocket.Dialer{
		NetDialContext:  d.netDial,
		TLSClientConfig: d.opts.TLS,
		ReadBufferSize:  readPiece,
		WriteBufferSize: writeBuffer,
		WriteBufferPool: new(sync.Pool), // an idle connection needs no buffer
	}
	if d.proxy != nil && !viaHTTP(d.proxy) {
		dialer.Proxy = http.ProxyURL(d.proxy)
	}
	return dialer
}

// netDial makes the connection, and sees to it that it ends with ctx: the library looks at ctx only until then.
func (d *dialing) netDial(ctx context.Context, network, address string) (net.Conn, error) {
	target := address
	if viaHTTP(d.proxy) {
		target = hostPort(d.proxy)
	}
	conn, err := d.opts.NetDial(ctx, network, target)
	if err != nil && d.proxy != nil {
		return nil, fmt.Errorf("%w: %w", ErrProxy, err)
	}
	if err != nil {
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && sendBuffer > 0 {
		// It works without, only less exactly.
		_ = tcp.SetWriteBuffer(sendBuffer)
	}
	m := newMeter(conn, d.opts.WriteTimeout)
	m.limit.Store(maxHandshake)
	d.hold(ctx, m)
	if !viaHTTP(d.proxy) {
		return m, nil
	}
	through, err := tunnel(ctx, m, d.proxy, address, d.opts.TLS)
	if err != nil {
		_ = m.Close()
		return nil, err
	}
	return through, nil
}

// hold lets the connection end with ctx.
func (d *dialing) hold(ctx context.Context, m *meter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.meter = m
	d.stop = context.AfterFunc(ctx, func() { _ = m.Close() })
}

// release ends the hold that the handshake's context has on the connection.
func (d *dialing) release() *meter {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stop != nil {
		d.stop()
	}
	return d.meter
}
