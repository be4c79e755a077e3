package transfertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/transfer-runner/runner/transfer"
)

// Memory is an endpoint in memory. As a destination it holds the old site until Commit.
type Memory struct {
	// Blank makes it take anything, as a new archive does.
	Blank bool
	// Plan is what Begin was given last.
	Plan transfer.Plan

	site   *Site // what readers see; nil before the first commit to an empty endpoint
	staged *Site
	stage  int // index of the stage that Write is at
	state  transfer.State
}

var (
	_ transfer.Source      = (*Memory)(nil)
	_ transfer.Destination = (*Memory)(nil)
	_ transfer.Stater      = (*Memory)(nil)
)

// NewMemory returns an endpoint that holds site; nil holds nothing and knows no schemas.
func NewMemory(site *Site) *Memory {
	return &Memory{site: site, state: transfer.StateUntouched}
}

// Site returns what a reader would see now.
func (m *Memory) Site() *Site { return m.site }

// Describe implements [transfer.Source] and [transfer.Destination].
func (m *Memory) Describe(ctx context.Context) (transfer.Description, error) {
	d := transfer.Description{Kind: "memory", Name: "memory", Blank: m.Blank}
	if m.site == nil {
		return d, context.Cause(ctx)
	}
	d.Version, d.CreatedAt, d.Schemas = m.site.Version, m.site.CreatedAt, make(transfer.Schemas)
	for _, text := range m.site.Records[transfer.StageSchemas] {
		s, err := transfer.ParseSchema([]byte(text), "")
		if err != nil {
			return d, err
		}
		d.Schemas[s.UID] = s
	}
	return d, context.Cause(ctx)
}

// Read implements [transfer.Source].
func (m *Memory) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		if m.site == nil {
			return
		}
		n := len(m.site.Records[stage])
		if stage == transfer.StageAssets {
			n = len(m.site.Files)
		}
		for i := int(after); i < n; i++ {
			item := transfer.Item{Cursor: transfer.Cursor(i + 1)}
			err := context.Cause(ctx)
			if err == nil {
				item.Record, err = m.record(stage, i)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

func (m *Memory) record(stage transfer.Stage, i int) (transfer.Record, error) {
	if stage != transfer.StageAssets {
		return transfer.ParseRecord(stage, []byte(m.site.Records[stage][i]))
	}
	f := m.site.Files[i]
	return transfer.Asset{
		Filename: f.Name, Filepath: "/uploads/" + f.Name, Length: int64(len(f.Body)), Metadata: []byte(f.Metadata),
		Content: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.Body)), nil },
	}, nil
}

// Begin implements [transfer.Destination].
func (m *Memory) Begin(ctx context.Context, plan transfer.Plan) (map[transfer.Stage]transfer.Cursor, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.Plan, m.stage = plan, 0
	m.staged = &Site{Version: plan.Source.Version, CreatedAt: plan.Source.CreatedAt, Records: make(map[transfer.Stage][]string)}
	m.state = transfer.StateRolledBack
	return nil, nil
}

// Write implements [transfer.Destination].
func (m *Memory) Write(ctx context.Context, batch transfer.Batch) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if m.staged == nil {
		return errors.New("write before begin")
	}
	for m.stage < len(m.Plan.Stages) && m.Plan.Stages[m.stage] != batch.Stage {
		m.stage++
	}
	if m.stage == len(m.Plan.Stages) {
		return fmt.Errorf("stage %s is not planned, or comes too late", batch.Stage)
	}
	for _, r := range batch.Records {
		if a, ok := r.(transfer.Asset); ok {
			if err := m.writeAsset(ctx, a); err != nil {
				return err
			}
			continue
		}
		m.staged.Records[batch.Stage] = append(m.staged.Records[batch.Stage], string(r.AppendJSON(nil)))
	}
	return nil
}

func (m *Memory) writeAsset(ctx context.Context, a transfer.Asset) error {
	if err := a.Validate(); err != nil {
		return err
	}
	body, err := a.Open(ctx)
	if err != nil {
		return err
	}
	var data bytes.Buffer
	data.Grow(int(min(max(a.Length, 0), 1<<20)) + bytes.MinRead)
	_, err = data.ReadFrom(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	m.staged.Files = append(m.staged.Files, File{Name: a.Filename, Metadata: string(a.Metadata), Body: data.Bytes()})
	return nil
}

// Commit implements [transfer.Destination].
func (m *Memory) Commit(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if m.staged == nil {
		return errors.New("commit before begin")
	}
	if m.site != nil {
		m.keep()
	}
	m.site, m.staged, m.state = m.staged, nil, transfer.StateCommitted
	return nil
}

// keep takes over from the old site what the plan does not replace.
func (m *Memory) keep() {
	for _, stage := range transfer.Stages() {
		if m.Plan.Has(stage) && stage != transfer.StageSchemas {
			continue
		}
		m.staged.Records[stage] = m.site.Records[stage]
		if stage == transfer.StageAssets {
			m.staged.Files = m.site.Files
		}
	}
}

// State implements [transfer.Stater].
func (m *Memory) State() transfer.State { return m.state }

// Close implements [transfer.Source] and [transfer.Destination].
func (m *Memory) Close() error {
	m.staged = nil
	return nil
}
