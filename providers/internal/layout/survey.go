package layout

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

const (
	// maxParts bounds the parts of an export; with Strapi's part size that is 2.5 TB.
	maxParts = 10_000

	// maxSchemas bounds the text of all schemas, which are held in memory.
	maxSchemas = 64 << 20

	// MaxUnpacked is the default bound of an export's content, in bytes. An archive that holds more is taken for a bomb.
	MaxUnpacked int64 = 1 << 40
)

// SurveyOptions bound a [Survey].
type SurveyOptions struct {
	MaxSize int64  // of all content, in bytes; default [MaxUnpacked]
	Scratch string // the folder for what does not fit into memory; "" is the system's
}

// A Survey reads every file of an export once, in any order, and tells whether the export is whole: every record is well-formed,
// every file has a row that Strapi accepts, and if there is a manifest, counts and digests are those of its writer.
type Survey struct {
	metadata    *Metadata
	metadataSum Digest
	schemas     transfer.Schemas
	schemaBytes int64
	tallies     Tallies
	parts       map[string]*surveyedPart
	assets      assetIndex
	manifest    *Spool
	scratch     string
	files       int
	left        int64  // bytes until MaxSize
	wrapped     string // a folder around the export
	lines       *bufio.Reader
	buffer      []byte
}

type surveyedPart struct {
	sum     Digest
	bytes   int64
	records int64
	listed  bool
}

// NewSurvey returns a Survey that has seen nothing.
func NewSurvey(opts SurveyOptions) *Survey {
	if opts.MaxSize <= 0 {
		opts.MaxSize = MaxUnpacked
	}
	return &Survey{
		schemas: make(transfer.Schemas),
		tallies: make(Tallies),
		parts:   make(map[string]*surveyedPart),
		assets: assetIndex{
			seed: maphash.MakeSeed(), sums: make(map[uint64]assetSum),
			digests: make(map[uint64]Digest), why: make(map[uint64]string),
		},
		scratch: opts.Scratch,
		lines:   NewLineBuffer(),
		left:    opts.MaxSize,
	}
}

// Metadata is what the export says of its origin. It is known once the file was visited.
func (s *Survey) Metadata() Metadata {
	if s.metadata == nil {
		return Metadata{}
	}
	return *s.metadata
}

// Schemas are the schemas by uid.
func (s *Survey) Schemas() transfer.Schemas { return s.schemas }

// Count is what a stage holds.
func (s *Survey) Count(stage transfer.Stage) transfer.Count { return s.tallies.Of(stage) }

// HasManifest reports whether the export carries counts and digests of its writer.
func (s *Survey) HasManifest() bool { return s.manifest != nil }

// AssetDigest returns the SHA-256 of an uploaded file in hex, "" if the file was not visited or is one too many to remember.
func (s *Survey) AssetDigest(asset string) string {
	if digest, ok := s.assets.digests[maphash.String(s.assets.seed, asset)]; ok {
		return digest.String()
	}
	return ""
}

// Visit reads one file. name is a cleaned path, size the length that the medium promises.
func (s *Survey) Visit(ctx context.Context, name string, size int64, r io.Reader) error {
	if s.files++; s.files > MaxFiles {
		return fmt.Errorf("%w: more than %d files", transfer.ErrDamaged, MaxFiles)
	}
	if size > s.left {
		return errTooLarge(name)
	}
	r = s.meter(ctx, name, r)
	place := Locate(name)
	var err error
	switch place.Kind {
	case KindMetadata:
		err = s.visitMetadata(r)
	case KindManifest:
		err = s.visitManifest(r)
	case KindPart:
		err = s.visitPart(place.Stage, name, r)
	case KindSidecar:
		err = s.visitSidecar(place.Asset, r)
	case KindUpload:
		err = s.visitUpload(place.Asset, r)
	case KindOther:
		if dir, ok := strings.CutSuffix(name, "/"+MetadataFile); ok && s.wrapped == "" {
			s.wrapped = dir
		}
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

func errTooLarge(name string) error {
	return fmt.Errorf("%w: the content is larger than allowed, at %s", transfer.ErrDamaged, name)
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(p []byte) (int, error) { return f(p) }

// meter bounds what is read of all files and ends with ctx.
func (s *Survey) meter(ctx context.Context, name string, r io.Reader) io.Reader {
	return readFunc(func(p []byte) (int, error) {
		if err := context.Cause(ctx); err != nil {
			return 0, err
		}
		n, err := r.Read(p)
		if s.left -= int64(n); s.left < 0 {
			return 0, errTooLarge(name)
		}
		return n, err
	})
}

// readShort reads a file that must be short.
func readShort(r io.Reader, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%w: longer than %d bytes", transfer.ErrDamaged, limit)
	}
	return text, nil
}

func (s *Survey) visitMetadata(r io.Reader) error {
	if s.metadata != nil {
		return errTwice()
	}
	text, err := readShort(r, MaxMetadata)
	if err != nil {
		return err
	}
	metadata, err := ParseMetadata(text)
	if err != nil {
		return err
	}
	s.metadata, s.metadataSum = &metadata, sha256.Sum256(text)
	return nil
}

func errTwice() error { return fmt.Errorf("%w: the file is there twice", transfer.ErrDamaged) }

func (s *Survey) visitManifest(r io.Reader) error {
	if s.manifest != nil {
		return errTwice()
	}
	s.manifest = NewSpool(s.scratch)
	n, err := io.Copy(s.manifest, io.LimitReader(r, MaxManifest+1))
	if err == nil && n > MaxManifest {
		err = fmt.Errorf("%w: longer than %d bytes", transfer.ErrDamaged, MaxManifest)
	}
	return err
}

func (s *Survey) visitPart(stage transfer.Stage, name string, r io.Reader) error {
	if s.parts[name] != nil {
		return errTwice()
	}
	if len(s.parts) >= maxParts {
		return fmt.Errorf("%w: more than %d parts", transfer.ErrDamaged, maxParts)
	}
	p := new(surveyedPart)
	s.parts[name] = p
	sum := sha256.New()
	s.lines.Reset(readFunc(func(b []byte) (int, error) {
		n, err := r.Read(b)
		p.bytes += int64(n)
		sum.Write(b[:n])
		return n, err
	}))
	for line, err := range Lines(s.lines, transfer.MaxRecord) {
		if err != nil {
			return err
		}
		p.records++
		if err := s.visitRecord(stage, line); err != nil {
			return fmt.Errorf("record %d: %w", p.records, err)
		}
	}
	p.sum = Digest(sum.Sum(nil))
	return nil
}

func (s *Survey) visitRecord(stage transfer.Stage, line []byte) error {
	if stage == transfer.StageSchemas {
		if s.schemaBytes += int64(len(line)); s.schemaBytes > maxSchemas {
			return fmt.Errorf("%w: the schemas are longer than %d bytes", transfer.ErrDamaged, maxSchemas)
		}
		line = bytes.Clone(line)
	}
	record, err := transfer.ParseRecord(stage, line)
	if err != nil {
		return err
	}
	if schema, ok := record.(transfer.Schema); ok {
		s.schemas[schema.UID] = schema
	}
	s.tallies.Add(stage, record.Group(), record.Size())
	return nil
}

// Close lets go of what the Survey holds. It may be called twice; what was learned stays.
func (s *Survey) Close() error {
	if s.manifest == nil {
		return nil
	}
	return s.manifest.Close()
}

// Finish says whether the files that were visited are a whole export.
func (s *Survey) Finish() error {
	switch {
	case s.metadata == nil && s.wrapped != "":
		return fmt.Errorf("%w: the export is inside a folder %q; pack it again without the folder", transfer.ErrDamaged, shorten(s.wrapped))
	case s.metadata == nil:
		return fmt.Errorf("%w: there is no %s, which ends every export", transfer.ErrDamaged, MetadataFile)
	}
	if err := s.assets.finish(); err != nil {
		return err
	}
	if s.manifest == nil {
		if len(s.schemas) == 0 {
			return fmt.Errorf("%w: there are no schemas, which every export of Strapi has", transfer.ErrDamaged)
		}
		return nil
	}
	if err := s.compare(); err != nil {
		if errors.Is(err, transfer.ErrDamaged) {
			return fmt.Errorf("%w (an export that was edited on purpose is accepted without its %s)", err, ManifestFile)
		}
		return err
	}
	return nil
}
