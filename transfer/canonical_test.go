package transfer

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
)

// FuzzCanonicalNumber checks that two numbers share a spelling exactly when they are equal.
func FuzzCanonicalNumber(f *testing.F) {
	for _, seed := range [][2]string{{"1.50", "15e-1"}, {"0", "-0.0"}, {"9007199254740993", "9007199254740992"}, {"1E3", "1000"}, {"-0.001", "-1e-3"}, {"100", "1"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		ra, okA := rational(a)
		rb, okB := rational(b)
		if !okA || !okB {
			return
		}
		if equal := ra.Cmp(rb) == 0; equal != (canonicalNumber(a) == canonicalNumber(b)) {
			t.Fatalf("%s and %s: equal is %v, spelled %s and %s", a, b, equal, canonicalNumber(a), canonicalNumber(b))
		}
	})
}

// rational returns the value of a JSON number whose exponent is small enough to compute with.
func rational(text string) (*big.Rat, bool) {
	if !json.Valid([]byte(text)) || len(text) > 60 || text != strings.TrimSpace(text) || !strings.ContainsAny(text[:1], "-0123456789") {
		return nil, false
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok && len(exponent) > 3 {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

func TestCanonicalValue(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typ, a, b string
		same      bool
	}{
		"a time with zeros at its end":          {"time", `"13:45:30.500"`, `"13:45:30.5"`, true},
		"a time with nothing but zeros":         {"time", `"13:45:30.000"`, `"13:45:30"`, true},
		"another time":                          {"time", `"13:45:30.500"`, `"13:45:30.05"`, false},
		"a time that ends in tens":              {"time", `"13:45:30"`, `"13:45:3"`, false},
		"a text that looks like a time":         {"string", `"13:45:30.500"`, `"13:45:30.5"`, false},
		"a decimal as SQLite keeps it":          {"decimal", `52.989999999999995`, `52.99`, true},
		"a decimal that is rounded up":          {"decimal", `-0.005`, `-0.01`, true},
		"another decimal":                       {"decimal", `52.98`, `52.99`, false},
		"a float":                               {"float", `52.989999999999995`, `52.99`, false},
		"a decimal of any size":                 {"decimal", strings.Repeat("9", 100), strings.Repeat("9", 99) + "8", false},
		"the end of the range":                  {"biginteger", `"9223372036854776000"`, `"9223372036854775807"`, true},
		"the other end of the range":            {"biginteger", `"-9223372036854776000"`, `"-9223372036854775808"`, true},
		"the last digit before it":              {"biginteger", `"9223372036854775806"`, `"9223372036854775807"`, false},
		"a text that looks like such a number":  {"string", `"9223372036854776000"`, `"9223372036854775807"`, false},
		"what is no value of such an attribute": {"time", `{"a":1.50}`, `{"a":1.5}`, false},
	} {
		same := string(canonicalValue(test.typ, jsontext.Value(test.a))) == string(canonicalValue(test.typ, jsontext.Value(test.b)))
		require.Equal(t, test.same, same, name)
	}
}

func TestCompareVersions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		a, b string
		pass []VersionStrategy
	}{
		"equal":             {"5.54.0", "5.54.0", []VersionStrategy{VersionExact, VersionPatch, VersionMinor, VersionMajor, VersionIgnore}},
		"another beta":      {"5.54.0-beta.1", "5.54.0-beta.2", []VersionStrategy{VersionPatch, VersionMinor, VersionMajor, VersionIgnore}},
		"another patch":     {"5.54.0", "5.54.1", []VersionStrategy{VersionMinor, VersionMajor, VersionIgnore}},
		"another minor":     {"5.54.0", "5.10.0", []VersionStrategy{VersionMajor, VersionIgnore}},
		"another major":     {"4.25.1", "5.54.0", []VersionStrategy{VersionIgnore}},
		"not a version":     {"main", "5.54.0", []VersionStrategy{VersionIgnore}},
		"an unknown side":   {"", "5.54.0", []VersionStrategy{VersionExact, VersionPatch, VersionMinor, VersionMajor, VersionIgnore}},
		"both not versions": {"main", "main", []VersionStrategy{VersionExact, VersionPatch, VersionMinor, VersionMajor, VersionIgnore}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var passed []VersionStrategy
			for _, s := range []VersionStrategy{VersionExact, VersionPatch, VersionMinor, VersionMajor, VersionIgnore} {
				if err := compareVersions(test.a, test.b, s); err == nil {
					passed = append(passed, s)
				} else {
					require.ErrorIs(t, err, ErrIncompatible)
				}
			}
			require.Equal(t, test.pass, passed)
		})
	}
}
