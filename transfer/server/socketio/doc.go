// Package socketio serves Socket.IO clients: protocol 5 over Engine.IO protocol 4, by WebSocket and by long-polling.
//
// It knows nothing of what the events mean. A [Server] is an [http.Handler]; its namespaces get their middleware and handlers before
// the first request:
//
//	io := socketio.New(socketio.Options{Origins: []string{"https://app.example"}})
//	io.Of("/").Use(authenticate)
//	io.Of("/").On("job:subscribe", subscribe)
//	http.Handle("/socket.io/", io)
//
// # Design
//
// A connection is a session, with the Engine.IO state: which transport, what waits to be sent, the heartbeat. On top of it is a client,
// with one [Socket] for each namespace that it has joined. An idle WebSocket costs one goroutine, which reads; a goroutine that
// writes exists only while there is something to write. What waits for one client is bounded: who does not read is dropped, and
// nobody else waits for it.
//
// Handlers belong to the namespace, not to the socket, so that a socket costs little. They are called one after the other in the
// order in which a client sent the events; one that waits keeps its client waiting, and nobody else.
//
// A broadcast is encoded once. With Options.Recovery, events are also remembered, and a client that comes back within that time gets
// what it missed, or is told by recovered being false that it must ask for the state. Locks are taken in the order namespace, session.
package socketio
