// Package dispatcher pairs messages with their responses over one connection.
//
// A [Dispatcher] owns the connection's traffic: one reader that knows which call an answer belongs to, one writer, and one clock
// that resends what nobody answered, notices a peer that is gone, and one that is there and does nothing. A [WebSocket] is the
// connection that it usually has.
//
// Nothing runs before [Dispatcher.Run] is called, and nothing runs after it has returned. A connection that is lost fails every
// call at once, with the reason. Reconnecting is up to the caller: a session of the protocol does not survive its connection.
package dispatcher
