package protocol_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/transfer-runner/runner/protocol"
)

const benchUUID = "34f6c626-b094-48bd-9558-34eb2e48e67f"

// benchEntities returns about 1 MiB of entities.
func benchEntities() (items []json.RawMessage) {
	for size := 0; size < 1<<20; size += len(items[len(items)-1]) {
		items = append(items, fmt.Appendf(nil, `{"type":"api::article.article","id":%d,"data":{"title":"Catégorie %d","slug":"cat-%d",`+
			`"description":"%s","blocks":[{"id":%d,"__component":"shared.rich-text","body":"## Probant\n\nse Lorem \"ipsum\" dolor %s"},`+
			`{"id":%d,"__component":"shared.quote","title":"T","body":"B"}],"price":12.50,"views":9007199254740993,`+
			`"createdAt":"2026-11-21T07:01:50.579Z","updatedAt":"2026-11-21T07:01:50.579Z","publishedAt":null,"locale":"en",`+
			`"documentId":"957f8b0dca91640bad472584"}}`,
			len(items), len(items), len(items), bytes.Repeat([]byte("x"), 200), len(items), bytes.Repeat([]byte("lorem ipsum "), 40), len(items)))
	}
	return items
}

// benchChunks returns 1 MiB of file content in chunks.
func benchChunks() (chunks [][]byte) {
	r := rand.NewChaCha8([32]byte{})
	for range 16 {
		chunk := make([]byte, protocol.AssetChunkBytes)
		if _, err := r.Read(chunk); err != nil {
			panic(err)
		}
		chunks = append(chunks, chunk)
	}
	return chunks
}

func appendAssets(dst []byte, enc protocol.ChunkEncoding, chunks [][]byte) []byte {
	dst = append(dst, '[')
	dst = protocol.AppendAssetStart(dst, protocol.AssetStart{ID: benchUUID, Filename: "a.jpg", Filepath: "/a.jpg", Size: 1 << 20})
	for _, chunk := range chunks {
		dst = append(dst, ',')
		dst = protocol.AppendAssetChunk(dst, benchUUID, enc, chunk)
	}
	sum := sha256.Sum256(nil)
	dst = append(dst, ',')
	return append(protocol.AppendAssetEnd(dst, benchUUID, hex.EncodeToString(sum[:])), ']')
}

func BenchmarkDecodeEntities(b *testing.B) {
	text := protocol.Frame{UUID: benchUUID, Stream: benchUUID, Data: protocol.AppendItems(nil, benchEntities()...)}.Append(nil)
	b.Run("protocol", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			m, err := protocol.ParseServerMessage(text)
			if err != nil {
				b.Fatal(err)
			}
			for _, err := range protocol.Items(m.Frame.Data) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			var m struct {
				UUID string `json:"uuid"`
				Data struct {
					ID   string            `json:"id"`
					Data []json.RawMessage `json:"data"`
				} `json:"data"`
			}
			if err := json.Unmarshal(text, &m); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkEncodeEntities(b *testing.B) {
	items := benchEntities()
	size := int64(len(protocol.AppendItems(nil, items...)))
	b.Run("protocol", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		var data, text []byte
		for b.Loop() {
			data = protocol.AppendItems(data[:0], items...)
			text = protocol.Request{
				UUID: benchUUID, Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: protocol.VerbStream,
				Stage: protocol.StageEntities, Data: data, TransferID: benchUUID,
			}.Append(text[:0])
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.SetBytes(size)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(map[string]any{"uuid": benchUUID, "data": items}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkDecodeAssets(b *testing.B) {
	for name, enc := range map[string]protocol.ChunkEncoding{"base64": protocol.ChunkBase64, "buffer": protocol.ChunkBuffer} {
		data := append(appendAssets([]byte{'['}, enc, benchChunks()), ']')
		text := protocol.Frame{UUID: benchUUID, Stream: benchUUID, Data: data}.Append(nil)
		b.Run(name+"/protocol", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var chunk []byte
			for b.Loop() {
				m, err := protocol.ParseServerMessage(text)
				if err != nil {
					b.Fatal(err)
				}
				for item, err := range protocol.AssetItems(m.Frame.Data, m.Frame.Payload) {
					if err == nil && item.Action == protocol.AssetStreams {
						chunk, err = item.DecodeChunk(chunk[:0])
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
	text := protocol.Frame{UUID: benchUUID, Data: append(appendAssets([]byte{'['}, protocol.ChunkBase64, benchChunks()), ']')}.Append(nil)
	b.Run("base64/encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			var m struct {
				Data struct {
					Data [][]struct {
						Action  string          `json:"action"`
						AssetID string          `json:"assetID"`
						Data    json.RawMessage `json:"data"`
					} `json:"data"`
				} `json:"data"`
			}
			if err := json.Unmarshal(text, &m); err != nil {
				b.Fatal(err)
			}
			for _, item := range m.Data.Data[0] {
				var chunk []byte
				if item.Action != "stream" {
					continue
				}
				if err := json.Unmarshal(item.Data, &chunk); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkEncodeAssets(b *testing.B) {
	chunks := benchChunks()
	for name, enc := range map[string]protocol.ChunkEncoding{"base64": protocol.ChunkBase64, "buffer": protocol.ChunkBuffer} {
		b.Run(name+"/protocol", func(b *testing.B) {
			b.SetBytes(int64(len(appendAssets(nil, enc, chunks))))
			b.ReportAllocs()
			var data, text []byte
			for b.Loop() {
				data = appendAssets(data[:0], enc, chunks)
				text = protocol.Request{
					UUID: benchUUID, Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: protocol.VerbStream,
					Stage: protocol.StageAssets, Data: data, TransferID: benchUUID,
				}.Append(text[:0])
			}
		})
	}
	b.Run("base64/encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(appendAssets(nil, protocol.ChunkBase64, chunks))))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(map[string]any{"uuid": benchUUID, "data": chunks}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
