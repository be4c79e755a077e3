package jobs

import (
	"context"
	"strings"
	"time"
)

// Store keeps jobs and the log of what happened to them. Its methods may be called concurrently, by several servers where the store is
// for several. Two are here: [OpenSQLite] and [OpenPostgres].
type Store interface {
	// Insert adds a job and its first event. One that is processing belongs to its lease's owner from the start.
	Insert(ctx context.Context, job Job, events ...Event) (Change, error)
	// Claim gives a job to an owner: the one that waits longest of those that are due, whose destination no other job writes to; or,
	// with Claim.Seize, the one of a dead owner. It returns nil when there is none, or somebody else was faster.
	Claim(ctx context.Context, claim Claim) (*Change, error)
	// Save writes what became of a job, appends events, and is a sign of life. [ErrLost] means that the job has another owner by now;
	// nothing is written then. A job that is pending again belongs to nobody.
	Save(ctx context.Context, job Job, events ...Event) (Change, error)
	// Cancel ends a job that waits, and asks the owner of one that runs to end it. [ErrEnded] means that it has ended.
	Cancel(ctx context.Context, id ID, now time.Time) (Change, error)
	// Get returns a job with its diagnostics and its report, or [ErrNotFound].
	Get(ctx context.Context, id ID) (Job, error)
	// List returns jobs, newest first, without diagnostics and reports, and how many there are.
	List(ctx context.Context, query Query) ([]Job, int, error)
	// Events returns what is in the log after a position, oldest first, at most limit. ok is false if the log does not go back that
	// far any more, or is another one; what is returned then is of no use. With the zero Position it returns nothing but the end of
	// the log.
	Events(ctx context.Context, after Position, limit int) (events []Event, end Position, ok bool, err error)
}

// Change is what came of a change: the job as it is now, with its lease, and the events with their positions.
type Change struct {
	Job    Job
	Events []Event
}

// Claim says who wants a job and which.
type Claim struct {
	Owner  string
	Now    time.Time
	Beyond time.Time          // what is due after it counts as due; zero is never
	Seize  *Job               // as it was when its owner was last heard of; nil for one that waits
	Change func(*Job) []Event // makes of the job what it is to be, and says what is to be told of it
}

// Query says which jobs to list. Zero values mean any.
type Query struct {
	States    []State
	Kinds     []Kind
	Direction string // of sessions: push or pull
	Name      string // of a site or remote, at either end
	Schedule  string
	Text      string // part of who, from, to or site
	Since     time.Time
	Visible   *Visible
	Limit     int // default and at most MaxPage
	Offset    int
}

// Visible restricts what is told to what a token may see: jobs that were started with it, and those of its site.
type Visible struct {
	Only    ID // no other job, whatever else is set
	TokenID string
	Site    string

	Everything bool // but for Only
}

// Sees reports whether the job may be told. A nil Visible sees all.
func (v *Visible) Sees(j *Job) bool {
	if v != nil && v.Only != "" && v.Only != j.ID {
		return false
	}
	return v == nil || v.Everything || v.TokenID != "" && j.TokenID == v.TokenID ||
		v.Site != "" && (j.Site == v.Site || SiteOf(j.From) == v.Site || SiteOf(j.To) == v.Site)
}

// SiteOf is the site in a name that may be one of a snapshot, SITE@ID.
func SiteOf(name string) string {
	site, _, _ := strings.Cut(name, "@")
	return site
}

// MaxPage is the most jobs that one List returns.
const MaxPage = 200

// Notifier is a [Store] that hears what other servers do.
type Notifier interface {
	// Listen calls hear, from one goroutine, when something has changed, until ctx ends. It returns early with an error when what
	// tells it is lost; it may be called again.
	Listen(ctx context.Context, hear func(Notice)) error
}

// Notice says that something has changed in the store.
type Notice struct {
	Job      ID   // "" when the log has grown
	Cancel   bool // the job is to be cancelled
	Progress bool // the job has moved on
}
