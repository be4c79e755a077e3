package directory

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// Options steer [Open] and [Create]. The zero value works.
type Options struct {
	// MaxSize bounds the content, in bytes; 0 is 1 TiB. It keeps an archive that unpacks without end from filling the disk.
	MaxSize int64

	// PartSize is where a new part of records begins, in bytes; 0 is Strapi's 256,000,000.
	PartSize int64
}

// Source reads an unpacked export. It implements [transfer.Source], [transfer.Checker] and [transfer.Counter].
type Source struct {
	path     string
	opts     Options
	root     *os.Root
	survey   *layout.Survey // nil until the export was read through
	surveyed error
}

var (
	_ transfer.Source  = (*Source)(nil)
	_ transfer.Checker = (*Source)(nil)
	_ transfer.Counter = (*Source)(nil)
)

// IsExport reports whether path is a folder that holds an export.
func IsExport(path string) bool {
	root, err := os.OpenRoot(path)
	if err != nil {
		return false
	}
	info, err := root.Lstat(layout.MetadataFile)
	return errors.Join(err, root.Close()) == nil && info.Mode().IsRegular()
}

// Open opens an unpacked export.
func Open(path string, opts Options) (*Source, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("%w: open export: %w", transfer.ErrUsage, err)
	}
	if _, err := root.Lstat(layout.MetadataFile); err != nil {
		err = fmt.Errorf("%w: folder %s is not an export: there is no %s in it", transfer.ErrUsage, path, layout.MetadataFile)
		return nil, errors.Join(err, root.Close())
	}
	return &Source{path: path, opts: opts, root: root}, nil
}

// Describe implements [transfer.Source].
func (s *Source) Describe(ctx context.Context) (transfer.Description, error) {
	if s.root == nil {
		return transfer.Description{}, errClosed()
	}
	d := transfer.Description{Kind: "directory", Name: s.path}
	if s.survey != nil && s.surveyed == nil {
		d.Version, d.CreatedAt, d.Schemas = s.survey.Metadata().Version, s.survey.Metadata().CreatedAt, s.survey.Schemas()
		return d, nil
	}
	// A survey of the two files that are asked for: it bounds what they may hold.
	survey := layout.NewSurvey(layout.SurveyOptions{MaxSize: s.opts.MaxSize})
	err := s.visit(ctx, survey, layout.MetadataFile)
	if err == nil {
		err = s.visitParts(ctx, survey, transfer.StageSchemas)
	}
	if err = errors.Join(err, survey.Close()); err != nil {
		return transfer.Description{}, s.explain(ctx, err)
	}
	d.Version, d.CreatedAt, d.Schemas = survey.Metadata().Version, survey.Metadata().CreatedAt, survey.Schemas()
	return d, nil
}

func errClosed() error { return fmt.Errorf("%w: the export is closed", transfer.ErrUsage) }

// Count implements [transfer.Counter].
func (s *Source) Count(ctx context.Context, stage transfer.Stage) (transfer.Count, error) {
	if err := s.Check(ctx); err != nil {
		return transfer.Count{}, err
	}
	return s.survey.Count(stage), nil
}

// Check implements [transfer.Checker]. The export is read once, however often it is called.
func (s *Source) Check(ctx context.Context) error {
	if s.root == nil {
		return errClosed()
	}
	if s.survey != nil {
		return s.surveyed
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	survey := layout.NewSurvey(layout.SurveyOptions{MaxSize: s.opts.MaxSize})
	err := s.visitAll(ctx, survey)
	if closed := survey.Close(); err == nil {
		err = closed
	}
	if ended := context.Cause(ctx); ended != nil {
		return ended // the next call tries again
	}
	s.survey, s.surveyed = survey, s.explain(ctx, err)
	return s.surveyed
}

func (s *Source) visitAll(ctx context.Context, survey *layout.Survey) error {
	if err := s.visit(ctx, survey, layout.MetadataFile); err != nil {
		return err
	}
	switch _, err := s.root.Lstat(layout.ManifestFile); {
	case err == nil:
		if err := s.visit(ctx, survey, layout.ManifestFile); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, stage := range transfer.Stages() {
		var err error
		if stage == transfer.StageAssets {
			err = s.visitAssets(ctx, survey)
		} else {
			err = s.visitParts(ctx, survey, stage)
		}
		if err != nil {
			return err
		}
	}
	return survey.Finish()
}

func (s *Source) visitParts(ctx context.Context, survey *layout.Survey, stage transfer.Stage) error {
	names, err := s.parts(stage)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.visit(ctx, survey, name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) visitAssets(ctx context.Context, survey *layout.Survey) error {
	names, err := s.list(layout.UploadsDir)
	if err != nil {
		return err
	}
	for _, asset := range names {
		// A missing row is for the survey to name, together with the others.
		err := s.visit(ctx, survey, layout.SidecarName(asset))
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = s.visit(ctx, survey, layout.UploadName(asset))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Source) visit(ctx context.Context, survey *layout.Survey, name string) error {
	file, size, err := s.file(name)
	if err != nil {
		return err
	}
	return errors.Join(survey.Visit(ctx, name, size, file), file.Close())
}

// Read implements [transfer.Source].
func (s *Source) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		if s.root == nil {
			yield(transfer.Item{}, errClosed())
			return
		}
		r := &reading{source: s, stage: stage, after: after, yield: yield, lines: layout.NewLineBuffer()}
		var err error
		if stage == transfer.StageAssets {
			err = r.assets(ctx)
		} else {
			err = r.parts(ctx)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(transfer.Item{}, s.explain(ctx, err))
		}
	}
}

// errStop ends a read because nobody wants more.
var errStop = errors.New("stop")

// reading is one Read of one stage.
type reading struct {
	source *Source
	stage  transfer.Stage
	after  transfer.Cursor
	at     transfer.Cursor
	yield  func(transfer.Item, error) bool
	lines  *bufio.Reader
}

func (r *reading) parts(ctx context.Context) error {
	names, err := r.source.parts(r.stage)
	if err != nil {
		return err
	}
	for _, name := range names {
		file, _, err := r.source.file(name)
		if err != nil {
			return err
		}
		if err := errors.Join(r.part(ctx, name, file), file.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) part(ctx context.Context, name string, body io.Reader) error {
	r.lines.Reset(body)
	for line, err := range layout.Lines(r.lines, transfer.MaxRecord) {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if r.at++; r.at <= r.after {
			continue
		}
		record, err := transfer.ParseRecord(r.stage, bytes.Clone(line))
		if err != nil {
			return fmt.Errorf("%s, record %d of the stage: %w", name, r.at, err)
		}
		if !r.yield(transfer.Item{Record: record, Cursor: r.at}, nil) {
			return errStop
		}
	}
	return nil
}

func (r *reading) assets(ctx context.Context) error {
	names, err := r.source.list(layout.UploadsDir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if r.at++; r.at <= r.after {
			continue
		}
		if err := r.asset(name); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) asset(name string) error {
	row, err := r.source.row(name)
	if err != nil {
		return err
	}
	size, err := r.source.size(layout.UploadName(name))
	if err != nil {
		return err
	}
	digest := ""
	if r.source.survey != nil {
		digest = r.source.survey.AssetDigest(name)
	}
	body := &body{source: r.source, asset: name}
	more := r.yield(transfer.Item{Cursor: r.at, Record: transfer.Asset{
		Filename: name, Filepath: layout.UploadName(name), Length: size,
		Metadata: row, Digest: digest, Content: body.Open,
	}}, nil)
	if err := body.void(); err != nil {
		return err
	}
	if !more {
		return errStop
	}
	return nil
}

// Close implements [transfer.Source].
func (s *Source) Close() error {
	if s.root == nil {
		return nil
	}
	err := s.root.Close()
	s.root = nil
	return err
}
