package dispatcher

import "context"

// Conn is all that a [Dispatcher] needs of a connection. Read is called by one goroutine, Write and Ping by another, Progress
// and Close by any.
type Conn interface {
	// Read returns the next message, which belongs to the caller. An error is final; after ctx ended nothing can be read any more.
	Read(ctx context.Context) ([]byte, error)
	// Write sends a message and does not keep it. An error is final: part of the message may have been sent.
	Write(ctx context.Context, message []byte) error
	// Ping asks the peer for a sign of life that counts in Progress and is no message.
	Ping(ctx context.Context) error
	// Progress may be called at any time, also while Read and Write are at work.
	Progress() Progress
	// Close tells the peer that the connection ends and drops it. It takes bounded time and ends a Read or Write that is under
	// way. It may be called twice.
	Close() error
}

// Progress is what has moved over a connection so far. All figures are in bytes and only grow.
type Progress struct {
	Heard   int64 // of anything that came in, also of what keeps a connection alive
	Read    int64 // of messages that came in, also of one that is not complete yet
	Offered int64 // of anything given to the network
	Taken   int64 // of Offered, what has reached the peer's host as far as this one knows
}
