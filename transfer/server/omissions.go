package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// maxNamed is how many links Strapi names one by one when it leaves them out; suppressed is what it says after them.
const (
	maxNamed   = 10
	suppressed = "Further detailed warnings suppressed after 10 messages. See the stage summary for totals."
)

// omissions is what a client without [protocol.ExtensionSkips] has been told of the records that the destination left out.
type omissions struct {
	mu      sync.Mutex // guards what follows
	links   int64      // for which Strapi has words
	reasons map[string]bool
}

// listen makes the destination tell of what it leaves out, for clients that do not ask for an account of it: they are warned as
// by Strapi, of each link at once and of their number when the stage is complete.
func (p *push) listen(ctx context.Context) {
	teller, ok := p.dst.(transfer.OmissionTeller)
	if p.agreed.Skips {
		return
	}
	p.told = &omissions{reasons: make(map[string]bool)}
	if ok {
		teller.OnOmission(func(o transfer.Omission) {
			for _, text := range p.told.add(o) {
				_ = p.warn(ctx, text) // a client that has gone is noticed elsewhere
			}
		})
	}
}

// warn tells the client what its content lost.
func (p *push) warn(ctx context.Context, text string) error {
	return p.sess.tell(ctx, protocol.DiagnosticWarning, p.sess.origin("handler"), clipLong(text))
}

// add counts a record and returns what Strapi would say of it.
func (t *omissions) add(o transfer.Omission) []string {
	l, ok := o.Record.(transfer.Link)
	if !ok || len(o.Missing) == 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.links++
	t.reasons[o.Reason] = true
	if t.links > maxNamed {
		return nil
	}
	text := []string{fmt.Sprintf("Skipping link %s:%s -> %s:%s because %s was not transferred during the entities stage.",
		l.Left.Type, l.Left.Ref, l.Right.Type, l.Right.Ref, strings.Join(o.Missing, " and "))}
	if t.links == maxNamed {
		text = append(text, suppressed)
	}
	return text
}

// sum returns what is said when a stage is complete: Strapi's summary, and for each reason that Strapi does not know one sentence.
func (t *omissions) sum(stage transfer.Stage, skips []transfer.Skip) (texts []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.links > 0 && stage == transfer.StageLinks {
		texts = append(texts, fmt.Sprintf("Links restore skipped %d relation(s) (%d unmapped). Verify relations in the admin after transfer.", t.links, t.links))
	}
	others := slices.DeleteFunc(slices.Clone(skips), func(s transfer.Skip) bool { return t.reasons[s.Reason] })
	return append(texts, summed(stage, others)...)
}

// summed says what was left out where Strapi has no words.
func summed(stage transfer.Stage, skips []transfer.Skip) (texts []string) {
	for _, s := range skips {
		example := ""
		if len(s.Examples) > 0 {
			example = ", first " + s.Examples[0]
		}
		texts = append(texts, fmt.Sprintf("%d of the %s were left out: %s%s", s.Count, stage, s.Reason, example))
	}
	return texts
}

// ofStage returns what was left out of one stage.
func ofStage(skips []transfer.Skip, stage transfer.Stage) []transfer.Skip {
	return slices.DeleteFunc(slices.Clone(skips), func(s transfer.Skip) bool { return s.Stage != stage })
}

// wireSkips is the account of a stage as an answer carries it.
func wireSkips(skips []transfer.Skip) (answer []protocol.Skip) {
	for _, s := range skips {
		answer = append(answer, protocol.Skip{Type: s.Type, Reason: s.Reason, Count: s.Count, Allowed: s.Allowed, Examples: s.Examples})
	}
	return answer
}

// account says what the destination left out of a stage that is complete: in the answer to its end where that was agreed on, and in
// warnings otherwise.
func (p *push) account(ctx context.Context, stage transfer.Stage) (answer []protocol.Skip, err error) {
	accountant, ok := p.dst.(transfer.Accountant)
	if !ok || !p.begun {
		return nil, nil
	}
	skips := ofStage(accountant.Outcome().Skipped, stage)
	p.skipped = append(p.skipped, skips...)
	if p.told != nil {
		for _, text := range p.told.sum(stage, skips) {
			if err := p.warn(ctx, text); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	return wireSkips(skips), nil
}
