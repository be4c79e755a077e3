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

// How many bytes of messages may be unanswered at a time between peers that have agreed on [ExtensionWindow], beside their number.
const (
	MinInFlight = 16 << 20
	MaxInFlight = 64 << 20

	// lineRate is what a line is taken to carry, in bytes a second: as much as two of our processes on one machine move.
	lineRate = 5 << 28
	// minBatch and maxBatch bound what one message carries.
	minBatch = 1 << 20
	maxBatch = 8 << 20
	// maxTextBatch is for JSON text, which takes longer to make and to read than to send: the first message of a stage should not keep the other
	// side waiting.
	maxTextBatch = 4 << 20
)

// InFlight is how many bytes of messages fill a line whose round trips take so long.
func InFlight(roundTrip time.Duration) int {
	return min(MinInFlight+int(min(max(roundTrip, 0).Seconds(), 1)*lineRate), MaxInFlight)
}

// Batch is how much a message of a stage carries between peers that have agreed on e when so many bytes may be under way, in bytes of files, or of
// JSON text: so much that the window is not what bounds them.
func (e Extensions) Batch(stage Stage, inFlight int) int {
	most := maxTextBatch
	if stage == StageAssets {
		most = maxBatch
	}
	return min(max(inFlight/max(e.Window, 1), minBatch), most)
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
