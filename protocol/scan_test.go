package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// scanAll reports what the scanner thinks of a text that is one value.
func scanAll(text []byte) error {
	s, err := newScanner(text, MaxMessage)
	if err != nil {
		return err
	}
	if err := s.skipValue(); err != nil {
		return err
	}
	return s.end()
}

func scanSeeds() []string {
	return []string{
		`{}`, `[]`, `null`, `true`, `false`, `""`, `0`, `-0`, `-1.5e+10`, `1e400`, `9007199254740993`, `0.123456789012345678901234567890`,
		`"\ud83d"`, `"\u0000"`, `"é☕😀"`, `"a\/b\\c\"d\b\f\n\r\t"`, `{"a":1,"a":2}`, ` { "a" : [ 1 , 2 ] } `, "\t\r\n 1 \n",
		`[1,22,255,0,4]`, `[1,02]`, `[256,1000,1]`, `[1,2,]`, `[1,2`, `[12`, `[1,a]`, `[,1]`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`,
		`01`, `-`, `1.`, `.5`, `1e`, `1e+`, `+1`, `0x1`, `NaN`, `nul`, `nulll`, `tru`, `"`, `"\`, `"\q"`, `"\u12"`, `"\u12g4"`, "\"\n\"", "\"\x7f\"",
		"\"\x00\"", `{"a":1}{}`, `[[[[[[]]]]]]`, `[[[[[[]]]]]`, ``, ` `, "\ufeff{}", "\"\xff\"", "\"\xed\xa0\x80\"",
		`"` + strings.Repeat("a", 2000) + `"`, `"` + strings.Repeat("a", 2000), `"` + strings.Repeat("a", 1000) + `\n` + strings.Repeat("é", 500) + `"`,
		`"` + strings.Repeat("a", 1000) + "\x01" + `"`, `"` + strings.Repeat("a", 1000) + `\x"`,
	}
}

func TestScannerAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, seed := range scanSeeds() {
		text := []byte(seed)
		require.Equal(t, json.Valid(text) && utf8.Valid(text), scanAll(text) == nil, "%.80q: %v", seed, scanAll(text))
		// Every cut and every single change must be judged alike too.
		for i := range min(len(text), 200) {
			cut := text[:i]
			require.Equal(t, json.Valid(cut) && utf8.Valid(cut), scanAll(cut) == nil, "%.80q", cut)
			for _, c := range []byte{0, '"', '\\', ',', ':', '{', '}', '[', ']', '0', '1', '-', '.', 'e', 'u', ' ', 0x1f, 0x80, 0xff} {
				changed := bytes.Clone(text)
				changed[i] = c
				require.Equal(t, json.Valid(changed) && utf8.Valid(changed), scanAll(changed) == nil, "%.80q", changed)
			}
		}
	}
}

func TestScannerNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want error
	}{
		"the deepest that is taken":  {strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), nil},
		"a level more":               {strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), ErrTooDeep},
		"the deepest object":         {strings.Repeat(`{"":`, MaxDepth) + "1" + strings.Repeat("}", MaxDepth), nil},
		"an object more":             {strings.Repeat(`{"":`, MaxDepth+1) + "1" + strings.Repeat("}", MaxDepth+1), ErrTooDeep},
		"objects and arrays counted": {strings.Repeat(`{"a":[`, MaxDepth/2+1), ErrTooDeep},
		"two million brackets":       {strings.Repeat("[", 2_000_000), ErrTooDeep},
		"wide is not deep":           {"[" + strings.Repeat("[],{},", 2*MaxDepth) + "1]", nil},
		"bad UTF-8":                  {"\"a\xc3\"", ErrInvalidUTF8},
		"bad JSON":                   {`{"a":"b"`, ErrInvalidJSON},
	}
	for name, test := range tests {
		err := scanAll([]byte(test.text))
		require.ErrorIs(t, err, test.want, name)
		if test.want != nil {
			require.ErrorIs(t, err, ErrMalformed, name)
		}
	}
}

func TestScannerRefusesBeforeItReads(t *testing.T) {
	t.Parallel()
	_, err := newScanner([]byte("12345"), 4)
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestUnquoteAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`""`, `"a"`, `"\""`, `"\\\/\b\f\n\r\t"`, `"\u00e9\u2615"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00\ud83d"`, `"\ud83dx"`, `"\ud83d\u0041"`,
		`"\ud83d\ud83d\ude00"`, `"é\u0000"`, `"\uD83D\uDE00"`,
	} {
		var want string
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		got, ok := asString(json.RawMessage(text))
		require.True(t, ok)
		require.Equal(t, want, got, text)
	}
}

func TestQuoteIsReadBackAsItWas(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a", "\"\\/", "\x00\x01\x1f\x7f", "\b\f\n\r\t", "é☕😀", "<>&", "\u2028"} {
		var got string
		require.NoError(t, json.Unmarshal(appendQuoted(nil, text), &got))
		require.Equal(t, text, got)
	}
	require.Equal(t, `"a`+"\ufffd"+`b"`, string(appendQuoted(nil, "a\xffb")))
	require.Equal(t, `"\u0001<>&\u001f"`, string(appendQuoted(nil, "\x01<>&\x1f")), "as JSON.stringify does it")
}

func FuzzScanner(f *testing.F) {
	for _, seed := range scanSeeds() {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := scanAll(text)
		if errors.Is(err, ErrTooDeep) {
			return
		}
		if want := json.Valid(text) && utf8.Valid(text); want != (err == nil) {
			t.Fatalf("valid: %v, scanner: %v: %q", want, err, text)
		}
		if got, ok := asString(text); ok && err == nil {
			var want string
			if json.Unmarshal(text, &want) != nil || want != got {
				t.Fatalf("%q is read as %q, not %q", text, got, want)
			}
			var again string
			if json.Unmarshal(appendQuoted(nil, got), &again) != nil || again != got {
				t.Fatalf("%q is quoted as %q", got, appendQuoted(nil, got))
			}
		}
	})
}
