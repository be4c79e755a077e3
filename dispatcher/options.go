package dispatcher

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/transfer-runner/runner/protocol"
)

// Defaults of [Options]. The first two are the reference client's.
const (
	DefaultRetryMessageTimeout    = protocol.RetryMessageTimeout
	DefaultRetryMessageMaxRetries = protocol.RetryMessageMaxRetries
	DefaultWindow                 = 1
	DefaultHeartbeatInterval      = 15 * time.Second
	DefaultHeartbeatTimeout       = 60 * time.Second
	DefaultStallTimeout           = 5 * time.Minute
)

// Options are the choices of a [Dispatcher]. The zero value is what a stock peer wants.
type Options struct {
	// RetryMessageTimeout is the time without an answer after which a request is sent again. Default 30 s. While the request is
	// known to be still on its way over a slow line, it is not sent again, and that time does not count.
	RetryMessageTimeout time.Duration
	// RetryMessageMaxRetries has the meaning that the reference gives it: a request is sent 1 + (N+1) times and has failed at
	// (N+2) times the timeout, 210 s by default. Default 5; negative counts as the reference's 0.
	RetryMessageMaxRetries int
	// Window is how many requests may be unanswered at a time. Default 1, the only value that a stock peer can bear: it
	// remembers one answer.
	Window int

	// HeartbeatInterval is the time between pings. Default 15 s; negative sends none and trusts the network.
	HeartbeatInterval time.Duration
	// HeartbeatTimeout is the silence after which the peer counts as gone. A peer that takes what is sent is not silent.
	// Default 60 s.
	HeartbeatTimeout time.Duration
	// StallTimeout is the time without progress, while this side waits for the peer, after which the connection is given up.
	// Default 5 min; negative waits for ever.
	StallTimeout time.Duration

	// OnFrame receives each frame once, from the reader: it must not block. The frame's memory is the receiver's. Each must be
	// acknowledged with [Dispatcher.Ack]. Without OnFrame, frames are dropped.
	OnFrame func(protocol.Frame)
	// OnDiagnostic receives each diagnostic, from the reader: it must not block.
	OnDiagnostic func(protocol.Diagnostic)

	Logger *slog.Logger // default: discards
}

func (o Options) withDefaults() Options {
	o.RetryMessageTimeout = cmp.Or(max(o.RetryMessageTimeout, 0), DefaultRetryMessageTimeout)
	o.RetryMessageMaxRetries = max(cmp.Or(o.RetryMessageMaxRetries, DefaultRetryMessageMaxRetries), 0)
	o.Window = cmp.Or(max(o.Window, 0), DefaultWindow)
	o.HeartbeatInterval = cmp.Or(o.HeartbeatInterval, DefaultHeartbeatInterval)
	o.HeartbeatTimeout = cmp.Or(max(o.HeartbeatTimeout, 0), DefaultHeartbeatTimeout)
	o.StallTimeout = cmp.Or(o.StallTimeout, DefaultStallTimeout)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// CallOptions are the choices of one call.
type CallOptions struct {
	// Timeout and MaxRetries stand in for Options.RetryMessageTimeout and Options.RetryMessageMaxRetries unless zero.
	Timeout    time.Duration
	MaxRetries int
	// NoStall says that the peer may work on the request in silence for as long as the resends last.
	NoStall bool
}

// Names of log attributes.
const (
	keyRequest = "request"
	keyUUID    = "uuid"
	keySends   = "sends"
	keyError   = "error"
)
