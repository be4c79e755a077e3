package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// browserPatience is how long a test waits for a browser to show something. A busy machine may need it.
const browserPatience = 60 * time.Second

// browser is a real one, without a window.
type browser struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // chromedp keeps the browser in it
	base string

	mu         sync.Mutex
	complaints []string // of the page, on its console
	deaf       bool     // complaints are not kept: of a connection that a test cuts
}

// chromium is the program to run. The scripts that distributions put before it lose the pipe that it is driven through.
func chromium(t *testing.T) string {
	t.Helper()
	for _, path := range []string{os.Getenv("TRANSFER_CHROMIUM"), "/usr/lib/chromium/chromium", "/usr/lib/chromium-browser/chromium-browser", "/opt/google/chrome/chrome"} {
		if _, err := os.Stat(path); path != "" && err == nil {
			return path
		}
	}
	for _, name := range []string{"google-chrome", "google-chrome-stable", "chromium-browser", "chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal("there is no Chromium, which this test needs: install the package chromium, or name it in TRANSFER_CHROMIUM")
	}
	t.Skip("there is no Chromium to drive the dashboard with: install the package chromium, or name it in TRANSFER_CHROMIUM")
	return ""
}

func startBrowser(t *testing.T, base string) *browser {
	t.Helper()
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium(t)), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base}
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1280, 800)))
	listening, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { b.listen(listening) })
	t.Cleanup(func() {
		stop()
		group.Wait()
	})
	return b
}

// listen keeps what pages complain of: what their policy forbids, errors of the script.
func (b *browser) listen(ctx context.Context) {
	for message, err := range chromedp.Console(ctx) {
		if err != nil {
			return
		}
		b.mu.Lock()
		if !b.deaf {
			b.complaints = append(b.complaints, fmt.Sprint(message.Type, ": ", message.Text))
		}
		b.mu.Unlock()
	}
}

// ignore says whether complaints are kept from now on.
func (b *browser) ignore(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deaf = yes
}

func (b *browser) quiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.complaints, "the browser complains")
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...))
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base+path), chromedp.WaitReady("#main"))
}

// click clicks what a selector finds once it is there.
func (b *browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.WaitVisible(selector), chromedp.Click(selector))
}

// eval is the value of an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, browserPatience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	require.NoError(b.t, err, expression)
	return value
}

// until waits until an expression is true in the page, whichever that is by then.
func (b *browser) until(expression string) {
	b.t.Helper()
	require.Eventually(b.t, func() bool {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		defer cancel()
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		return err == nil && ok
	}, browserPatience, 50*time.Millisecond, "%s", expression)
}

// shows waits until the page's main part has a text.
func (b *browser) shows(text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("document.getElementById('main')?.innerText.includes(%q)", text))
}

// look is how a page is looked at.
type look struct {
	name   string
	width  int64
	height int64
	scheme string
}

func looks() []look {
	return []look{{"light", 1280, 800, "light"}, {"dark", 1280, 800, "dark"}, {"narrow", 320, 640, "light"}}
}

// as changes how pages are looked at.
func (b *browser) as(l look) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(l.width, l.height))
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	})
	require.NoError(b.t, err)
}

// shoot keeps a picture of the page in the folder TRANSFER_SCREENSHOTS, if that is set, for somebody to look at.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("TRANSFER_SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600))
}

// tunnel passes connections on, until it is cut.
type tunnel struct {
	listener net.Listener
	target   string

	mu   sync.Mutex
	cut  bool
	open map[net.Conn]struct{}
}

func newTunnel(t *testing.T, target string) *tunnel {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tunnel{listener: listener, target: target, open: make(map[net.Conn]struct{})}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() { p.pass(conn) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.set(true)
		group.Wait()
	})
	return p
}

func (p *tunnel) url() string { return "http://" + p.listener.Addr().String() }

// set cuts all connections and lets none through, or lets them through again.
func (p *tunnel) set(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if cut {
		for conn := range p.open {
			_ = conn.Close()
		}
	}
}

func (p *tunnel) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.cut {
		p.open[conn] = struct{}{}
	}
	return !p.cut
}

func (p *tunnel) forget(conn net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, conn)
	_ = conn.Close()
}

func (p *tunnel) pass(in net.Conn) {
	defer p.forget(in)
	out, err := (&net.Dialer{}).Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer p.forget(out)
	if !p.keep(in) || !p.keep(out) {
		return
	}
	var group sync.WaitGroup
	group.Go(func() { flow(out, in) })
	group.Go(func() { flow(in, out) })
	group.Wait()
}

// flow copies until either side ends, and ends both.
func flow(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, bad := to.Write(buffer[:n]); bad != nil {
				err = bad
			}
		}
		if err != nil {
			_ = to.Close()
			_ = from.Close()
			return
		}
	}
}

// host is the host and port of an address.
func host(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	name, _, _ := strings.Cut(rest, "/")
	return name
}
