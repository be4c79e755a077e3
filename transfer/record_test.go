package transfer_test

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestParseRecordKeepsTheText(t *testing.T) {
	t.Parallel()
	texts := map[string]struct {
		stage transfer.Stage
		text  string
		key   string
	}{
		"a number beyond float64":  {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"n":9007199254740993}}`, "a::b.c 1"},
		"a number beyond any":      {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"n":1e400,"m":-0.0,"d":123456789012345678901234567890.123456789}}`, "a::b.c 1"},
		"a lone surrogate":         {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"s":"\ud83d x \u0000"}}`, "a::b.c 1"},
		"key order and spaces":     {transfer.StageEntities, `{ "id" : 1 , "data" : { "z" : 1 , "a" : 2 } , "type" : "a::b.c" }`, "a::b.c 1"},
		"duplicate keys in data":   {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"a":1,"a":2}}`, "a::b.c 1"},
		"escapes in any spelling":  {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"\u0061":"\/\u00e9é"}}`, "a::b.c 1"},
		"a member nobody knows":    {transfer.StageEntities, `{"type":"a::b.c","id":"x","data":{},"later":[1]}`, "a::b.c x"},
		"a fractional position":    {transfer.StageLinks, `{"kind":"relation.basic","relation":"oneToOne","left":{"type":"a::b.c","ref":1,"field":"f"},"right":{"type":"d::e.f","ref":2,"pos":0.5,"x":null}}`, "a::b.c:1.f -> d::e.f:2"},
		"a reference by document":  {transfer.StageLinks, `{"kind":"relation.circular","left":{"type":"a::b.c","ref":1,"field":"f"},"right":{"type":"a::b.c","ref":"abc","field":null}}`, "a::b.c:1.f -> a::b.c:abc"},
		"a core-store value":       {transfer.StageConfiguration, `{"type":"core-store","value":{"id":1,"key":"k","value":{"deep":[9007199254740993]}}}`, "core-store k"},
		"a schema of a components": {transfer.StageSchemas, `{"uid":"shared.x","attributes":{}}`, "shared.x"},
	}
	for name, test := range texts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := transfer.ParseRecord(test.stage, []byte(test.text))
			require.NoError(t, err)
			require.Equal(t, test.text, string(r.AppendJSON(nil)))
			require.Equal(t, test.key, r.Key())
			require.EqualValues(t, len(test.text), r.Size())
		})
	}
}

func TestParseRecordRefusesByName(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		stage transfer.Stage
		text  string
		want  string
	}{
		"not an object":         {transfer.StageEntities, `[1]`, "not an object"},
		"cut":                   {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"a":`, "entity a::b.c 1"},
		"text after it":         {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{}} {}`, "text after"},
		"no type":               {transfer.StageEntities, `{"id":1,"data":{}}`, "no type"},
		"no id":                 {transfer.StageEntities, `{"type":"a::b.c","data":{}}`, "no id"},
		"no data":               {transfer.StageEntities, `{"type":"a::b.c","id":1}`, "no data"},
		"data of another kind":  {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":[]}`, "data is"},
		"an id of another kind": {transfer.StageEntities, `{"type":"a::b.c","id":{},"data":{}}`, "reference"},
		"two types":             {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{},"type":"x::y.z"}`, `"type" comes twice`},
		"bad UTF-8":             {transfer.StageEntities, "{\"type\":\"a::b.c\",\"id\":1,\"data\":{\"a\":\"\xff\"}}", "UTF-8"},
		"bad escape":            {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"a":"\q"}}`, "entity a::b.c 1"},
		"a number by mistake":   {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"a":01}}`, "entity a::b.c 1"},
		"half a link":           {transfer.StageLinks, `{"left":{"type":"a::b.c","ref":1}}`, "no right side"},
		"a link to nothing":     {transfer.StageLinks, `{"left":{"type":"a::b.c","ref":null},"right":{"type":"a::b.c","ref":1}}`, "reference"},
		"nested too deep":       {transfer.StageEntities, `{"type":"a::b.c","id":1,"data":{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}}`, "depth"},
		"a file":                {transfer.StageAssets, `{}`, "no records of JSON"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := transfer.ParseRecord(test.stage, []byte(test.text))
			require.ErrorContains(t, err, test.want)
			if test.stage != transfer.StageAssets {
				require.ErrorIs(t, err, transfer.ErrDamaged)
			}
		})
	}
}

func TestNewEntityIsWhatParseEntityReads(t *testing.T) {
	t.Parallel()
	made := transfer.NewEntity("api::a.a", transfer.IntRef(7), json.RawMessage(`{"x":1e400}`))
	read, err := transfer.ParseEntity(made.AppendJSON(nil))
	require.NoError(t, err)
	require.Equal(t, made.AppendJSON(nil), read.AppendJSON(nil))
	require.Equal(t, made.Key(), read.Key())
	require.Equal(t, made.Data, read.Data)
	require.JSONEq(t, `{"x":1}`, strings.Replace(string(read.Data), "1e400", "1", 1))
}

func TestBodyChecksItself(t *testing.T) {
	t.Parallel()
	open := func(text string, length int64, digest string) error {
		a := transfer.Asset{Filename: "f", Length: length, Digest: digest, Content: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(iotest.OneByteReader(strings.NewReader(text))), nil
		}}
		body, err := a.Open(t.Context())
		require.NoError(t, err)
		_, err = io.ReadAll(body)
		require.Equal(t, err == nil, body.Whole())
		return err
	}
	const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	require.NoError(t, open("abc", 3, abc))
	require.NoError(t, open("abc", -1, ""))
	require.NoError(t, open("", 0, ""))
	require.ErrorIs(t, open("abc", 4, ""), transfer.ErrDamaged)
	require.ErrorIs(t, open("abc", 2, ""), transfer.ErrDamaged)
	require.ErrorIs(t, open("abd", 3, abc), transfer.ErrDamaged)
}

// FuzzParseRecord checks that whatever parses is JSON, keeps its text, and parses to itself again.
func FuzzParseRecord(f *testing.F) {
	for _, stage := range transfer.Stages() {
		for _, text := range transfertest.Sample().WithAdmin().Records[stage] {
			f.Add(string(stage), []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, stage string, text []byte) {
		r, err := transfer.ParseRecord(transfer.Stage(stage), text)
		if err != nil {
			return
		}
		if !json.Valid(text) {
			t.Fatalf("accepted what is not JSON: %q", text)
		}
		out := r.AppendJSON(nil)
		if string(out) != string(text) {
			t.Fatalf("changed %q to %q", text, out)
		}
		if e, ok := r.(transfer.Entity); ok {
			if !json.Valid(e.Data) || !strings.Contains(string(text), string(e.Data)) {
				t.Fatalf("data %q of %q", e.Data, text)
			}
		}
	})
}

func BenchmarkParseEntity(b *testing.B) {
	text := []byte(`{"type":"api::article.article","id":10,"data":{"title":"` + strings.Repeat("lantern ", 100) + `","count":9007199254740993,"documentId":"art1","locale":"en","seo":{"id":1,"title":"t","links":[{"id":1,"text":"a"},{"id":2,"text":"b"}]},"sections":[{"__component":"shared.quote","id":3,"text":"q"}]}}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := transfer.ParseEntity(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseLink(b *testing.B) {
	text := []byte(`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::article.article","field":"category","ref":10},"right":{"type":"api::category.category","ref":1,"pos":1.5}}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := transfer.ParseLink(text); err != nil {
			b.Fatal(err)
		}
	}
}
