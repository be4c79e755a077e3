// Package read reads the rows of a Strapi database as the records of a transfer, in the order and the words of Strapi's own source.
//
// # Design
//
// Rows come in portions that are bounded in bytes, each by a query of its own that begins after the id at which the last one ended:
// memory stays flat, and the connection is free in between. The components of a portion are read level by level, one query for the
// rows of a component type and one for what they hold, however many there are. No row is ever asked for by itself.
package read
