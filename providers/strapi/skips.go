package strapi

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/transfer-runner/runner/transfer"
)

// maxExamples is how many skipped records of one kind are named. Strapi itself names ten.
const maxExamples = 10

// skips counts what was left out. It is safe for concurrent use.
type skips struct {
	mu   sync.Mutex
	list map[[3]string]*transfer.Skip
}

func (s *skips) add(stage transfer.Stage, group, reason, key string, allowed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := [3]string{string(stage), group, reason}
	skip := s.list[id]
	if skip == nil {
		skip = &transfer.Skip{Stage: stage, Type: group, Reason: reason, Allowed: allowed}
		if s.list == nil {
			s.list = make(map[[3]string]*transfer.Skip)
		}
		s.list[id] = skip
	}
	skip.Count++
	if len(skip.Examples) < maxExamples {
		skip.Examples = append(skip.Examples, key)
	}
}

func (s *skips) all() []transfer.Skip {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]transfer.Skip, 0, len(s.list))
	for skip := range maps.Values(s.list) {
		out = append(out, *skip)
	}
	slices.SortFunc(out, func(a, b transfer.Skip) int {
		return strings.Compare(string(a.Stage)+a.Type+a.Reason, string(b.Stage)+b.Type+b.Reason)
	})
	return out
}

// OnOmission implements [transfer.OmissionTeller].
func (d *Destination) OnOmission(tell func(transfer.Omission)) { d.tell = tell }

// omit counts a record that is left out, and tells of it.
func (d *Destination) omit(o transfer.Omission) {
	d.skips.add(o.Record.Stage(), o.Record.Group(), o.Reason, o.Record.Key(), o.Allowed)
	if d.tell != nil {
		d.tell(o)
	}
}
