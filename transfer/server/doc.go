// Package server runs transfers for clients that connect over HTTP: the stock "strapi transfer" command, and ours.
//
// A [Server] has sites, each of which content can be pulled from and, where it has a destination, pushed to. One connection is one
// session. Within it a reader takes messages off the wire, knows those that come again, and puts the others in line; a worker answers
// them one by one in the order in which they came; a keeper watches over the peer's signs of life and its token. A push writes to the
// site's destination, which shows nothing of it before close; whatever else ends the session discards it.
//
// With a store of jobs ([JobsConfig]) each of these transfers is written down as a job, and the server runs others itself, between the
// sites and remotes of its configuration. An API below /api starts and tells of them, for those whose token permits it ([Viewer]); names
// are keys into the configuration, and nothing that a client sends is ever connected to.
package server
