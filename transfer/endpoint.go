package transfer

import (
	"context"
	"iter"
	"slices"
	"time"
)

// Source yields a site's content. A Source is used by one goroutine at a time.
type Source interface {
	// Describe says what the source is. It may be called any number of times and changes nothing.
	Describe(ctx context.Context) (Description, error)

	// Read yields the records of one stage that come after a cursor; the zero Cursor starts at the first. Two reads of an
	// unchanged source yield the same records in the same order. The sequence ends after the first error. A stage that the
	// source does not have is an empty sequence.
	//
	// An [Asset] must be opened, if at all, before the next record is asked for, and its body is void from then on: sources
	// that stream cannot go back. Breaking out of the loop, or the end of ctx, frees what the read holds.
	Read(ctx context.Context, stage Stage, after Cursor) iter.Seq2[Item, error]

	// Close lets go of the source. It may be called twice.
	Close() error
}

// Destination takes a site's content. It is used by one goroutine at a time.
type Destination interface {
	// Describe says what the destination holds and can do. It may be called before Begin any number of times and changes
	// nothing.
	Describe(ctx context.Context) (Description, error)

	// Begin makes ready for a plan; from here on old content may be gone if the medium cannot stage (see [Stater]). For a
	// plan that the destination knows from an interrupted run it returns how far each stage came; nil starts anew.
	Begin(ctx context.Context, plan Plan) (map[Stage]Cursor, error)

	// Write hands over the next records of a stage. Batches of a stage come in the source's order, stages in the order of
	// [Stages]; the final batch of each planned stage has Last set and may be empty. nil means that the destination has
	// taken the records, not that they are durable: only Commit promises that. Assets come one to a batch. When Write has
	// returned, neither the batch's slice nor an asset's body may be used any more. After ctx has ended Write changes
	// nothing.
	Write(ctx context.Context, batch Batch) error

	// Commit makes all that was written visible, durably and at once. When it fails the old content stays, unless the error
	// is [ErrOutcomeUnknown].
	Commit(ctx context.Context) error

	// Close lets go of the destination. Without a successful Commit it discards what was written. It may be called twice.
	Close() error
}

// Counter is a [Source] that knows its totals without handing over the records.
type Counter interface {
	// Count returns the records and bytes of a stage.
	Count(ctx context.Context, stage Stage) (Count, error)
}

// Checker is a [Source] that can prove itself whole, such as an archive that carries digests. The engine calls it before
// the destination is touched.
type Checker interface {
	// Check reads the source through and returns an error that wraps [ErrDamaged] if it is not what its writer wrote.
	Check(ctx context.Context) error
}

// Accountant is a [Destination] that knows what became of the records it took.
type Accountant interface {
	// Outcome may be called at any time after Begin.
	Outcome() Outcome
}

// Skipper is a [Source] that may have to leave out records that it should have, such as files that are gone from its disk.
type Skipper interface {
	// Skipped returns what was left out so far.
	Skipped() []Skip
}

// AssetKnower is a [Destination] that can say which files need not be handed over, because it has them. Of those it takes the record,
// and does not open it.
type AssetKnower interface {
	// KnownAssets returns such files, at most limit of them. It is called when the stage of entities is complete and before the first
	// asset is written. What it leaves out may be known all the same.
	KnownAssets(ctx context.Context, limit int) ([]KnownAsset, error)
}

// KnownAsset is a file that a destination has.
type KnownAsset struct {
	Filename string
	Length   int64
}

// Stater is an endpoint that knows in which state a failure leaves it.
type Stater interface {
	State() State
}

// Noter is an endpoint with something to tell that is not an error: what its peer warned of, what it had to fall back to.
// The engine asks after every stage, and each note is told once.
type Noter interface {
	Notes() []Note
}

// Note is a remark about a transfer, made by an endpoint or by the engine.
type Note struct {
	Level   NoteLevel `json:"level"`
	Message string    `json:"message"`
}

// NoteLevel says how much a note matters.
type NoteLevel string

// The levels, as Strapi's diagnostics name them.
const (
	NoteInfo    NoteLevel = "info"
	NoteWarning NoteLevel = "warning"
	NoteError   NoteLevel = "error"
)

// Item is a record and the cursor after it.
type Item struct {
	Record Record
	Cursor Cursor
}

// Cursor is a position in a stage: the number of records before it.
type Cursor int64

// Batch is what one Write hands over.
type Batch struct {
	Stage   Stage
	Records []Record
	Cursor  Cursor // after the last record
	Last    bool   // nothing more comes in this stage
}

// Count is an amount of content.
type Count struct {
	Records int64            `json:"records"`
	Bytes   int64            `json:"bytes"` // JSON text, or file content for assets
	ByType  map[string]int64 `json:"byType,omitempty"`
}

// Description says what an endpoint is and holds.
type Description struct {
	Kind      string    `json:"kind"`              // "strapi server", "archive", "directory", "memory"
	Name      string    `json:"name"`              // how the user names it, without secrets
	Version   string    `json:"version,omitempty"` // of Strapi; "" when unknown
	CreatedAt time.Time `json:"createdAt,omitzero"`

	// Schemas are the content types and components by uid. nil means unknown, which turns the comparison off; empty means
	// that the endpoint takes nothing.
	Schemas Schemas `json:"-"`

	// Blank marks a destination that takes any schema and any version, such as a new archive.
	Blank bool `json:"-"`

	// FilesNeedRows marks a destination that takes files only together with the rows of the media library, because it learns in
	// the same transfer which row a file belongs to.
	FilesNeedRows bool `json:"-"`
}

// Plan says what a transfer is going to replace.
type Plan struct {
	Source  Description
	Stages  []Stage // that will be written, in order; schemas always among them
	Restore Restore

	// Digest identifies source, filters and schemas, so that an interrupted run can be told from another one.
	Digest string
}

// Has reports whether the plan writes stage.
func (p Plan) Has(stage Stage) bool {
	return slices.Contains(p.Stages, stage)
}

// replaces reports whether rows of a content type are replaced.
func (p Plan) replaces(uid string) bool {
	r := p.Restore
	return p.Has(StageEntities) && (r.Include == nil || slices.Contains(r.Include, uid)) && !slices.Contains(r.Exclude, uid)
}

// Restore says what a destination deletes before it is filled, in the terms of Strapi's restore strategy.
type Restore struct {
	// Include lists the content types whose rows are replaced. nil means every type, empty none.
	Include []string
	// Exclude lists the content types that are never touched.
	Exclude       []string
	Assets        bool // replace the uploaded files
	Configuration bool // replace core store and webhooks
}

// Outcome is what a destination says of the records it took.
type Outcome struct {
	Acknowledged map[Stage]int64
	Stored       map[Stage]int64
	Skipped      []Skip
}

// State is what a transfer left behind at a destination.
type State string

// The states, from harmless to not.
const (
	StateUntouched  State = "untouched"   // nothing was changed
	StateRolledBack State = "rolled back" // the old content is in place
	StateFilesGone  State = "files gone"  // the old rows are in place, uploaded files have been moved away or deleted
	StateNewFiles   State = "new files"   // the old rows are in place, with the new files; the old files are deleted
	StateCommitted  State = "committed"   // the new content is in place
	StateUnknown    State = "unknown"     // the commit was sent and its answer lost
	StateUncertain  State = "uncertain"   // the connection broke; the peer rolls back by itself
)
