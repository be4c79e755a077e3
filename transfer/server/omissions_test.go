package server_test

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// picky is a destination that leaves out links whose rows it was not given, links of one field, and files of one name.
type picky struct {
	transfer.Destination

	rows  map[string]bool
	tell  func(transfer.Omission)
	skips map[string]*transfer.Skip
	order []string
}

func newPicky(dst transfer.Destination) transfer.Destination {
	return &picky{Destination: dst, rows: make(map[string]bool), skips: make(map[string]*transfer.Skip)}
}

const (
	reasonRow   = "a row that it points to was not transferred"
	reasonField = "there is no such field"
	reasonFile  = "it has no place for the file"
)

// Write implements [transfer.Destination].
func (p *picky) Write(ctx context.Context, batch transfer.Batch) error {
	kept := batch
	kept.Records = nil
	for _, r := range batch.Records {
		var o transfer.Omission
		switch r := r.(type) {
		case transfer.Entity:
			p.rows[r.Key()] = true
		case transfer.Link:
			for _, end := range []transfer.End{r.Left, r.Right} {
				if !p.rows[end.Type+" "+end.Ref.String()] {
					o.Reason, o.Missing = reasonRow, append(o.Missing, end.Type+":"+end.Ref.String())
				}
			}
			if r.Left.Field == "none" {
				o = transfer.Omission{Reason: reasonField, Allowed: true}
			}
		case transfer.Schema, transfer.Setting:
		case transfer.Asset:
			if r.Filename == "lost_1.bin" {
				o.Reason = reasonFile
			}
		}
		if o.Reason == "" {
			kept.Records = append(kept.Records, r)
			continue
		}
		o.Record = r
		p.omit(o)
	}
	return p.Destination.Write(ctx, kept)
}

func (p *picky) omit(o transfer.Omission) {
	s := p.skips[o.Reason]
	if s == nil {
		s = &transfer.Skip{Stage: o.Record.Stage(), Type: o.Record.Group(), Reason: o.Reason, Allowed: o.Allowed}
		p.skips[o.Reason] = s
		p.order = append(p.order, o.Reason)
	}
	s.Count++
	if len(s.Examples) < 10 {
		s.Examples = append(s.Examples, o.Record.Key())
	}
	if p.tell != nil {
		p.tell(o)
	}
}

// OnOmission implements [transfer.OmissionTeller].
func (p *picky) OnOmission(tell func(transfer.Omission)) { p.tell = tell }

// Outcome implements [transfer.Accountant].
func (p *picky) Outcome() transfer.Outcome {
	var o transfer.Outcome
	for _, reason := range p.order {
		o.Skipped = append(o.Skipped, *p.skips[reason])
	}
	return o
}

func link(left int, field string, right int) string {
	return fmt.Sprintf(`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::category.category","ref":%d,"field":%q},"right":{"type":"api::category.category","ref":%d}}`,
		left, field, right)
}

// warnings takes what the server has warned of.
func (w *wire) warnings() (texts []string) {
	for _, d := range w.diagnostics {
		if d.Kind == protocol.DiagnosticWarning {
			require.Equal(w.tb, "push-handler", d.Details.Origin)
			texts = append(texts, d.Details.Message)
		}
	}
	w.diagnostics = nil
	return texts
}

// The texts of links without rows, and when they come, are those of @strapi/data-transfer 5.54.
func TestAStockClientIsWarnedOfWhatTheSiteLeavesOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample(), wrap: newPicky})
	w := r.connect(protocol.Push)
	w.begin()
	w.do("start entities")
	w.do("stream entities", "["+entity(1)+","+entity(2)+"]")
	w.do("end entities")
	w.do("start assets")
	w.do("stream assets", "["+assetStart("lost", 4)+","+assetChunk("lost", []byte("data"))+","+assetEnd("lost", []byte("data"))+"]")
	require.Empty(t, w.warnings())
	require.JSONEq(t, `{"ok":true,"stats":{"started":1,"finished":1}}`, string(w.do("end assets")))
	require.Equal(t, []string{"1 of the assets were left out: " + reasonFile + ", first lost_1.bin"}, w.warnings())

	w.do("start links")
	w.do("stream links", "["+link(1, "f", 2)+","+link(1, "f", 7)+","+link(8, "f", 2)+","+link(8, "f", 7)+","+link(1, "none", 2)+"]")
	const say = " was not transferred during the entities stage."
	require.Equal(t, []string{
		"Skipping link api::category.category:1 -> api::category.category:7 because api::category.category:7" + say,
		"Skipping link api::category.category:8 -> api::category.category:2 because api::category.category:8" + say,
		"Skipping link api::category.category:8 -> api::category.category:7 because api::category.category:8 and api::category.category:7" + say,
	}, w.warnings())
	var more []string
	for i := range 9 {
		more = append(more, link(1, "f", 100+i))
	}
	w.do("stream links", "["+strings.Join(more, ",")+"]")
	said := w.warnings()
	require.Len(t, said, 8, "ten in all, and that there will be no more")
	require.Equal(t, "Skipping link api::category.category:1 -> api::category.category:106 because api::category.category:106"+say, said[6])
	require.Equal(t, "Further detailed warnings suppressed after 10 messages. See the stage summary for totals.", said[7])
	require.JSONEq(t, `{"ok":true,"stats":{"started":14,"finished":14}}`, string(w.do("end links")))
	require.Equal(t, []string{
		"Links restore skipped 12 relation(s) (12 unmapped). Verify relations in the admin after transfer.",
		"1 of the links were left out: " + reasonField + ", first api::category.category:1.none -> api::category.category:2",
	}, w.warnings())
	w.finish()
	require.Empty(t, w.warnings())
}

// A client that asks for an account gets one with the answer, and no warnings that it would have to read.
func TestAClientOfOursGetsAnAccountOfWhatTheSiteLeavesOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample(), wrap: newPicky})
	w := r.connect(protocol.Push)
	init := pushInit[:len(pushInit)-1] + `,"extensions":{"skips":true}}`
	require.Equal(t, protocol.Extensions{Skips: true}, w.initialize(init).Extensions)
	w.do("action bootstrap")
	w.do("action beforeTransfer")
	w.do("start entities")
	w.do("stream entities", "["+entity(1)+","+entity(2)+"]")
	require.JSONEq(t, `{"ok":true,"stats":{"started":2,"finished":2}}`, string(w.do("end entities")), "nothing")
	w.do("start links")
	w.do("stream links", "["+link(1, "f", 2)+","+link(1, "f", 7)+","+link(1, "f", 8)+","+link(1, "none", 2)+"]")
	require.JSONEq(t, `{"ok":true,"stats":{"started":4,"finished":4},"skipped":[
		{"type":"api::category.category","reason":"`+reasonRow+`","count":2,"examples":["api::category.category:1.f -> api::category.category:7","api::category.category:1.f -> api::category.category:8"]},
		{"type":"api::category.category","reason":"`+reasonField+`","count":1,"allowed":true,"examples":["api::category.category:1.none -> api::category.category:2"]}]}`,
		string(w.do("end links")))
	w.finish()
	require.Empty(t, w.warnings())
}

// Whichever way a client of ours is told, it does not commit what is not complete, unless that is accepted.
func TestAPushEndsAsTheSiteLeavesOut(t *testing.T) {
	t.Parallel()
	for name, offer := range map[string]protocol.Extensions{"in warnings": {Window: 4}, "in the answer": {Skips: true}} {
		for allowed, want := range map[int64]error{0: transfer.ErrDamaged, 100: nil} {
			t.Run(fmt.Sprintf("%s/%d", name, allowed), func(t *testing.T) {
				t.Parallel()
				s := &site{content: transfertest.Sample(), wrap: func(dst transfer.Destination) transfer.Destination {
					p, _ := newPicky(dst).(*picky)
					return &forgetful{p}
				}}
				r := newRig(t, s)
				dst := remote.NewDestination(r.url(), r.options(offer))
				report, err := transfer.Run(t.Context(), transfertest.NewMemory(small()), dst, transfer.Options{AllowSkipped: allowed})
				require.NoError(t, dst.Close())
				links := int64(len(small().Records[transfer.StageLinks]))
				require.Equal(t, links, report.SkippedRecords(), "%v", report.Skipped)
				require.Equal(t, reasonRow, report.Skipped[0].Reason)
				for _, stage := range report.Stages {
					if stage.Stage == transfer.StageLinks {
						require.Equal(t, links, stage.Acknowledged)
						require.Zero(t, stage.Stored)
					}
				}
				if want != nil {
					require.ErrorIs(t, err, want)
					require.Equal(t, 0, s.committed())
					return
				}
				require.NoError(t, err)
				require.Equal(t, 1, s.committed())
			})
		}
	}
}

// forgetful has lost all rows by the time the links come.
type forgetful struct{ *picky }

// Write implements [transfer.Destination].
func (f *forgetful) Write(ctx context.Context, batch transfer.Batch) error {
	if batch.Stage == transfer.StageLinks {
		clear(f.rows)
	}
	return f.picky.Write(ctx, batch)
}

// lackingSource lacks files and links, which it says of the stages that it has read.
type lackingSource struct {
	transfer.Source

	read map[transfer.Stage]bool
}

func newLacking(s *transfertest.Site) transfer.Source {
	return lackingSource{transfertest.NewMemory(s), make(map[transfer.Stage]bool)}
}

// Read implements [transfer.Source].
func (s lackingSource) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		for item, err := range s.Source.Read(ctx, stage, after) {
			if !yield(item, err) {
				return
			}
		}
		s.read[stage] = true
	}
}

// Skipped implements [transfer.Skipper].
func (s lackingSource) Skipped() (skips []transfer.Skip) {
	if s.read[transfer.StageAssets] {
		skips = append(skips, transfer.Skip{Stage: transfer.StageAssets, Type: "asset", Reason: "gone", Count: 2, Examples: []string{"a.png"}})
	}
	if s.read[transfer.StageLinks] {
		skips = append(skips, transfer.Skip{Stage: transfer.StageLinks, Type: "a.a", Reason: "dangling", Count: 1, Examples: []string{"a.a:1 -> b.b:2"}})
	}
	return skips
}

// drained reads a stage of a pull to its end and returns what the server warned of, and the answer to the end.
func (w *wire) drained(stage string) (warnings []string, end string) {
	w.tb.Helper()
	w.diagnostics = nil
	w.open(stage)
	for f := w.frame(); ; f = w.frame() {
		w.ack(f)
		if f.Ended {
			break
		}
	}
	for _, d := range w.diagnostics {
		if d.Kind == protocol.DiagnosticWarning {
			require.Equal(w.tb, "local-source-provider", d.Details.Origin)
			warnings = append(warnings, d.Details.Message)
		}
	}
	return warnings, string(w.do("end " + stage))
}

// The texts about links are those of @strapi/data-transfer 5.54; that about files has less to say where the file should be.
func TestAPullTellsWhatTheSiteLacks(t *testing.T) {
	t.Parallel()
	r := newRig(t, &site{content: transfertest.Sample(), source: newLacking})
	w := r.connect(protocol.Pull)
	w.pulls(pullInit)
	for stage, want := range map[string][]string{
		"entities": nil,
		"assets": {
			"[Data transfer] Media item exists in database but no corresponding file was found to transfer. Path: a.png",
			"[Data transfer] 1 more media items exist in database but no corresponding file was found to transfer.",
		},
		"links": {
			"Omitting link a.a:1 -> b.b:2 from export because a referenced entity no longer exists in the database.",
			"Links export omitted 1 relation(s) pointing at missing entities. Verify relations after import if this is unexpected.",
		},
	} {
		warnings, end := w.drained(stage)
		require.Equal(t, want, warnings, "before the last frame")
		require.JSONEq(t, `{"ok":true}`, end)
	}
	w = r.connect(protocol.Pull)
	w.pulls(pullInit[:len(pullInit)-1] + `,"extensions":{"skips":true}}`)
	for stage, want := range map[string]string{
		"entities": `{"ok":true}`,
		"assets":   `{"ok":true,"skipped":[{"type":"asset","reason":"gone","count":2,"examples":["a.png"]}]}`,
		"links":    `{"ok":true,"skipped":[{"type":"a.a","reason":"dangling","count":1,"examples":["a.a:1 -> b.b:2"]}]}`,
	} {
		warnings, end := w.drained(stage)
		require.Empty(t, warnings)
		require.JSONEq(t, want, end)
	}
}
