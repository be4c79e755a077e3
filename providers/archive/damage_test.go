package archive

import (
	"bytes"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// specimen is a small archive in memory, and what opens it.
type specimen struct {
	bytes      []byte
	form       form
	block      cipher.Block
	identities []age.Identity
	step       int // between the bytes that are flipped
}

// source opens other bytes as if they were the specimen. It takes no time over keys.
func (s specimen) source(archive []byte) *Source {
	src := &Source{
		path: "specimen", form: s.form, block: s.block, identities: s.identities,
		file: bytes.NewReader(archive), closer: io.NopCloser(nil), size: int64(len(archive)),
	}
	src.sniff()
	return src
}

// smallSite is the sample with less of everything, so that each of its bytes can be tried.
func smallSite() *transfertest.Site {
	site := transfertest.Sample()
	for stage, records := range site.Records {
		site.Records[stage] = records[:1]
	}
	site.Files = site.Files[:1]
	return site
}

// specimens returns the small site in each form.
func specimens(t *testing.T) map[string]specimen {
	t.Helper()
	pair, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	block, err := stockCipher("test")
	require.NoError(t, err)
	all := make(map[string]specimen)
	for _, name := range []string{"a.tar", "a.tar.gz", "a.tar.enc", "a.tar.gz.enc", "a.tar.age", "a.tar.gz.age"} {
		f, err := parseForm(name)
		require.NoError(t, err)
		s := specimen{form: f, block: block, identities: []age.Identity{pair}, step: 1}
		if f.cipher != cipherNone && !f.gzip {
			// A long file in small blocks: a few bytes of each will do for flips, and the key need not be found anew each time.
			s.step, s.identities = 5, []age.Identity{&rememberingIdentity{identities: s.identities}}
		}
		path := filepath.Join(t.TempDir(), name)
		d := &Destination{path: path, form: f, level: 1, block: block, recipients: []age.Recipient{pair.Recipient()}}
		writeSite(t, d, smallSite())
		s.bytes, err = os.ReadFile(path)
		require.NoError(t, err)
		all[name] = s
	}
	return all
}

func writeSite(t *testing.T, d *Destination, site *transfertest.Site) {
	t.Helper()
	src := transfertest.NewMemory(site)
	described, err := src.Describe(t.Context())
	require.NoError(t, err)
	_, err = d.Begin(t.Context(), transfer.Plan{Source: described, Stages: transfer.Stages()})
	require.NoError(t, err)
	for _, stage := range transfer.Stages() {
		for item, err := range src.Read(t.Context(), stage, 0) {
			require.NoError(t, err)
			require.NoError(t, d.Write(t.Context(), transfer.Batch{Stage: stage, Records: []transfer.Record{item.Record}}))
		}
		require.NoError(t, d.Write(t.Context(), transfer.Batch{Stage: stage, Last: true}))
	}
	require.NoError(t, d.Commit(t.Context()))
}

func TestAnArchiveCutAnywhereIsDamaged(t *testing.T) {
	t.Parallel()
	for name, s := range specimens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, s.source(s.bytes).Check(t.Context()))
			for n := range s.bytes {
				if err := s.source(s.bytes[:n]).Check(t.Context()); !errors.Is(err, transfer.ErrDamaged) && !errors.Is(err, ErrWrongKey) {
					t.Fatalf("cut after %d of %d bytes: %v", n, len(s.bytes), err)
				}
			}
		})
	}
}

func TestAnArchiveWithMoreBehindItIsDamaged(t *testing.T) {
	t.Parallel()
	for name, s := range specimens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, tail := range []string{"x", "\x00x", string(make([]byte, 512)) + "x", string(s.bytes)} {
				err := s.source(append(slices.Clone(s.bytes), tail...)).Check(t.Context())
				require.ErrorIs(t, err, transfer.ErrDamaged, "%d bytes more", len(tail))
			}
		})
	}
}

// What passes the check must be what was written: a flip may go unnoticed only where it changes nothing, such as the date in the
// header of a gzip file.
func TestAFlippedBitNeverChangesContentUnnoticed(t *testing.T) {
	t.Parallel()
	for name, s := range specimens(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := readLines(t, s.source(s.bytes))
			unnoticed := 0
			for n := 0; n < len(s.bytes); n += s.step {
				flipped := slices.Clone(s.bytes)
				flipped[n] ^= 1 << (n % 8)
				src := s.source(flipped)
				err := src.Check(t.Context())
				if err == nil {
					unnoticed++
					require.Equal(t, want, readLines(t, src), "byte %d", n)
					continue
				}
				if !errors.Is(err, transfer.ErrDamaged) && !errors.Is(err, ErrWrongKey) && !errors.Is(err, transfer.ErrIncompatible) {
					t.Fatalf("byte %d: %v", n, err)
				}
			}
			if s.form.cipher == cipherAge {
				require.Zero(t, unnoticed)
			}
			require.Less(t, unnoticed, 64, "bytes that do not matter")
		})
	}
}

// readLines returns the whole content as text.
func readLines(t *testing.T, src *Source) []string {
	t.Helper()
	d, err := src.Describe(t.Context())
	require.NoError(t, err)
	site := transfertest.ReadSite(t, src)
	return append(site.Lines(), fmt.Sprint(d.Version, d.CreatedAt))
}
