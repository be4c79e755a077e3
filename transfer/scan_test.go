package transfer

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

// FuzzScan compares the scanner with a parser: on valid text both must see the same members and elements, on other text the scanner
// must come to an end.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, ` { "a" : [ 1 , "]\"" , {"b":{}} ] , "c\u0041" : -1.5e3 , "":null } `, `{"a":"\\"}`, `{"a":"\\\"","a":2}`, `["\ud800",[[]],true]`, `{"a":[}`, `{"a"`, `[1,`,
		`{"` + strings.Repeat(`a":1,"b`, 40) + `":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var got []string
		note := func(name string, value jsontext.Value) error {
			got = append(got, name, string(value))
			return nil
		}
		err := walkMembers(raw, note)
		eerr := eachElement(raw, func(int, jsontext.Value) error { return nil })
		if checkJSON(raw) != nil {
			return
		}
		require.NoError(t, eerr)
		if jsontext.Value(raw).Kind() != '{' {
			require.Error(t, err)
			return
		}
		want, twice := parsedMembers(t, raw)
		if twice {
			require.ErrorContains(t, err, "comes twice")
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

// parsedMembers are the names and values of an object in turn, as a parser sees them.
func parsedMembers(t *testing.T, raw []byte) (all []string, twice bool) {
	t.Helper()
	dec := jsontext.NewDecoder(bytes.NewReader(raw), syntax()...)
	_, err := dec.ReadToken()
	require.NoError(t, err)
	seen := make(map[string]bool)
	for dec.PeekKind() == '"' {
		name, err := dec.ReadToken()
		require.NoError(t, err)
		text := name.String()
		twice = twice || seen[text]
		seen[text] = true
		value, err := dec.ReadValue()
		require.NoError(t, err)
		all = append(all, text, string(value))
	}
	_, err = dec.ReadToken()
	require.NoError(t, err)
	_, err = dec.ReadToken()
	require.True(t, errors.Is(err, io.EOF))
	return all, twice
}
