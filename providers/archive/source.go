package archive

import (
	"bytes"
	"context"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"filippo.io/age"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
)

// Source reads an archive. It implements [transfer.Source], [transfer.Checker] and [transfer.Counter].
type Source struct {
	path       string
	opts       Options
	form       form
	file       io.ReaderAt // nil when closed
	closer     io.Closer
	size       int64
	block      cipher.Block   // of .enc
	identities []age.Identity // of .age

	survey   *layout.Survey // nil until the archive was read through
	surveyed error
	marks    map[transfer.Stage]*span
	late     bool // rows do not come right before their files

	live *pass // where the last read ended, so that the next need not begin anew
	rows *rowSpool
}

// mark is where an entry begins.
type mark struct {
	index int
	start int64 // 0 unless the source is seekable
}

// span is where the entries of a stage are.
type span struct{ first, last mark }

var (
	_ transfer.Source  = (*Source)(nil)
	_ transfer.Checker = (*Source)(nil)
	_ transfer.Counter = (*Source)(nil)
)

// Open opens an archive. Nothing is read yet but its beginning; an encrypted archive without its key is [transfer.ErrUsage].
func Open(path string, opts Options) (*Source, error) {
	f, err := parseForm(path)
	if err != nil {
		return nil, err
	}
	s := &Source{path: path, opts: opts, form: f}
	switch f.cipher {
	case cipherNone:
	case cipherStock:
		if opts.Key == "" {
			return nil, fmt.Errorf("%w: %s is encrypted: its key is needed (--key)", transfer.ErrUsage, path)
		}
		if s.block, err = opts.stockCipher(); err != nil {
			return nil, err
		}
	case cipherAge:
		if s.identities, err = opts.ageIdentities(); err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
	}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("%w: open archive: %w", transfer.ErrUsage, err)
	}
	return s, nil
}

func (s *Source) open() error {
	// A pipe would block in Open, so its kind is asked for first.
	if info, err := os.Stat(s.path); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", s.path)
	}
	file, err := os.Open(s.path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s.file, s.closer, s.size = file, file, info.Size()
	s.sniff()
	return nil
}

// sniff finds a compressed archive under the plain name, which Strapi's reader takes too.
func (s *Source) sniff() {
	magic := make([]byte, 2)
	if n, _ := s.file.ReadAt(magic, 0); s.seekable() && n == len(magic) && bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		s.form.gzip = true
	}
}

// Describe implements [transfer.Source]. The first call reads the whole archive.
func (s *Source) Describe(ctx context.Context) (transfer.Description, error) {
	if err := s.Check(ctx); err != nil {
		return transfer.Description{}, err
	}
	metadata := s.survey.Metadata()
	return transfer.Description{
		Kind: "archive", Name: s.path,
		Version: metadata.Version, CreatedAt: metadata.CreatedAt,
		Schemas: s.survey.Schemas(),
	}, nil
}

// Count implements [transfer.Counter].
func (s *Source) Count(ctx context.Context, stage transfer.Stage) (transfer.Count, error) {
	if err := s.Check(ctx); err != nil {
		return transfer.Count{}, err
	}
	return s.survey.Count(stage), nil
}

// Check implements [transfer.Checker]. The archive is read once, however often it is called.
func (s *Source) Check(ctx context.Context) error {
	if s.file == nil {
		return errClosed()
	}
	if s.survey != nil {
		return s.surveyed
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	survey := layout.NewSurvey(layout.SurveyOptions{MaxSize: s.opts.MaxSize})
	err := s.readThrough(ctx, survey)
	if closed := survey.Close(); err == nil {
		err = closed
	}
	err = explain(ctx, err)
	if ended := context.Cause(ctx); ended != nil {
		return ended // the next call tries again
	}
	if err != nil {
		err = fmt.Errorf("archive %s: %w", s.path, err)
	}
	s.survey, s.surveyed = survey, err
	return err
}

func errClosed() error { return fmt.Errorf("%w: the archive is closed", transfer.ErrUsage) }

// readThrough shows every file to the survey and notes where each stage is.
func (s *Source) readThrough(ctx context.Context, survey *layout.Survey) error {
	s.marks, s.late = make(map[transfer.Stage]*span), false
	p, err := s.prove()
	if err != nil {
		return err
	}
	row := ""
	for {
		e, err := p.next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := survey.Visit(ctx, e.name, e.size, p.tar); err != nil {
			return err
		}
		switch e.place.Kind {
		case layout.KindSidecar:
			row = e.place.Asset
		case layout.KindUpload:
			s.late = s.late || row != e.place.Asset
		case layout.KindPart, layout.KindManifest, layout.KindMetadata, layout.KindOther:
		}
		s.mark(e)
	}
	if err := survey.Finish(); err != nil {
		return err
	}
	if survey.HasManifest() && p.raw.dirty {
		return fmt.Errorf("%w: bytes between its files were changed", transfer.ErrDamaged)
	}
	return nil
}

func (s *Source) mark(e entry) {
	if e.place.Stage == "" {
		return
	}
	at := mark{index: e.index, start: e.start}
	if in := s.marks[e.place.Stage]; in != nil {
		in.last = at
		return
	}
	s.marks[e.place.Stage] = &span{first: at, last: at}
}

// Read implements [transfer.Source].
func (s *Source) Read(ctx context.Context, stage transfer.Stage, after transfer.Cursor) iter.Seq2[transfer.Item, error] {
	return func(yield func(transfer.Item, error) bool) {
		if err := s.Check(ctx); err != nil {
			yield(transfer.Item{}, err)
			return
		}
		in := s.marks[stage]
		if in == nil {
			return
		}
		read := func(yield func(transfer.Item, error) bool) {
			r := &reading{source: s, stage: stage, in: *in, after: after, yield: yield, lines: layout.NewLineBuffer()}
			err := r.run(ctx)
			if err == nil || errors.Is(err, errStop) {
				return
			}
			if err = explain(ctx, err); context.Cause(ctx) == nil {
				err = fmt.Errorf("archive %s: %w", s.path, err)
			}
			yield(transfer.Item{}, err)
		}
		if stage == transfer.StageAssets { // their content is read from where the archive stands
			read(yield)
			return
		}
		ahead(ctx, read, yield)
	}
}

// Close implements [transfer.Source].
func (s *Source) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.closer.Close()
	if s.rows != nil {
		err = errors.Join(err, s.rows.Close())
	}
	s.file, s.live, s.rows = nil, nil, nil
	return err
}
