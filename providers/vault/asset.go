package vault

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/transfer-runner/runner/transfer"
)

// assetLine is a file as a line of the assets stage tells it.
type assetLine struct {
	Name     string          `json:"name"`
	Path     string          `json:"path"`
	Length   int64           `json:"length"`
	SHA256   string          `json:"sha256"`
	Metadata json.RawMessage `json:"metadata"`

	digest Digest
}

// appendTo appends the line. It is put together by hand because the metadata must stay as it is, to the byte.
func (a assetLine) appendTo(dst []byte) []byte {
	dst = appendQuoted(append(dst, `{"name":`...), a.Name)
	dst = appendQuoted(append(dst, `,"path":`...), a.Path)
	dst = fmt.Appendf(dst, `,"length":%d,"sha256":"%s","metadata":`, a.Length, a.digest)
	return append(append(dst, a.Metadata...), '}')
}

func appendQuoted(dst []byte, text string) []byte {
	out, err := jsontext.AppendQuote(dst, strings.ToValidUTF8(text, "\uFFFD"))
	if err != nil {
		return append(dst, `""`...) // cannot be: the text is valid
	}
	return out
}

// parseAsset reads a line.
func parseAsset(line []byte) (assetLine, error) {
	var a assetLine
	if err := json.Unmarshal(line, &a); err != nil {
		return a, fmt.Errorf("%w: asset line: %w", transfer.ErrDamaged, err)
	}
	var err error
	if a.digest, err = ParseDigest(a.SHA256); err != nil {
		return a, fmt.Errorf("asset %q: %w", a.Name, err)
	}
	if a.Length < 0 {
		return a, fmt.Errorf("%w: asset %q has a length of %d bytes", transfer.ErrDamaged, a.Name, a.Length)
	}
	return a, (transfer.Asset{Filename: a.Name, Metadata: a.Metadata}).Validate()
}
