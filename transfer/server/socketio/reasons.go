package socketio

import "errors"

// Reason is why a socket was disconnected, in the words of the reference server.
type Reason string

// The reasons that there are.
const (
	ReasonTransportError      Reason = "transport error"
	ReasonTransportClose      Reason = "transport close"
	ReasonForcedClose         Reason = "forced close"
	ReasonPingTimeout         Reason = "ping timeout"
	ReasonParseError          Reason = "parse error"
	ReasonServerShutdown      Reason = "server shutting down"
	ReasonForcedServerClose   Reason = "forced server close"
	ReasonClientDisconnect    Reason = "client namespace disconnect"
	ReasonNamespaceDisconnect Reason = "server namespace disconnect"
)

// recoverable reports whether a client that was lost for this reason may come back to its state.
func (r Reason) recoverable() bool {
	switch r {
	case ReasonTransportError, ReasonTransportClose, ReasonForcedClose, ReasonPingTimeout, ReasonServerShutdown, ReasonForcedServerClose:
		return true
	case ReasonParseError, ReasonClientDisconnect, ReasonNamespaceDisconnect:
		return false
	}
	return false
}

// Errors that acknowledgements end with when none comes.
var (
	ErrDisconnected = errors.New("socket has been disconnected")
	ErrAckTimeout   = errors.New("operation has timed out")
)

// ErrReserved is the error for an event whose name the protocol keeps for itself.
var ErrReserved = errors.New("a reserved event name")

// ConnectError refuses a client. It gets the message and the data, which must be fit for it; anything else that a middleware returns
// is logged, and the client hears of an internal error.
type ConnectError struct {
	Message string
	Data    any
}

// Error returns the message.
func (e *ConnectError) Error() string { return e.Message }

// reserved reports whether an event may not be called name.
func reserved(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}
