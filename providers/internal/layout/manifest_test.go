package layout

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
)

func sampleManifest(tb testing.TB) []byte {
	tb.Helper()
	tallies := make(Tallies)
	tallies.Add(transfer.StageEntities, "api::a.a", 10)
	m := newManifestWriter(tb.TempDir())
	require.NoError(tb, m.add(manifestLine{Part: "entities/entities_00001.jsonl", Bytes: 10, Records: 1, SHA256: Digest{}.String()}))
	require.NoError(tb, m.add(manifestLine{Asset: "a.txt", Bytes: 3, SHA256: Digest{}.String(), Sidecar: Digest{}.String()}))
	r, size, err := m.finish(tallies, sha256.Sum256(nil))
	require.NoError(tb, err)
	text, err := io.ReadAll(r)
	require.NoError(tb, err)
	require.Len(tb, text, int(size))
	return text
}

func readLinesOf(text []byte) ([]manifestLine, error) {
	var all []manifestLine
	err := readManifest(func() (io.Reader, error) { return bytes.NewReader(text), nil }, func(line manifestLine) error {
		all = append(all, line)
		return nil
	})
	return all, err
}

func TestAManifestIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	all, err := readLinesOf(sampleManifest(t))
	require.NoError(t, err)
	require.Len(t, all, 4)
	require.Equal(t, "entities/entities_00001.jsonl", all[0].Part)
	require.Equal(t, "a.txt", all[1].Asset)
	require.Equal(t, transfer.Count{Records: 1, Bytes: 10, ByType: map[string]int64{"api::a.a": 1}}, all[2].Stages[transfer.StageEntities])
}

func TestAChangedManifestIsRefused(t *testing.T) {
	t.Parallel()
	whole := sampleManifest(t)
	for n := range whole {
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		_, err := readLinesOf(flipped)
		require.Error(t, err, "byte %d", n)
		if n < len(whole)-1 {
			_, err = readLinesOf(whole[:n])
			require.ErrorIs(t, err, transfer.ErrDamaged, "cut after %d bytes", n)
		}
	}
}

func TestANewerManifestIsNotGuessedAt(t *testing.T) {
	t.Parallel()
	text := []byte("{\"transferManifest\":2}\n")
	sum := sha256.New()
	sum.Write(text)
	_, err := readLinesOf(append(text, lastLine(sum)...))
	require.ErrorIs(t, err, transfer.ErrIncompatible)
}

// FuzzManifest holds that only text with the right digest is looked at.
func FuzzManifest(f *testing.F) {
	f.Add(sampleManifest(f))
	f.Add([]byte("{\"digest\":\"\"}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, err := readLinesOf(text)
		if err != nil {
			return
		}
		// A carriage return or an empty line may be there or not; apart from them the digest speaks for every byte.
		body, last, found := bytes.Cut(normal(text), []byte(`{"digest":"`))
		require.True(t, found)
		sum := sha256.Sum256(body)
		require.True(t, strings.HasPrefix(string(last), Digest(sum).String()))
	})
}

func normal(text []byte) []byte {
	var out []byte
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		if line = bytes.TrimSuffix(line, []byte("\r")); len(line) > 0 {
			out = append(append(out, line...), '\n')
		}
	}
	return out
}

func TestASpoolGivesBackWhatItTook(t *testing.T) {
	t.Parallel()
	for name, size := range map[string]int{"nothing": 0, "a little": 1000, "all that memory holds": spoolMemory, "more": spoolMemory + 1, "much more": 3 * spoolMemory} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := NewSpool(dir)
			want := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
			for round := range 2 {
				for rest := want; len(rest) > 0; {
					n := min(len(rest), 70_001)
					_, err := s.Write(rest[:n])
					require.NoError(t, err)
					rest = rest[n:]
				}
				require.Equal(t, int64(size), s.Size())
				for range 2 {
					r, err := s.Open()
					require.NoError(t, err)
					got, err := io.ReadAll(r)
					require.NoError(t, err)
					require.True(t, bytes.Equal(want, got), "round %d", round)
				}
				if size > 500 {
					piece, err := s.ReadAt(int64(size-500), 500)
					require.NoError(t, err)
					require.Equal(t, want[size-500:], piece)
				}
				require.NoError(t, s.Reset())
			}
			require.NoError(t, s.Close())
			left, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}

func TestTalliesBoundTheirHeadings(t *testing.T) {
	t.Parallel()
	tallies := make(Tallies)
	for n := range maxGroups + 5 {
		tallies.Add(transfer.StageEntities, strings.Repeat("x", n%100)+string(rune('a'+n%26))+strings.Repeat("y", n/100), 1)
	}
	count := tallies.Of(transfer.StageEntities)
	require.Equal(t, int64(maxGroups+5), count.Records)
	require.LessOrEqual(t, len(count.ByType), maxGroups+1)
}

func TestNamesThatDifferInCaseAreOneWhereTheyWouldBe(t *testing.T) {
	t.Parallel()
	exact, folded := newNameSet(false), newNameSet(true)
	for _, name := range []string{"a.png", "A.png"} {
		require.NoError(t, exact.add(name))
	}
	require.ErrorIs(t, exact.add("a.png"), transfer.ErrDamaged)
	require.NoError(t, folded.add("Été.PNG"))
	require.NoError(t, folded.add("ete.png"))
	require.ErrorContains(t, folded.add("ÉTÉ.png"), "upper and lower case")
}
