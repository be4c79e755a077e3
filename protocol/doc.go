// Package protocol defines what a transfer runner and its client say to each other: the messages, their text, the order they may
// come in, the errors, and what may be negotiated on top.
//
// It is Strapi's data-transfer protocol as version 5.54.0 of @strapi/data-transfer speaks it, with what older versions leave
// out or do differently. The package does no I/O and knows nothing of content: entities, links and settings are raw JSON that
// passes through untouched. protocol/README.md is the specification in tables.
package protocol
