package layout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// MaxMetadata is the longest metadata.json that is read, in bytes.
const MaxMetadata = 1 << 20

// Metadata is what an export says of its origin.
type Metadata struct {
	Version   string    // of Strapi; "" when unknown
	CreatedAt time.Time // zero when unknown
}

type metadataJSON struct {
	CreatedAt string        `json:"createdAt,omitempty"`
	Strapi    *metadataHome `json:"strapi,omitempty"`
}

type metadataHome struct {
	Version string `json:"version"`
}

// isoMillis is how JavaScript writes a time.
const isoMillis = "2006-01-02T15:04:05.000Z"

// Encode returns the text of metadata.json as Strapi writes it.
func (m Metadata) Encode() ([]byte, error) {
	var out metadataJSON
	if !m.CreatedAt.IsZero() {
		out.CreatedAt = m.CreatedAt.UTC().Format(isoMillis)
	}
	if m.Version != "" {
		out.Strapi = &metadataHome{Version: m.Version}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return nil, fmt.Errorf("encode %s: %w", MetadataFile, err)
	}
	return bytes.TrimSuffix(text.Bytes(), []byte{'\n'}), nil
}

// ParseMetadata reads metadata.json. Any object will do, as with Strapi: what it does not say, or says in a form that is not
// understood, is unknown.
func ParseMetadata(text []byte) (Metadata, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return Metadata{}, fmt.Errorf("%w: %s is not a JSON object", transfer.ErrDamaged, MetadataFile)
	}
	var m Metadata
	var created string
	if json.Unmarshal(members["createdAt"], &created) == nil {
		if at, err := time.Parse(time.RFC3339Nano, created); err == nil {
			m.CreatedAt = at.UTC()
		}
	}
	var home map[string]json.RawMessage
	if json.Unmarshal(members["strapi"], &home) == nil {
		var version string
		if json.Unmarshal(home["version"], &version) == nil {
			m.Version = version
		}
	}
	return m, nil
}
