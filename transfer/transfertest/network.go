package transfertest

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
)

// Network is a network in memory, for tests in virtual time: all that waits on it waits in a way that [testing/synctest] knows. As
// with TCP, what is written waits in a buffer of the system until it is read.
type Network struct {
	mu        sync.Mutex // guards listeners
	listeners map[string]*listener
}

// NewNetwork returns a network without hosts.
func NewNetwork() *Network { return &Network{listeners: make(map[string]*listener)} }

// Listen returns a listener at an address, a host and port that nobody listens at.
func (n *Network) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, &net.OpError{Op: "listen", Net: "memory", Addr: host(address), Err: syscall.EADDRINUSE}
	}
	l := &listener{network: n, address: address, accepted: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

// DialContext connects to a listener, as [net.Dialer.DialContext] does.
func (n *Network) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: "memory", Addr: host(address), Err: syscall.ECONNREFUSED}
	if l == nil {
		return nil, refused
	}
	there, back := newHalf(), newHalf()
	here := &conn{in: back, out: there, local: "127.0.0.1:65535", remote: address}
	select {
	case l.accepted <- &conn{in: there, out: back, local: address, remote: here.local}:
		return here, nil
	case <-l.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// host is an address of a [Network].
type host string

// Network implements net.Addr.
func (host) Network() string { return "memory" }

func (h host) String() string { return string(h) }

type listener struct {
	network  *Network
	address  string
	accepted chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		delete(l.network.listeners, l.address)
	})
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return host(l.address) }

// conn is one end of a connection.
type conn struct {
	in, out       *half
	local, remote string
}

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) { return c.in.read(b) }

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) { return c.out.write(b) }

// Close implements net.Conn: the peer reads what is there, and then that it was all.
func (c *conn) Close() error {
	c.in.drop()
	c.in.end(net.ErrClosed, syscall.EPIPE)
	c.out.end(io.EOF, net.ErrClosed)
	return nil
}

// reset is Close with a RST: what the peer has not read yet is lost.
func (c *conn) reset() {
	c.in.drop()
	c.in.end(net.ErrClosed, syscall.ECONNRESET)
	c.out.drop()
	c.out.end(syscall.ECONNRESET, net.ErrClosed)
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return host(c.local) }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return host(c.remote) }

func (c *conn) String() string { return fmt.Sprintf("%s → %s", c.local, c.remote) }
