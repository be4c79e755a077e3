package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/transfer-runner/runner/transfer"
)

// writeSchemas writes schemas as one JSON object by uid, in the words of their source.
func writeSchemas(path string, schemas transfer.Schemas) error {
	text := []byte("{")
	for i, uid := range slices.Sorted(maps.Keys(schemas)) {
		if i > 0 {
			text = append(text, ',')
		}
		name, err := json.Marshal(uid)
		if err != nil {
			return err
		}
		text = append(append(text, name...), ':')
		text = schemas[uid].AppendJSON(text)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, append(text, '}'), "", "  "); err != nil {
		return fmt.Errorf("write the schemas: %w", err)
	}
	out.WriteByte('\n')
	if err := replaceFile(path, out.Bytes()); err != nil {
		return fmt.Errorf("%w: write the schemas: %w", transfer.ErrUnwritable, err)
	}
	return nil
}
