package dispatcher

import (
	"hash/maphash"
	"sync"

	"github.com/transfer-runner/runner/protocol"
)

// Bounds of what a [Replays] holds. A session that gets there is not a transfer: a million messages carry a terabyte.
const (
	MaxRememberedRequests = 1 << 20
	MaxRememberedAnswers  = 64 << 20 // bytes, without the answers that are empty
)

// Admission says what a server has to do with a request.
type Admission int

// The admissions.
const (
	AdmitNew      Admission = iota // it must be worked on, and [Replays.Done] be called
	AdmitRunning                   // it is being worked on: Done will tell that its answer is owed once more
	AdmitAnswered                  // it was answered: the answer comes with the admission
	AdmitConflict                  // its uuid belongs to another request
	AdmitFull                      // nothing more can be remembered
)

// Replays remembers the requests of a session with their answers, so that one that comes again is answered as it was before and
// worked on once. Its methods may be called concurrently.
type Replays struct {
	first, second maphash.Seed

	mu      sync.Mutex // guards what follows
	seen    map[[2]uint64]*replay
	counted map[*byte]struct{} // the data of answers, which may be shared
	bytes   int
}

// replay is one request that came.
type replay struct {
	body   uint64 // hash of its text
	answer *protocol.Response
	owed   int32
	done   bool
}

// NewReplays returns an empty memory.
func NewReplays() *Replays {
	return &Replays{
		first: maphash.MakeSeed(), second: maphash.MakeSeed(),
		seen: make(map[[2]uint64]*replay), counted: make(map[*byte]struct{}),
	}
}

// key is the uuid in the least room. The seeds are secret, so that nobody can make two uuids meet.
func (r *Replays) key(uuid string) [2]uint64 {
	return [2]uint64{maphash.String(r.first, uuid), maphash.String(r.second, uuid)}
}

// Admit takes the text of a request with a uuid. The response is set for [AdmitAnswered] only.
func (r *Replays) Admit(uuid string, text []byte) (Admission, protocol.Response) {
	body := maphash.Bytes(r.first, text)
	key := r.key(uuid)
	r.mu.Lock()
	defer r.mu.Unlock()
	known, again := r.seen[key]
	switch {
	case !again && (len(r.seen) >= MaxRememberedRequests || r.bytes >= MaxRememberedAnswers):
		return AdmitFull, protocol.Response{}
	case !again:
		r.seen[key] = &replay{body: body, owed: 1}
		return AdmitNew, protocol.Response{}
	case known.body != body:
		return AdmitConflict, protocol.Response{}
	case !known.done:
		if known.owed < maxOwed {
			known.owed++
		}
		return AdmitRunning, protocol.Response{}
	}
	answer := protocol.Response{UUID: uuid}
	if known.answer != nil {
		answer.Data, answer.Error = known.answer.Data, known.answer.Error
	}
	return AdmitAnswered, answer
}

// maxOwed is how often one answer is sent at most for the copies of a request that came while it was being worked on. A client that
// waits sends six.
const maxOwed = 16

// Done remembers the answer to an admitted request and returns how many times it is owed. The data is kept and must not change.
func (r *Replays) Done(answer protocol.Response) (owed int) {
	key := r.key(answer.UUID)
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.seen[key]
	if known == nil || known.done {
		return 0
	}
	known.done = true
	if answer.Error != nil || len(answer.Data) > 0 {
		known.answer = &protocol.Response{Data: answer.Data, Error: answer.Error}
		r.count(answer)
	}
	return int(known.owed)
}

// count adds up what answers take. r.mu is held.
func (r *Replays) count(answer protocol.Response) {
	if answer.Error != nil {
		r.bytes += len(answer.Error.Message) + len(answer.Error.Details.Details)
	}
	if len(answer.Data) == 0 {
		return
	}
	at := &answer.Data[0]
	if _, shared := r.counted[at]; !shared {
		r.counted[at] = struct{}{}
		r.bytes += len(answer.Data)
	}
}
