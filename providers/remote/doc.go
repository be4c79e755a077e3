// Package remote reads from and writes to a transfer runner reached over the network.
//
// A [Source] pulls and a [Destination] pushes, both over one WebSocket connection to a Strapi server or to a runner of ours. The
// peer's answers, its warnings and the way the connection ends are turned into the errors, notes and states of package transfer.
package remote
