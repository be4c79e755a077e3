package protocol

import "time"

// How Strapi's own client batches what it pushes, and its server what is pulled, in version 5.54. Receivers take anything up to
// [MaxMessage].
const (
	// BatchBytes, BatchItems and BatchAge are when a client sends what it has of entities, links or configuration: bytes of
	// JSON text, items, or the age of the first of them. Before 5.43 only a size of 1 MiB counted.
	BatchBytes = 512 << 10
	BatchItems = 100
	BatchAge   = 450 * time.Millisecond

	// AssetBatchBytes is when either side sends what it has of assets, in bytes of files, and AssetChunkBytes is how long a chunk
	// of a file is: what Node.js reads at a time.
	AssetBatchBytes = 1 << 20
	AssetChunkBytes = 64 << 10

	// FrameBytes is when a server sends what it has of entities, links or configuration, in bytes of JSON text.
	FrameBytes = 1 << 20
)

// WindowBytes is how many bytes of messages may be unanswered at a time between peers that have agreed on [ExtensionWindow]: they fill a line of
// 5 Gbit/s and 40 ms.
const WindowBytes = 24 << 20

// BatchSize is how much a message carries between peers that have agreed on e, in bytes of files, or of JSON text of the other stages: so that a
// window of 8 is enough for [WindowBytes], and what a wider one holds is no more.
func (e Extensions) BatchSize() int {
	return min(max(WindowBytes/max(e.Window, 1), 1<<20), WindowBytes/8)
}

// How long Strapi's own client waits, in version 5.54. It sends a request again every RetryMessageTimeout, one time more than
// RetryMessageMaxRetries, and gives up one RetryMessageTimeout after the last: after 7 messages and 210 seconds.
const (
	RetryMessageTimeout    = 30 * time.Second
	RetryMessageMaxRetries = 5

	// AssetsStartRetryTimeout and AssetsStartRetryMaxRetries are for the start of assets on pull, which a server answers only
	// when it has looked at every file.
	AssetsStartRetryTimeout    = 120 * time.Second
	AssetsStartRetryMaxRetries = 30

	// AssetIdleTimeout is how long a client waits for the next chunk of a file that it pulls.
	AssetIdleTimeout = 300 * time.Second
)

// FirstFrameDelay is how long after the answer to start a server should send the first frame if it cannot make sure by a ping that
// the client has read the answer: Strapi's client listens for frames only from then on, and loses one that comes earlier.
const FirstFrameDelay = 250 * time.Millisecond

// MaxFragments is how many WebSocket frames Strapi takes a message in.
const MaxFragments = 16_384
