// Package live tells what happens to jobs while it happens, over Socket.IO, server-sent events and WebSockets.
//
// All three tell the same: what [jobs.Feed] tells, in its order. State changes come once each; progress in between is merged, so that
// a client gets the newest. A position, as in "position" of what is told and in the ids of server-sent events, says how far somebody
// has heard the log; with it a client that comes back gets what it missed, or a snapshot and recovered false, never a silent gap.
//
// # Design
//
// Ten thousand subscribers of one job must not be felt by the job. The feed never waits for them. Server-sent events are written by a few
// goroutines, each for its share of the connections, which never wait for one of them either: what a connection does not take at once
// is left to a goroutine of its own with a deadline. Socket.IO clients share one subscription and one encoding; see package socketio.
// Whoever reads too slowly is dropped, and may come back.
//
// Tokens are checked again all the time, not only when a client comes: whose token is revoked or expires is disconnected.
package live
