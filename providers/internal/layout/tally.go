package layout

import (
	"maps"

	"github.com/transfer-runner/runner/transfer"
)

const (
	// maxGroups bounds the headings that are counted apart: a site has hundreds of content types, a hostile file as many as
	// it has rows.
	maxGroups  = 10_000
	otherGroup = "(other)"
)

// Tallies count the records of each stage.
type Tallies map[transfer.Stage]*transfer.Count

// Add counts one record.
func (t Tallies) Add(stage transfer.Stage, group string, size int64) {
	c := t[stage]
	if c == nil {
		c = &transfer.Count{ByType: make(map[string]int64)}
		t[stage] = c
	}
	c.Records++
	c.Bytes += size
	if _, known := c.ByType[group]; !known && len(c.ByType) >= maxGroups {
		group = otherGroup
	}
	c.ByType[group]++
}

// Of returns the count of a stage.
func (t Tallies) Of(stage transfer.Stage) transfer.Count {
	c := t[stage]
	if c == nil {
		return transfer.Count{}
	}
	return transfer.Count{Records: c.Records, Bytes: c.Bytes, ByType: maps.Clone(c.ByType)}
}

// Records returns the number of records of each stage that has any.
func (t Tallies) Records() map[transfer.Stage]int64 {
	n := make(map[transfer.Stage]int64, len(t))
	for stage, c := range t {
		n[stage] = c.Records
	}
	return n
}
