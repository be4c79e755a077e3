// Package redisbus carries messages between servers over a Redis stream, and loses none while Redis is away.
//
// Each server appends what it publishes to one stream and reads what the others have appended, from where it was. What is published
// while Redis cannot be reached waits in memory, within bounds; what was appended meanwhile is read afterwards, as far as the stream
// goes back. If something was lost all the same (too much waited, the stream was cut, Redis came back empty), whoever listens is told
// so, and asks the store of jobs, where everything is.
//
// A message that may or may not have been appended when a connection broke is appended again; numbers by which listeners know what
// they have had already keep it from being delivered twice.
package redisbus
