package layout

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// PartSize is where Strapi begins a new part, in bytes.
const PartSize int64 = 256_000_000

// A Sink is where an export's files go, one after the other. A file is complete when its writer was closed without an error;
// size is its length in bytes, or -1 when that is not known yet. Errors of a Sink are those of its medium.
type Sink interface {
	Create(name string, size int64) (io.WriteCloser, error)
}

// ExportOptions steer an [Exporter].
type ExportOptions struct {
	PartSize int64  // default [PartSize]
	Scratch  string // the folder for what must be held back; "" is the system's

	// FoldNames refuses files whose names differ only in case, where they would become one.
	FoldNames bool
}

// An Exporter writes the files of an export. After an error it takes nothing more.
type Exporter struct {
	sink     Sink
	plan     transfer.Plan
	opts     ExportOptions
	names    *nameSet
	files    int
	manifest *manifestWriter
	tallies  Tallies
	done     map[transfer.Stage]bool
	skipped  []transfer.Skip
	notes    []transfer.Note
	part     *part
	parts    map[transfer.Stage]int
	line     []byte
	buffer   []byte
	failed   error
}

// part is the JSONL file that is being written.
type part struct {
	out     io.WriteCloser
	stage   transfer.Stage
	name    string
	sum     hash.Hash
	bytes   int64
	records int64
}

// NewExporter returns an Exporter for a plan.
func NewExporter(sink Sink, plan transfer.Plan, opts ExportOptions) *Exporter {
	if opts.PartSize <= 0 {
		opts.PartSize = PartSize
	}
	return &Exporter{
		sink: sink, plan: plan, opts: opts,
		names:    newNameSet(opts.FoldNames),
		manifest: newManifestWriter(opts.Scratch),
		tallies:  make(Tallies),
		done:     make(map[transfer.Stage]bool),
		parts:    make(map[transfer.Stage]int),
	}
}

// Outcome tells what became of the records.
func (e *Exporter) Outcome() transfer.Outcome {
	taken := e.tallies.Records()
	for _, s := range e.skipped {
		taken[s.Stage] += s.Count
	}
	return transfer.Outcome{Acknowledged: taken, Stored: e.tallies.Records(), Skipped: e.skipped}
}

// Write adds the records of a batch.
func (e *Exporter) Write(ctx context.Context, batch transfer.Batch) error {
	if e.failed != nil {
		return fmt.Errorf("write after an error: %w", e.failed)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if e.failed = e.write(ctx, batch); e.failed != nil {
		return e.failed
	}
	if !batch.Last {
		return nil
	}
	e.done[batch.Stage] = true
	if batch.Stage == transfer.StageSchemas && e.parts[batch.Stage] == 0 {
		e.notes = append(e.notes, transfer.Note{Level: transfer.NoteWarning, Message: "the source does not know its schemas, so this export has none: " +
			"transfer reads it, and can push it, but Strapi's own import refuses it"})
	}
	return nil
}

// Notes returns what there is to tell since it was called last.
func (e *Exporter) Notes() []transfer.Note {
	notes := e.notes
	e.notes = nil
	return notes
}

func (e *Exporter) write(ctx context.Context, batch transfer.Batch) error {
	if e.done[batch.Stage] {
		return fmt.Errorf("%w: records after the last batch of %s", transfer.ErrUsage, batch.Stage)
	}
	for _, record := range batch.Records {
		if record.Stage() != batch.Stage {
			return fmt.Errorf("%w: %s %s in a batch of %s", transfer.ErrUsage, record.Stage(), record.Key(), batch.Stage)
		}
		var err error
		if asset, ok := record.(transfer.Asset); ok {
			err = e.writeAsset(ctx, asset)
		} else {
			err = e.writeLine(record)
		}
		if err != nil {
			return err
		}
	}
	if batch.Last {
		return e.closePart()
	}
	return nil
}

// writeLine adds a record to the part of its stage. The separator belongs to the record after it, also when that begins a part.
func (e *Exporter) writeLine(record transfer.Record) error {
	stage := record.Stage()
	if e.part != nil && e.part.stage != stage {
		if err := e.closePart(); err != nil {
			return err
		}
	}
	e.line = e.line[:0]
	if e.parts[stage] > 0 {
		e.line = append(e.line, '\n')
	}
	e.line = oneLine(record.AppendJSON(e.line), len(e.line))
	if e.part != nil && e.part.bytes+int64(len(e.line)) > e.opts.PartSize {
		if err := e.closePart(); err != nil {
			return err
		}
	}
	if e.part == nil {
		if err := e.openPart(stage); err != nil {
			return err
		}
	}
	p := e.part
	if _, err := p.out.Write(e.line); err != nil {
		return fmt.Errorf("write %s: %w", p.name, err)
	}
	p.sum.Write(e.line)
	p.bytes += int64(len(e.line))
	p.records++
	e.tallies.Add(stage, record.Group(), record.Size())
	if cap(e.line) > keepLine {
		e.line = nil
	}
	return nil
}

// oneLine takes line ends out of the JSON text from an index on. Outside of strings they are blanks, and inside they cannot be.
func oneLine(text []byte, from int) []byte {
	for i := from; i < len(text); i++ {
		if text[i] == '\n' || text[i] == '\r' {
			text[i] = ' '
		}
	}
	return text
}

func (e *Exporter) openPart(stage transfer.Stage) error {
	if err := e.countFiles(1); err != nil {
		return err
	}
	e.parts[stage]++
	name := PartName(stage, e.parts[stage])
	out, err := e.sink.Create(name, -1)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	e.part = &part{out: out, stage: stage, name: name, sum: sha256.New()}
	return nil
}

func (e *Exporter) closePart() error {
	p := e.part
	if p == nil {
		return nil
	}
	e.part = nil
	if err := p.out.Close(); err != nil {
		return fmt.Errorf("write %s: %w", p.name, err)
	}
	return e.manifest.add(manifestLine{Part: p.name, Bytes: p.bytes, Records: p.records, SHA256: Digest(p.sum.Sum(nil)).String()})
}

// countFiles keeps the export readable: a [Survey] refuses one with more than MaxFiles.
func (e *Exporter) countFiles(n int) error {
	const root = 2 // the manifest and the metadata
	if e.files += n; e.files > MaxFiles-root {
		return fmt.Errorf("%w: an export holds at most %d files", transfer.ErrUnwritable, MaxFiles)
	}
	return nil
}

// Finish writes what comes last. Every planned stage must have been written to its end.
func (e *Exporter) Finish(now time.Time) error {
	if e.failed != nil {
		return fmt.Errorf("finish after an error: %w", e.failed)
	}
	for _, stage := range e.plan.Stages {
		if !e.done[stage] {
			return fmt.Errorf("%w: the stage %s was not written to its end", transfer.ErrDamaged, stage)
		}
	}
	e.failed = e.finish(now)
	return e.failed
}

func (e *Exporter) finish(now time.Time) error {
	if err := e.closePart(); err != nil {
		return err
	}
	metadata := Metadata{Version: e.plan.Source.Version, CreatedAt: e.plan.Source.CreatedAt}
	if metadata.CreatedAt.IsZero() {
		metadata.CreatedAt = now
	}
	text, err := metadata.Encode()
	if err != nil {
		return err
	}
	manifest, size, err := e.manifest.finish(e.tallies, sha256.Sum256(text))
	if err != nil {
		return err
	}
	if err := e.put(ManifestFile, size, manifest); err != nil {
		return err
	}
	return e.put(MetadataFile, int64(len(text)), bytes.NewReader(text))
}

// put writes a file of ours.
func (e *Exporter) put(name string, size int64, body io.Reader) error {
	out, err := e.sink.Create(name, size)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	_, err = io.Copy(out, body)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// Close lets go of what the Exporter holds. A file that is being written is left to the owner of the sink. It may be called
// twice.
func (e *Exporter) Close() error {
	if e.failed == nil {
		e.failed = errors.New("closed")
	}
	return e.manifest.spool.Close()
}
