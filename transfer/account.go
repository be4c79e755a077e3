package transfer

import (
	"maps"
	"slices"
	"strings"
)

// tally counts records by stage, type and reason.
type tally map[[3]string]*Skip

func (t tally) add(stage Stage, group, reason, key string, allowed bool) {
	id := [3]string{string(stage), group, reason}
	s := t[id]
	if s == nil {
		s = &Skip{Stage: stage, Type: group, Reason: reason, Allowed: allowed}
		t[id] = s
	}
	s.Count++
	if len(s.Examples) < maxExamples {
		s.Examples = append(s.Examples, key)
	}
}

func (t tally) list() []Skip {
	out := make([]Skip, 0, len(t))
	for _, s := range t {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Skip) int {
		return strings.Compare(string(a.Stage)+a.Type+a.Reason, string(b.Stage)+b.Type+b.Reason)
	})
	return out
}

func (t tally) stage(stage Stage) (n int64) {
	for s := range maps.Values(t) {
		if s.Stage == stage {
			n += s.Count
		}
	}
	return n
}

// forbidden is the number of records that nobody allowed to skip.
func forbidden(skips []Skip) (n int64) {
	for _, s := range skips {
		if !s.Allowed {
			n += s.Count
		}
	}
	return n
}
