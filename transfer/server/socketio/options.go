package socketio

import (
	"cmp"
	"log/slog"
	"time"
)

// Defaults of [Options], which are those of the reference server where it has them.
const (
	DefaultPingInterval   = 25 * time.Second
	DefaultPingTimeout    = 20 * time.Second
	DefaultConnectTimeout = 45 * time.Second
	DefaultUpgradeTimeout = 10 * time.Second
	DefaultCloseTimeout   = 30 * time.Second
	DefaultWriteTimeout   = 10 * time.Second
	DefaultMaxPayload     = 1_000_000
	DefaultMaxSessions    = 20_000
	DefaultMaxQueue       = 1_000
	DefaultMaxQueueBytes  = 1 << 20

	// maxAttachments is how many binary attachments an event may have, as in the reference parser.
	maxAttachments = 10
	// maxRemembered and maxRememberedBytes bound what a namespace remembers for clients that come back.
	maxRemembered      = 10_000
	maxRememberedBytes = 32 << 20
	// maxLost is how many clients that may come back a namespace remembers.
	maxLost = 50_000
)

// Options of a [Server]. The zero value works.
type Options struct {
	PingInterval   time.Duration // between heartbeats. Default 25 s
	PingTimeout    time.Duration // how long a client may take to answer one. Default 20 s
	ConnectTimeout time.Duration // how long a client may take to join a namespace. Default 45 s
	UpgradeTimeout time.Duration // how long a change of transport may take. Default 10 s
	CloseTimeout   time.Duration // how long a closed session waits for the poll that fetches its last packets. Default 30 s
	WriteTimeout   time.Duration // how long a packet may take to be written. Default 10 s

	MaxPayload    int // bytes of a message or of a posted payload. Default 1,000,000
	MaxSessions   int // connections at a time. Default 20,000
	MaxQueue      int // packets that may wait for a client before it is dropped. Default 1,000
	MaxQueueBytes int // bytes that may wait for a client before it is dropped; one packet may be larger. Default 1 MiB

	// Recovery is for how long a client that has lost its connection may come back to its rooms and to what it missed. Zero is never.
	Recovery time.Duration

	// Origins are the pages that may connect, beside those of the server itself. Clients that are no browsers send no origin.
	Origins []string

	// Adapter carries broadcasts to other servers. Nil is for a server on its own.
	Adapter Adapter

	Logger *slog.Logger // nil discards
}

func (o Options) withDefaults() Options {
	o.PingInterval = cmp.Or(max(o.PingInterval, 0), DefaultPingInterval)
	o.PingTimeout = cmp.Or(max(o.PingTimeout, 0), DefaultPingTimeout)
	o.ConnectTimeout = cmp.Or(max(o.ConnectTimeout, 0), DefaultConnectTimeout)
	o.UpgradeTimeout = cmp.Or(max(o.UpgradeTimeout, 0), DefaultUpgradeTimeout)
	o.CloseTimeout = cmp.Or(max(o.CloseTimeout, 0), DefaultCloseTimeout)
	o.WriteTimeout = cmp.Or(max(o.WriteTimeout, 0), DefaultWriteTimeout)
	o.MaxPayload = cmp.Or(max(o.MaxPayload, 0), DefaultMaxPayload)
	o.MaxSessions = cmp.Or(max(o.MaxSessions, 0), DefaultMaxSessions)
	o.MaxQueue = cmp.Or(max(o.MaxQueue, 0), DefaultMaxQueue)
	o.MaxQueueBytes = cmp.Or(max(o.MaxQueueBytes, 0), DefaultMaxQueueBytes)
	o.Recovery = max(o.Recovery, 0)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Names of log attributes.
const (
	keyError     = "error"
	keyNamespace = "namespace"
	keySession   = "session"
	keyWaiting   = "waiting"
	keyEvent     = "event"
)
