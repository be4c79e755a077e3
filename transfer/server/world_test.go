package server_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// world is a server with one site, in virtual time and on a network in memory: its clocks are those of production, and yet nothing
// waits, and no machine is too slow. All of it lives in one bubble of testing/synctest.
type world struct {
	t    *testing.T
	net  *transfertest.Network
	site *site
}

// Where the server and a proxy before it are found. Only addresses of this host go past a proxy that the environment may name.
const (
	atServer = "127.0.0.1:1400"
	atProxy  = "127.0.0.1:1401"
)

// inWorld calls f in a bubble of its own with a server for the site.
func inWorld(t *testing.T, s *site, f func(w *world), change ...func(*server.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: transfertest.NewNetwork(), site: s}
		config := server.Config{Tokens: anyone{}, Sites: map[string]server.Site{server.DefaultSite: s}}
		for _, c := range change {
			c(&config)
		}
		srv, err := server.New(config)
		require.NoError(t, err)
		listener, err := w.net.Listen(atServer)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ctx, listener, nil) }()
		defer func() {
			stop()
			require.NoError(t, <-served)
		}()
		f(w)
	})
}

// anyone is an authority without a store: that of tokens is on disk, and not what faults of connections are about.
type anyone struct{}

func (anyone) Verify(context.Context, string) (token.Token, error) { return anyToken(), nil }
func (anyone) Check(context.Context, string) (token.Token, error)  { return anyToken(), nil }
func (anyone) Claim(context.Context, string) error                 { return nil }
func (anyone) Used(context.Context, string) error                  { return nil }

func anyToken() token.Token {
	return token.Token{
		ID: "any", Name: "all", Permissions: []protocol.Direction{protocol.Push, protocol.Pull}, Expires: time.Now().Add(time.Hour),
	}
}

// behind puts a proxy before the server.
func (w *world) behind(f transfertest.Fault) *transfertest.Proxy {
	w.t.Helper()
	return w.net.NewProxy(w.t, atProxy, atServer, f)
}

func (w *world) options(offer protocol.Extensions) remote.Options {
	return remote.Options{Token: "secret", Offer: offer, NetDial: w.net.DialContext, CloseTimeout: time.Minute}
}

// push pushes the new content to an address.
func (w *world) push(address string, offer protocol.Extensions) error {
	w.t.Helper()
	return w.pushFrom(small(), address, w.options(offer))
}

func (w *world) pushFrom(content *transfertest.Site, address string, options remote.Options) error {
	w.t.Helper()
	dst := remote.NewDestination("http://"+address+"/admin", options)
	_, err := transfer.Run(w.t.Context(), transfertest.NewMemory(content), dst, transfer.Options{})
	require.NoError(w.t, dst.Close())
	return err
}

// pull pulls from an address into a place that holds the old content.
func (w *world) pull(address string, offer protocol.Extensions) (*transfertest.Memory, error) {
	w.t.Helper()
	src := remote.NewSource("http://"+address+"/admin", w.options(offer))
	dst := transfertest.NewMemory(old())
	dst.Blank = true
	_, err := transfer.Run(w.t.Context(), src, dst, transfer.Options{})
	require.NoError(w.t, src.Close())
	return dst, err
}

// room waits until a push can begin, and returns how long that took.
func (w *world) room() time.Duration {
	w.t.Helper()
	began := time.Now()
	for {
		dst := remote.NewDestination("http://"+atServer+"/admin", w.options(protocol.Extensions{}))
		_, err := dst.Describe(w.t.Context())
		require.NoError(w.t, dst.Close())
		if err == nil {
			return time.Since(began)
		}
		require.ErrorContains(w.t, err, server.ErrBusy.Error())
		require.Less(w.t, time.Since(began), time.Hour, "the lock is free in the end, whoever held it")
		<-time.After(time.Second)
	}
}
