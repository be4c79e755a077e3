package protocol_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

func TestInitParamsAreWrittenAsStrapisClientDoes(t *testing.T) {
	t.Parallel()
	restore := func(include []string) *protocol.InitOptions {
		return &protocol.InitOptions{Strategy: protocol.StrategyRestore, Restore: &protocol.Restore{
			Entities:      &protocol.RestoreEntities{Exclude: []string{"admin::user"}, Include: include},
			Assets:        true,
			Configuration: &protocol.RestoreConfiguration{Webhook: true, CoreStore: true},
		}}
	}
	tests := map[string]struct {
		params protocol.InitParams
		want   string
	}{
		"pull": {protocol.InitParams{Transfer: protocol.Pull, Checksums: true}, `{"transfer":"pull","checksums":true}`},
		"push of everything": {
			protocol.InitParams{Options: restore(nil), Transfer: protocol.Push, Checksums: true, AssetEncoding: protocol.AssetEncodingBase64},
			`{"options":{"strategy":"restore","restore":{"entities":{"exclude":["admin::user"]},"assets":true,` +
				`"configuration":{"webhook":true,"coreStore":true}}},"transfer":"push","checksums":true,"assetEncoding":"base64"}`,
		},
		"push of no content": {
			protocol.InitParams{Options: restore([]string{}), Transfer: protocol.Push},
			`{"options":{"strategy":"restore","restore":{"entities":{"exclude":["admin::user"],"include":[]},"assets":true,` +
				`"configuration":{"webhook":true,"coreStore":true}}},"transfer":"push"}`,
		},
		"merge": {
			protocol.InitParams{
				Options:    &protocol.InitOptions{Strategy: protocol.StrategyMerge, Conflict: "newer", Restore: &protocol.Restore{Assets: true}},
				Transfer:   protocol.Push,
				Extensions: protocol.Extensions{Merge: true, KnownAssets: true},
			},
			`{"options":{"strategy":"merge","conflict":"newer","restore":{"assets":true}},"transfer":"push","extensions":{"knownAssets":true,"merge":true}}`,
		},
		"extensions": {
			protocol.InitParams{Transfer: protocol.Push, Extensions: protocol.Extensions{Window: 8, Compression: protocol.CompressionZstd}},
			`{"transfer":"push","extensions":{"window":8,"compression":"zstd"}}`,
		},
	}
	for name, test := range tests {
		text, err := test.params.Append(nil)
		require.NoError(t, err)
		require.Equal(t, test.want, string(text), name)
		got, err := protocol.ParseInitParams(text)
		require.NoError(t, err)
		require.Equal(t, test.params, got, name)
	}
	text, err := protocol.InitParams{Options: &protocol.InitOptions{Restore: &protocol.Restore{
		Entities: &protocol.RestoreEntities{},
	}}}.Append(nil)
	require.NoError(t, err)
	require.Contains(t, string(text), `"exclude":[]`, "an older server iterates over it")
}

func TestInitParamsOfPeersThatSendLess(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want protocol.InitParams
	}{
		"nothing":                  {``, protocol.InitParams{}},
		"null":                     {`null`, protocol.InitParams{}},
		"an empty object":          {`{}`, protocol.InitParams{}},
		"checksums that are 1":     {`{"checksums":1}`, protocol.InitParams{}},
		"checksums that are true":  {`{"checksums": true}`, protocol.InitParams{Checksums: true}},
		"another encoding":         {`{"assetEncoding":"hex"}`, protocol.InitParams{}},
		"options without strategy": {`{"options":{}}`, protocol.InitParams{Options: &protocol.InitOptions{Strategy: "restore"}}},
		"unknown extensions":       {`{"extensions":{"teleport":true}}`, protocol.InitParams{}},
	}
	for name, test := range tests {
		got, err := protocol.ParseInitParams(json.RawMessage(test.text))
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
	for _, text := range []string{`[]`, `{"options":[]}`, `{"options":{"restore":{"entities":{"exclude":"all"}}}}`, `{`} {
		_, err := protocol.ParseInitParams(json.RawMessage(text))
		require.Error(t, err, text)
	}
}

func TestInitResults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want protocol.InitResult
	}{
		"5.54":             {`{"transferID":"t","checksums":true,"assetEncoding":"base64"}`, protocol.InitResult{TransferID: "t", Checksums: true, AssetEncoding: "base64"}},
		"5.43":             {`{"transferID":"t","checksums":true}`, protocol.InitResult{TransferID: "t", Checksums: true}},
		"5.10 and 4.25":    {`{"transferID":"t"}`, protocol.InitResult{TransferID: "t"}},
		"with extensions":  {`{"transferID":"t","extensions":{"window":4}}`, protocol.InitResult{TransferID: "t", Extensions: protocol.Extensions{Window: 4}}},
		"with odd members": {`{"transferID":"t","checksums":"yes","assetEncoding":true,"x":[]}`, protocol.InitResult{TransferID: "t"}},
	}
	for name, test := range tests {
		got, err := protocol.ParseInitResult(json.RawMessage(test.text))
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
	for _, text := range []string{``, `null`, `{}`, `{"transferID":""}`, `{"transferID":null}`, `[]`, `"t"`, `{"transferID":"t"`} {
		_, err := protocol.ParseInitResult(json.RawMessage(text))
		require.ErrorIs(t, err, protocol.ErrInvalidAnswer, text)
	}
}

func TestResultsOfOlderPeers(t *testing.T) {
	t.Parallel()
	start := func(text string) protocol.StartResult {
		r, err := protocol.ParseStartResult(json.RawMessage(text))
		require.NoError(t, err)
		return r
	}
	require.Equal(t, protocol.StartResult{OK: true}, start(`{"ok":true}`))
	require.Equal(t, protocol.StartResult{OK: true, ID: "s"}, start(`{"ok":true,"id":"s","totals":null}`))
	require.Equal(t, &protocol.Totals{TotalBytes: 1234.5678, TotalCount: 3}, start(`{"totals":{"totalBytes":1234.5678,"totalCount":3}}`).Totals)
	require.Equal(t, &protocol.Totals{}, start(`{"totals":{"totalBytes":-5,"totalCount":1e999}}`).Totals)

	require.Equal(t, map[string]int64{"a.png": 7, "é": 0}, start(`{"ok":true,"known":{"a.png":7,"é":0,"b":-1,"c":"7","d":null,"e":1e99}}`).Known)
	for _, none := range []string{`null`, `[]`, `[["a",1]]`, `"a"`, `7`} {
		require.Empty(t, start(`{"ok":true,"known":`+none+`}`).Known, none)
	}
	many := []byte(`{"ok":true,"known":{"`)
	for i := range protocol.MaxKnownAssets + 1000 {
		many = fmt.Appendf(many, `%d":1,"`, i)
	}
	require.Len(t, start(string(many)+`end":1}}`).Known, protocol.MaxKnownAssets, "no more is believed")
	long := strings.Repeat("x", protocol.MaxKnownText)
	require.Equal(t, map[string]int64{"a": 1}, start(`{"ok":true,"known":{"a":1,"`+long+`":1,"b":2}}`).Known)

	end := func(text string) protocol.EndResult {
		r, err := protocol.ParseEndResult(json.RawMessage(text))
		require.NoError(t, err)
		return r
	}
	require.Equal(t, protocol.EndResult{OK: true}, end(`{"ok":true}`))
	require.Equal(t, protocol.EndResult{OK: true}, end(`{"ok":true,"stats":{"started":4}}`), "one count alone proves nothing")
	require.Equal(t, protocol.EndResult{OK: true}, end(`{"ok":true,"stats":{"started":"4","finished":4}}`))
	require.Equal(t, &protocol.Stats{Started: 4, Finished: 3}, end(`{"ok":true,"stats":{"started":4,"finished":3}}`).Stats)
	left := protocol.EndResult{OK: true, Skipped: []protocol.Skip{{Type: "api::a.a", Reason: "why", Count: 2, Examples: []string{"x", "y"}}, {Reason: "else", Count: 1, Allowed: true}}}
	text, err := left.Append(nil)
	require.NoError(t, err)
	require.Equal(t, left, end(string(text)))
	require.Len(t, end(`{"ok":true,"skipped":[{"count":20,"examples":["` + strings.Repeat(`x","`, 19) + `x"]}]}`).Skipped[0].Examples, protocol.MaxSkipExamples)
	for _, text := range []string{`{"count":"2"}`, `[{"count":"2"}]`, `[{"count":0}]`, `[{"count":-1}]`, `[{"reason":"why"}]`, `[5]`, `[{"count":1}`, `true`} {
		_, err := protocol.ParseEndResult(json.RawMessage(`{"ok":true,"skipped":` + text + `}`))
		require.ErrorIs(t, err, protocol.ErrInvalidAnswer, text)
	}

	m, err := protocol.ParseMetadata(json.RawMessage(`null`))
	require.NoError(t, err)
	require.Nil(t, m)
	m, err = protocol.ParseMetadata(json.RawMessage(`{"createdAt":"2026-11-21T07:02:23.842Z","strapi":{"version":"5.54.0"}}`))
	require.NoError(t, err)
	require.Equal(t, &protocol.Metadata{CreatedAt: "2026-11-21T07:02:23.842Z", Strapi: protocol.StrapiMetadata{Version: "5.54.0"}}, m)
	m, err = protocol.ParseMetadata(json.RawMessage(`{"strapi":"5"}`))
	require.NoError(t, err)
	require.Equal(t, &protocol.Metadata{}, m)
	_, err = protocol.ParseMetadata(json.RawMessage(`[]`))
	require.ErrorIs(t, err, protocol.ErrInvalidAnswer)

	s, err := protocol.ParseStatus(json.RawMessage(`{"active":true,"kind":"push","startedAt":1795244543831,"elapsed":7}`))
	require.NoError(t, err)
	require.Equal(t, protocol.Push, *s.Kind)
	require.EqualValues(t, 1795244543831, *s.StartedAt)
	require.EqualValues(t, 7, *s.Elapsed)
}

func TestEndParams(t *testing.T) {
	t.Parallel()
	require.Equal(t, `{"transferID":"t"}`, string(protocol.EndParams{TransferID: "t"}.Append(nil)))
	for _, text := range []string{``, `null`, `{}`, `{"transferID":5}`, `[]`, `nonsense`} {
		require.Equal(t, protocol.EndParams{}, protocol.ParseEndParams(json.RawMessage(text)), text)
	}
}

func TestNegotiation(t *testing.T) {
	t.Parallel()
	all := protocol.Extensions{
		Window: 16, BinaryAssets: true, Compression: protocol.CompressionZstd, Resume: true, KnownAssets: true, Schemas: true, Merge: true,
		Seals: true, Skips: true,
	}
	tests := map[string]struct{ offered, supported, want protocol.Extensions }{
		"a stock server":       {all, protocol.Extensions{}, protocol.Extensions{}},
		"a stock client":       {protocol.Extensions{}, all, protocol.Extensions{}},
		"two of the same kind": {all, all, all},
		"the smaller window":   {protocol.Extensions{Window: 8}, all, protocol.Extensions{Window: 8}},
		"a window of one":      {protocol.Extensions{Window: 1}, all, protocol.Extensions{}},
		"a window beyond all":  {protocol.Extensions{Window: 1 << 30}, protocol.Extensions{Window: 1 << 30}, protocol.Extensions{Window: protocol.MaxWindow}},
		"a window below zero":  {protocol.Extensions{Window: -8}, all, protocol.Extensions{}},
		"what only one has":    {protocol.Extensions{Resume: true, Merge: true}, protocol.Extensions{Merge: true}, protocol.Extensions{Merge: true}},
		"another compression":  {protocol.Extensions{Compression: "br"}, all, protocol.Extensions{}},
	}
	for name, test := range tests {
		require.Equal(t, test.want, protocol.Negotiate(test.offered, test.supported), name)
	}
	names := []protocol.Extension{
		protocol.ExtensionWindow, protocol.ExtensionBinaryAssets, protocol.ExtensionCompression, protocol.ExtensionResume,
		protocol.ExtensionKnownAssets, protocol.ExtensionSchemas, protocol.ExtensionMerge, protocol.ExtensionSeals,
		protocol.ExtensionSkips,
	}
	for _, name := range names {
		require.True(t, all.Has(name), name)
		require.False(t, protocol.Extensions{}.Has(name), name)
	}
	require.False(t, all.Has("teleport"))
	require.Equal(t, protocol.Extensions{Window: protocol.MaxWindow, Resume: true}, protocol.ParseExtensions(json.RawMessage(
		`{"window":1e9,"resume":true,"merge":1,"compression":"br","teleport":{"to":"mars"}}`)))
	for _, text := range []string{``, `null`, `[]`, `true`, `{"window":"8"}`, `{"window":-3}`, `{"resume":true,`} {
		require.Equal(t, protocol.Extensions{}, protocol.ParseExtensions(json.RawMessage(text)), text)
	}
}
