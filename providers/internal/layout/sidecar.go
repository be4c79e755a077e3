package layout

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// MaxSidecar is the longest row of an uploaded file, in bytes. It holds names, addresses and the list of formats.
const MaxSidecar = 4 << 20

// CheckSidecar reports why `strapi import` would refuse the row of the uploaded file called asset. The rules are those of its
// preflight, which comes before it deletes anything.
func CheckSidecar(asset string, text []byte) error {
	if err := (transfer.Asset{Filename: asset, Metadata: text}).Validate(); err != nil {
		return err
	}
	var row map[string]json.RawMessage
	if err := json.Unmarshal(text, &row); err != nil || row == nil {
		return sidecarError(asset, "it is not a JSON object")
	}
	var wrong []string
	if id, ok := number(row["id"]); !ok || id <= 0 || id != math.Trunc(id) {
		wrong = append(wrong, "id")
	}
	if size, ok := number(row["size"]); !ok || size < 0 {
		wrong = append(wrong, "size")
	}
	for _, field := range []string{"name", "hash", "mime", "url"} {
		if s, ok := stringOf(row[field]); !ok || s == "" {
			wrong = append(wrong, field)
		}
	}
	for _, field := range []string{"ext", "type", "mainHash"} {
		if _, ok := stringOf(row[field]); !ok && !absent(row[field]) {
			wrong = append(wrong, field)
		}
	}
	if len(wrong) > 0 {
		return sidecarError(asset, "these members are missing or wrong: "+strings.Join(wrong, ", "))
	}
	hash, _ := stringOf(row["hash"])
	ext, _ := stringOf(row["ext"])
	if !slices.Contains([]string{hash + ext, hash + legacyExt(row["ext"])}, asset) {
		return sidecarError(asset, fmt.Sprintf("its hash and ext name another file, %q", shorten(hash+ext)))
	}
	return nil
}

func sidecarError(asset, why string) error {
	return fmt.Errorf("%w: the metadata of the file %q cannot be used: %s", transfer.ErrDamaged, shorten(asset), why)
}

func number(raw json.RawMessage) (float64, bool) {
	if len(raw) == 0 || raw[0] == '"' {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

func stringOf(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// legacyExt is what old exporters appended for a file without an extension: the word that JavaScript has for nothing.
func legacyExt(raw json.RawMessage) string {
	switch {
	case len(raw) == 0:
		return "undefined"
	case string(raw) == "null":
		return "null"
	}
	ext, _ := stringOf(raw)
	return ext
}
