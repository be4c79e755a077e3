package transfertest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Peer is the side of a connection that a message comes from.
type Peer string

// The peers.
const (
	Client Peer = "client"
	Server Peer = "server"
)

// Mishap is what a [Proxy] does to a message.
type Mishap string

// The mishaps.
const (
	Cut       Mishap = "cut"        // both sides see the connection end before the message
	CutInside Mishap = "cut inside" // after half of it
	CutAfter  Mishap = "cut after"  // right after it
	Reset     Mishap = "reset"      // as Cut, with RST
	Drop      Mishap = "drop"       // the message is lost
	Duplicate Mishap = "duplicate"  // it comes twice
	Again     Mishap = "again"      // it comes once more, three messages later
	Swap      Mishap = "swap"       // it comes after the next one
	Delay     Mishap = "delay"      // it and what follows come later, by Fault.Delay
	Slice     Mishap = "slice"      // it comes in pieces of few bytes
	Corrupt   Mishap = "corrupt"    // a bit of it is turned
	Stall     Mishap = "stall"      // from here on nothing passes, and nobody is told
)

// Mishaps returns all of them.
func Mishaps() []Mishap {
	return []Mishap{Cut, CutInside, CutAfter, Reset, Drop, Duplicate, Again, Swap, Delay, Slice, Corrupt, Stall}
}

// Fault says to which message what happens.
type Fault struct {
	Do     Mishap // "" does nothing
	From   Peer
	Count  int  // the how manyth message of that side it is, over all connections, from 1
	Always bool // it happens to all that come after that one, too
	Delay  time.Duration
	// At is the byte of the message that [CutInside] ends before or [Corrupt] changes: of the frame the one, of the text the other.
	// By default that is half of it, and its first byte.
	At int
	// Match, if set, says which messages are counted.
	Match func(message []byte) bool
}

// Proxy stands between a client and a server that speak WebSocket, knows where their messages begin and end, and does to one of them
// what a network can.
type Proxy struct {
	listener net.Listener
	dial     func(context.Context) (net.Conn, error)

	mu      sync.Mutex // guards what follows
	fault   Fault
	counted map[Peer]int
	fired   bool
	open    map[net.Conn]struct{}
}

// maxProxied bounds what is read of one frame, in bytes.
const maxProxied = 256 << 20

// NewProxy returns a proxy for the server at target, a host and port. It ends with the test.
func NewProxy(tb testing.TB, target string, fault Fault) *Proxy {
	tb.Helper()
	listener, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return startProxy(tb, listener, fault, func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", target)
	})
}

// NewProxy is the function of that name for a server in the network; clients find the proxy at address.
func (n *Network) NewProxy(tb testing.TB, address, target string, fault Fault) *Proxy {
	tb.Helper()
	listener, err := n.Listen(address)
	if err != nil {
		tb.Fatal(err)
	}
	return startProxy(tb, listener, fault, func(ctx context.Context) (net.Conn, error) { return n.DialContext(ctx, "", target) })
}

func startProxy(tb testing.TB, listener net.Listener, fault Fault, dial func(context.Context) (net.Conn, error)) *Proxy {
	tb.Helper()
	p := &Proxy{listener: listener, dial: dial, fault: fault, counted: make(map[Peer]int), open: make(map[net.Conn]struct{})}
	ctx := context.WithoutCancel(tb.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(ctx, conn) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close() // ends Accept
		p.drop()
		serving.Wait()
	})
	return p
}

// Address is the host and port that clients connect to.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Counted returns how many messages of a side were counted.
func (p *Proxy) Counted(from Peer) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counted[from]
}

// Fired reports whether the fault has happened.
func (p *Proxy) Fired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fired
}

func (p *Proxy) keep(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.open[c] = struct{}{}
	}
}

// drop ends all connections.
func (p *Proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close() // it is to be gone
	}
	clear(p.open)
}

func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	server, err := p.dial(ctx)
	if err != nil {
		_ = client.Close() // the client sees it
		return
	}
	l := &link{proxy: p, client: client, server: server, stalled: make(chan struct{})}
	p.keep(client, server)
	defer l.cut()
	var both sync.WaitGroup
	both.Go(func() { l.pump(Client, client, server) })
	both.Go(func() { l.pump(Server, server, client) })
	both.Wait()
}

// link is one connection through the proxy.
type link struct {
	proxy          *Proxy
	client, server net.Conn

	once    sync.Once
	stalled chan struct{} // closed when nothing passes any more
}

func (l *link) cut() {
	_, _ = l.client.Close(), l.server.Close() // they are to be gone
}

func (l *link) reset() {
	for _, c := range []net.Conn{l.client, l.server} {
		switch c := c.(type) {
		case *net.TCPConn:
			_ = c.SetLinger(0) // so that closing sends RST
		case *conn:
			c.reset()
		}
	}
	l.cut()
}

// pump passes on one direction: an HTTP head, then messages.
func (l *link) pump(from Peer, in, out net.Conn) {
	r := bufio.NewReader(in)
	if err := head(r, out); err != nil {
		l.cut()
		return
	}
	d := &direction{link: l, from: from, out: out}
	for {
		m, err := readMessage(r)
		if err == nil {
			err = d.pass(m)
		}
		if err != nil {
			select {
			case <-l.stalled: // the other side must not be told
				_, _ = io.Copy(io.Discard, in)
			default:
				l.cut()
			}
			return
		}
	}
}

// head passes on the head of a request or answer.
func head(r *bufio.Reader, out io.Writer) error {
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return err
		}
		if _, err := out.Write(line); err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			return nil
		}
	}
}

// proxied is a message as it is on the wire, or a control frame.
type proxied struct {
	raw     []byte
	text    []byte // unmasked
	first   int    // where in raw the first byte of text is
	control bool
}

// readMessage reads the frames of one message.
func readMessage(r *bufio.Reader) (m proxied, err error) {
	for {
		at := len(m.raw)
		frame, payload, mask, err := readFrame(r)
		if err != nil {
			return m, err
		}
		m.raw = append(m.raw, frame...)
		if m.first == 0 {
			m.first = at + payload
		}
		if frame[0]&0x08 != 0 { // control frames come between those of a message; none of ours is cut into pieces then
			m.control = true
			return m, nil
		}
		for i, b := range frame[payload:] {
			m.text = append(m.text, b^mask[i&3])
		}
		if frame[0]&0x80 != 0 {
			return m, nil
		}
	}
}

// readFrame reads a frame and says where its payload begins.
func readFrame(r *bufio.Reader) (frame []byte, payload int, mask [4]byte, err error) {
	frame = make([]byte, 2, 14)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, 0, mask, err
	}
	n := uint64(frame[1] & 0x7f)
	more := map[uint64]int{126: 2, 127: 8}[n]
	masked := frame[1]&0x80 != 0
	if masked {
		more += len(mask)
	}
	frame = frame[:2+more]
	if _, err := io.ReadFull(r, frame[2:]); err != nil {
		return nil, 0, mask, err
	}
	switch n {
	case 126:
		n = uint64(binary.BigEndian.Uint16(frame[2:]))
	case 127:
		n = binary.BigEndian.Uint64(frame[2:])
	}
	if n > maxProxied {
		return nil, 0, mask, fmt.Errorf("a frame of %d bytes", n)
	}
	payload = len(frame)
	if masked {
		copy(mask[:], frame[payload-len(mask):])
	}
	frame = slices.Grow(frame, int(n))[:payload+int(n)]
	_, err = io.ReadFull(r, frame[payload:])
	return frame, payload, mask, err
}

// direction is what is on its way from one side to the other.
type direction struct {
	link *link
	from Peer
	out  net.Conn

	held  []byte // a message that others overtake
	after int    // by so many
}

var errOver = errors.New("the connection is over")

// pass sends a message on, or does to it what the fault says.
func (d *direction) pass(m proxied) error {
	select {
	case <-d.link.stalled:
		return nil
	default:
	}
	if m.control {
		return d.write(m.raw)
	}
	if f := d.link.proxy.strike(d.from, m.text); f.Do != "" {
		return d.mishap(f, m)
	}
	if err := d.write(m.raw); err != nil {
		return err
	}
	if d.held == nil {
		return nil
	}
	if d.after--; d.after > 0 {
		return nil
	}
	late := d.held
	d.held = nil
	return d.write(late)
}

func (d *direction) write(raw []byte) error {
	_, err := d.out.Write(raw)
	return err
}

// strike counts a message and returns what is to happen to it.
func (p *Proxy) strike(from Peer, text []byte) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault.Match != nil && !p.fault.Match(text) {
		return Fault{}
	}
	p.counted[from]++
	n := p.counted[from]
	if from != p.fault.From || n != p.fault.Count && (n < p.fault.Count || !p.fault.Always) {
		return Fault{}
	}
	p.fired = true
	return p.fault
}

func (d *direction) mishap(f Fault, m proxied) error {
	switch f.Do {
	case Cut:
		return errOver
	case CutInside:
		return errors.Join(d.write(m.raw[:within(len(m.raw), f.At, len(m.raw)/2)]), errOver)
	case CutAfter:
		return errors.Join(d.write(m.raw), errOver)
	case Reset:
		d.link.reset()
		return errOver
	case Drop:
		return nil
	case Duplicate:
		return errors.Join(d.write(m.raw), d.write(m.raw))
	case Again:
		d.held, d.after = m.raw, 3
		return d.write(m.raw)
	case Swap:
		d.held, d.after = m.raw, 1
		return nil
	case Delay:
		<-time.After(f.Delay)
		return d.write(m.raw)
	case Slice:
		return d.slice(m.raw)
	case Corrupt:
		m.raw[m.first+within(len(m.text), f.At, 0)] ^= 0x04
		return d.write(m.raw)
	case Stall:
		d.link.once.Do(func() { close(d.link.stalled) })
		return nil
	}
	return d.write(m.raw)
}

// within returns at, or else what stands in for it, as a place among n bytes.
func within(n, at, instead int) int {
	if at == 0 {
		at = instead
	}
	return min(at, n-1)
}

// pieces is into how many a message is cut at most, so that a long one does not take for ever.
const pieces = 200

func (d *direction) slice(raw []byte) error {
	for piece := range slices.Chunk(raw, max(3, len(raw)/pieces)) {
		if err := d.write(piece); err != nil {
			return err
		}
	}
	return nil
}
