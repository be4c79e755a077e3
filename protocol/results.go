package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Status answers the command status. On pull Strapi's own answers contradict themselves, see protocol/README.md.
type Status struct {
	Active    bool       `json:"active"`
	Kind      *Direction `json:"kind"`
	StartedAt *int64     `json:"startedAt"` // milliseconds since 1970
	Elapsed   *int64     `json:"elapsed"`   // milliseconds
}

// Append appends the status's text to dst.
func (s Status) Append(dst []byte) ([]byte, error) { return appendJSON(dst, s) }

// ParseStatus reads the answer to status. What is missing or of another type stays nil.
func ParseStatus(raw json.RawMessage) (Status, error) {
	var s Status
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		switch name {
		case "active":
			s.Active = asBool(value)
		case "kind":
			if text, ok := asString(value); ok && len(text) <= maxID {
				kind := Direction(text)
				s.Kind = &kind
			}
		case "startedAt":
			s.StartedAt = intOrNil(value)
		case "elapsed":
			s.Elapsed = intOrNil(value)
		}
		return nil
	})
	if err != nil {
		return Status{}, fmt.Errorf("status: %w: %w", ErrInvalidAnswer, err)
	}
	return s, nil
}

func intOrNil(raw json.RawMessage) *int64 {
	n, ok := asInt(raw)
	if !ok {
		return nil
	}
	return &n
}

// Metadata answers getMetadata.
type Metadata struct {
	CreatedAt string         `json:"createdAt"` // ISO 8601
	Strapi    StrapiMetadata `json:"strapi"`
}

// StrapiMetadata is the part of [Metadata] about the server's software.
type StrapiMetadata struct {
	Version string `json:"version"` // "" when unknown
}

// Append appends the metadata's text to dst.
func (m Metadata) Append(dst []byte) ([]byte, error) { return appendJSON(dst, m) }

// ParseMetadata reads the answer to getMetadata. It returns nil for a server that has none to give.
func ParseMetadata(raw json.RawMessage) (*Metadata, error) {
	if !Truthy(raw) {
		return nil, nil // absence is an answer of its own, and no error
	}
	m := &Metadata{}
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		switch name {
		case "createdAt":
			m.CreatedAt = asText(value, maxID)
		case "strapi":
			if len(value) == 0 || value[0] != '{' {
				return nil
			}
			return eachMember(value, func(name string, value json.RawMessage) error {
				if name == "version" {
					m.Strapi.Version = asText(value, maxID)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("getMetadata: %w: %w", ErrInvalidAnswer, err)
	}
	return m, nil
}

// StartResult answers a step's start. A server of a push only says OK.
type StartResult struct {
	OK     bool    `json:"ok"`
	ID     string  `json:"id,omitempty"`     // of the frames that follow, on pull
	Totals *Totals `json:"totals,omitempty"` // of assets, from 5.43 on

	// Known are the sizes of files that the destination of a push has, by name: answers the start of assets after
	// [ExtensionKnownAssets] was agreed on.
	Known map[string]int64 `json:"known,omitempty"`
}

// Totals is how much a stage is going to be. Both may be fractions, and far too small: good for a progress bar and for nothing
// else.
type Totals struct {
	TotalBytes float64 `json:"totalBytes"`
	TotalCount float64 `json:"totalCount"`
}

// Append appends the result's text to dst.
func (r StartResult) Append(dst []byte) ([]byte, error) { return appendJSON(dst, r) }

// ParseStartResult reads the answer to a step's start.
func ParseStartResult(raw json.RawMessage) (StartResult, error) {
	var r StartResult
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		switch name {
		case "ok":
			r.OK = Truthy(value)
		case "id":
			if len(value) <= maxID {
				r.ID, _ = asString(value)
			}
		case "totals":
			r.Totals = parseTotals(value)
		case "known":
			r.Known = parseKnown(value)
		}
		return nil
	})
	if err != nil {
		return StartResult{}, fmt.Errorf("start: %w: %w", ErrInvalidAnswer, err)
	}
	return r, nil
}

func parseTotals(raw json.RawMessage) *Totals {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var t Totals
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		switch name {
		case "totalBytes":
			t.TotalBytes = amount(value)
		case "totalCount":
			t.TotalCount = amount(value)
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return &t
}

// MaxKnownAssets is how many files a destination says at most that it has, and MaxKnownText how many bytes their names have in all.
// What it does not say is sent.
const (
	MaxKnownAssets = 100_000
	MaxKnownText   = 8 << 20
)

// parseKnown reads as much of a list of known files as is within the limits. A file that is not understood is not known.
func parseKnown(raw json.RawMessage) map[string]int64 {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	known, text := make(map[string]int64), 0
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		size, ok := asInt(value)
		if text += len(name); ok && size >= 0 && len(known) < MaxKnownAssets && text <= MaxKnownText {
			known[name] = size
		}
		return nil
	})
	if err != nil {
		return nil
	}
	return known
}

// amount reads a number that cannot be negative.
func amount(raw json.RawMessage) float64 {
	f, _ := asFloat(raw)
	return max(f, 0)
}

// EndResult answers a step's end.
type EndResult struct {
	OK      bool   `json:"ok"`
	Stats   *Stats `json:"stats,omitempty"`   // nil on pull and from 4.25
	Skipped []Skip `json:"skipped,omitempty"` // with [ExtensionSkips], whose items are among the finished ones of Stats
}

// Skip is a number of items of a stage that a server left out for one reason.
type Skip struct {
	Type     string   `json:"type,omitempty"` // what the items are of
	Reason   string   `json:"reason"`
	Count    int64    `json:"count"`
	Allowed  bool     `json:"allowed,omitempty"`  // as the transfer was asked for: no reason to give it up
	Examples []string `json:"examples,omitempty"` // at most [MaxSkipExamples]
}

// Bounds on what is believed of an answer about items that were left out.
const (
	MaxSkips        = 10_000
	MaxSkipExamples = 10
)

// Stats is what a server counted in a stage of a push.
type Stats struct {
	Started  int64 `json:"started"`  // items that arrived
	Finished int64 `json:"finished"` // items that were stored
}

// Append appends the result's text to dst.
func (r EndResult) Append(dst []byte) ([]byte, error) { return appendJSON(dst, r) }

// ParseEndResult reads the answer to a step's end, or to the command end.
func ParseEndResult(raw json.RawMessage) (EndResult, error) {
	var r EndResult
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		switch name {
		case "ok":
			r.OK = Truthy(value)
		case "stats":
			r.Stats = parseStats(value)
		case "skipped":
			var err error
			r.Skipped, err = parseSkips(value)
			return err
		}
		return nil
	})
	if err != nil {
		return EndResult{}, fmt.Errorf("end: %w: %w", ErrInvalidAnswer, err)
	}
	return r, nil
}

// parseSkips refuses what it does not understand: a client that overlooks that something was left out commits what is not complete.
func parseSkips(raw json.RawMessage) (skips []Skip, err error) {
	for item, err := range Items(raw) {
		if err != nil {
			return nil, err
		}
		var s Skip
		if err := json.Unmarshal(item, &s); err != nil {
			return nil, err
		}
		if s.Count <= 0 || len(skips) == MaxSkips {
			return nil, errors.New("not an account of skipped items")
		}
		s.Examples = s.Examples[:min(len(s.Examples), MaxSkipExamples)]
		skips = append(skips, s)
	}
	return skips, nil
}

// parseStats returns nil unless both counts are there: one alone proves nothing.
func parseStats(raw json.RawMessage) *Stats {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	var s Stats
	found := 0
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		n, ok := asInt(value)
		switch {
		case !ok:
		case name == "started":
			s.Started = n
			found++
		case name == "finished":
			s.Finished = n
			found++
		}
		return nil
	})
	if err != nil || found < 2 {
		return nil
	}
	return &s
}
