package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/transfer-runner/runner/transfer"
)

// planView is the plan as users see it, and as --json tells it.
type planView struct {
	From     string     `json:"from"`
	To       string     `json:"to"`
	Host     string     `json:"host,omitempty"`
	Parts    []planPart `json:"parts"`
	Types    []planPart `json:"types,omitempty"`
	Kept     []string   `json:"kept"`
	Warnings []string   `json:"warnings,omitempty"`
}

// planPart is one line of the plan. Numbers that nobody knows are nil.
type planPart struct {
	Name        string `json:"name"`
	Action      string `json:"action"` // "replaced", "merged", "kept", "written"
	Source      *int64 `json:"source,omitempty"`
	SourceBytes *int64 `json:"sourceBytes,omitempty"`
	Destination *int64 `json:"destination,omitempty"`
	AtLeast     bool   `json:"destinationAtLeast,omitempty"` // counting was cut short
}

const (
	actionReplaced = "replaced"
	actionMerged   = "merged"
	actionKept     = "kept"
	actionWritten  = "written"
)

// describePlan gathers what the user has to know.
func (m *move) describePlan(ctx context.Context, review transfer.Review) planView {
	p := planView{
		From: describeEnd(m.from.Endpoint, review.Source) + m.places[0], To: describeEnd(m.to.Endpoint, review.Destination) + m.places[1], Host: m.to.Host(),
		Kept: []string{"users, roles and tokens of the admin panel", "releases"},
	}
	if review.Destination.Blank {
		p.Kept = nil
	}
	there := census{}
	// Counting costs the server time, so it is done only where somebody decides by the numbers.
	decided := m.opts.Yes && !m.opts.DryRun
	if m.to.Live() && hasStage(review.Plan.Stages, transfer.StageEntities) && !decided {
		there = m.census(ctx)
	}
	p.Parts = m.planParts(review, there)
	p.Types = planTypes(review, there, m.action(review))
	p.Warnings = m.planWarnings(review)
	return p
}

func (m *move) planParts(review transfer.Review, there census) []planPart {
	action := m.action(review)
	content := planPart{Name: "content", Action: actionKept}
	files := planPart{Name: "files", Action: actionKept}
	config := planPart{Name: "config", Action: actionKept}
	for _, line := range []struct {
		part  *planPart
		stage transfer.Stage
	}{{&content, transfer.StageEntities}, {&files, transfer.StageAssets}, {&config, transfer.StageConfiguration}} {
		if !hasStage(review.Plan.Stages, line.stage) {
			continue
		}
		line.part.Action = action
		if total, ok := review.Totals[line.stage]; ok {
			line.part.Source, line.part.SourceBytes = &total.Records, &total.Bytes
		}
	}
	if len(m.engine.Filter.OnlyTypes) > 0 && content.Action == action && action != actionWritten {
		content.Action += ": " + strings.Join(m.engine.Filter.OnlyTypes, ", ") + " only"
	}
	if there.known {
		n := there.sum(func(uid string) bool { return m.engine.Filter.HasType(uid) })
		content.Destination, content.AtLeast = &n, there.partial
	}
	return []planPart{content, files, config}
}

// action is what becomes of what is there.
func (m *move) action(review transfer.Review) string {
	switch {
	case review.Destination.Blank:
		return actionWritten
	case m.opts.Strategy == strategyMerge:
		return actionMerged
	default:
		return actionReplaced
	}
}

// planTypes compares the numbers of rows by content type, as far as both sides know them.
func planTypes(review transfer.Review, there census, action string) []planPart {
	here := review.Totals[transfer.StageEntities].ByType
	uids := maps.Clone(here)
	if uids == nil {
		uids = make(map[string]int64)
	}
	for uid := range there.byType {
		if !transfer.Protected(uid) {
			uids[uid] += 0
		}
	}
	restore := review.Plan.Restore
	var parts []planPart
	for _, uid := range slices.Sorted(maps.Keys(uids)) {
		part := planPart{Name: uid, Action: action}
		if kept := slices.Contains(restore.Exclude, uid) || restore.Include != nil && !slices.Contains(restore.Include, uid); action != actionWritten && kept {
			part.Action = actionKept
		}
		if here != nil {
			n := here[uid]
			part.Source = &n
		}
		if there.known {
			n := there.byType[uid]
			part.Destination, part.AtLeast = &n, there.partial
		}
		parts = append(parts, part)
	}
	return parts
}

// showPlan writes the plan for people.
func (m *move) showPlan(p planView) {
	m.plan = &p
	c := m.console
	c.say("")
	c.say("Plan")
	c.say("  from  %s", p.From)
	c.say("  to    %s", p.To)
	c.say("")
	m.planTable("", p.Parts)
	if len(p.Types) > 0 {
		c.say("")
		m.planTable("by content type", m.shownTypes(p.Types))
	}
	if len(p.Kept) > 0 {
		c.say("  always kept: %s", strings.Join(p.Kept, ", "))
	}
	c.say("")
	for _, warning := range p.Warnings {
		if strings.HasPrefix(warning, " ") {
			c.say("  %s", warning)
			continue
		}
		c.say("%s", wrap(warning, "  ! ", "    "))
	}
	if len(p.Warnings) > 0 {
		c.say("")
	}
}

// planTable writes lines of the plan. Numbers of a destination are shown where there may be any.
func (m *move) planTable(title string, parts []planPart) {
	t := table{indent: "  ", numbers: 1}
	header := []string{title, "source"}
	both := m.to.Live() || slices.ContainsFunc(parts, func(part planPart) bool { return part.Destination != nil })
	if both {
		t.numbers, header = 2, append(header, "destination")
	}
	t.add(header...)
	for _, part := range parts {
		row := []string{shortened(part.Name), numberOf(part.Source, part.SourceBytes, false)}
		if both {
			row = append(row, numberOf(part.Destination, nil, part.AtLeast))
		}
		t.add(append(row, part.Action)...)
	}
	_ = t.write(quietable{m.console})
}

// shortened makes a uid fit into a table: of names that repeat themselves the end is enough.
func shortened(uid string) string {
	const most = 44
	if utf8.RuneCountInString(uid) <= most {
		return uid
	}
	runes := []rune(uid)
	return string(runes[:16]) + "…" + string(runes[len(runes)-most+17:])
}

// maxPlanTypes is how many content types the plan lists without --verbose.
const maxPlanTypes = 12

func (m *move) shownTypes(types []planPart) []planPart {
	if m.opts.Verbose || len(types) <= maxPlanTypes {
		return types
	}
	sorted := slices.Clone(types)
	size := func(p planPart) (n int64) {
		for _, v := range []*int64{p.Source, p.Destination} {
			if v != nil {
				n = max(n, *v)
			}
		}
		return n
	}
	slices.SortStableFunc(sorted, func(a, b planPart) int { return cmp.Compare(size(b), size(a)) })
	rest := fmt.Sprintf("%d more types", len(types)-maxPlanTypes)
	return append(sorted[:maxPlanTypes:maxPlanTypes], planPart{Name: rest, Action: "(--verbose)"})
}

func numberOf(n, bytes *int64, atLeast bool) string {
	if n == nil {
		return "?"
	}
	text := formatCount(*n)
	if atLeast {
		text = "> " + text
	}
	if bytes != nil && *bytes > 0 {
		text += " (" + formatBytes(*bytes) + ")"
	}
	return text
}

// quietable is a console as a writer that --quiet silences.
type quietable struct{ c *console }

func (q quietable) Write(p []byte) (int, error) {
	if q.c.quiet {
		return len(p), nil
	}
	return q.c.Write(p)
}
