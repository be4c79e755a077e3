package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
)

// Checksums says whether the SHA-256 of each file travels with it.
type Checksums string

// The choices. With ChecksumsOn, the default, checksums are in force if the peer knows them.
const (
	ChecksumsOn  Checksums = "on"
	ChecksumsOff Checksums = "off"
)

// Options steer how a runner is reached and how long it is waited for. The zero value is fit for use.
type Options struct {
	Token  string      // sent as a bearer token, never part of an error or a log
	Header http.Header // added to the upgrade request, for proxies in between
	TLS    *tls.Config // nil is the system's authorities
	// NetDial makes the network connection. Default: [net.Dialer.DialContext].
	NetDial func(ctx context.Context, network, address string) (net.Conn, error)

	// RetryMessageTimeout is how long an answer is waited for before the message is sent again, RetryMessageMaxRetries how
	// often. Default 30 s and 5, as in Strapi's own client; negative
	// retries count as none.
	RetryMessageTimeout    time.Duration
	RetryMessageMaxRetries int

	// StallTimeout is how long the peer may owe us something without a byte moving. Default 5 min; negative
	// waits for ever.
	StallTimeout time.Duration

	// HeartbeatInterval and HeartbeatTimeout are the time between pings and the silence after which the peer counts as gone. Default
	// 15 s and 60 s.
	HeartbeatInterval, HeartbeatTimeout time.Duration

	// AssetsStartTimeout is how long the answer to the start of the files of a pull is waited for before it is sent again. Default 2 min,
	// as in Strapi's own client.
	AssetsStartTimeout time.Duration

	// PrepareTimeout is how long a server may take to clear what is replaced. Strapi deletes uploaded files one by one, which
	// takes many minutes on cloud storage. Default 30 min. Commit may take as long.
	PrepareTimeout time.Duration

	// CloseTimeout bounds how long Close takes to say goodbye. Default 10 s.
	CloseTimeout time.Duration

	Checksums Checksums

	// Offer is what servers of ours are offered beyond the protocol of Strapi, whose servers ignore it. The zero value offers nothing;
	// [Supported] is all that this package can.
	Offer protocol.Extensions

	// Merge makes a push keep what only the server has. A server that cannot is refused before anything is asked of it.
	Merge bool
	// Conflict says which side wins where both have a row and they differ, in the server's words; with Merge. "" leaves it to the server.
	Conflict string

	Logger *slog.Logger // nil discards
}

// offeredWindow is how many messages may be under way. Sixteen messages of a mebibyte cover a line of 3 Gbit/s at 40 ms.
const offeredWindow = 16

// Supported returns all that this package can speak with servers of ours. Whether to merge is not a matter of being able to: see
// [Options.Merge].
func Supported() protocol.Extensions {
	return protocol.Extensions{
		Window: offeredWindow, Compression: protocol.CompressionZstd, Schemas: true, Seals: true, KnownAssets: true, BinaryAssets: true, Skips: true,
	}
}

func (o Options) withDefaults() Options {
	o.RetryMessageTimeout = cmp.Or(max(o.RetryMessageTimeout, 0), dispatcher.DefaultRetryMessageTimeout)
	o.RetryMessageMaxRetries = cmp.Or(o.RetryMessageMaxRetries, dispatcher.DefaultRetryMessageMaxRetries)
	o.StallTimeout = cmp.Or(o.StallTimeout, dispatcher.DefaultStallTimeout)
	o.AssetsStartTimeout = cmp.Or(o.AssetsStartTimeout, assetsStartTimeout)
	o.PrepareTimeout = cmp.Or(o.PrepareTimeout, 30*time.Minute)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, 10*time.Second)
	o.Checksums = cmp.Or(o.Checksums, ChecksumsOn)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// silence is how long a server may leave pings unanswered. Strapi serialises the whole of a growing batch anew for each record, and
// answers nothing meanwhile: on a slow machine a mebibyte of short links takes minutes. So it gets as long as for a stall; that a
// connection is closed is noticed at once all the same.
func (o Options) silence() time.Duration {
	if o.StallTimeout < 0 {
		return 24 * time.Hour
	}
	return max(o.StallTimeout, dispatcher.DefaultHeartbeatTimeout)
}

// patient returns the options of a call for which the server may work in silence for as long as total.
func (o Options) patient(total time.Duration) dispatcher.CallOptions {
	retries := max(o.RetryMessageMaxRetries, int(total/o.RetryMessageTimeout)-2, 1)
	return dispatcher.CallOptions{MaxRetries: retries, NoStall: true}
}
