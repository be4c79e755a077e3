package transfer

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

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
