// Package server runs transfers for clients that connect over HTTP: the stock "strapi transfer" command, and ours.
//
// A [Server] has sites, each of which content can be pulled from and, where it has a destination, pushed to. One connection is one
// session. Within it a reader takes messages off the wire, knows those that come again, and puts the others in line; a worker answers
// them one by one in the order in which they came; a keeper watches over the peer's signs of life and its token. A push writes to the
// site's destination, which shows nothing of it before close; whatever else ends the session discards it.
package server
