package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// placeholder stands in JSON for a binary attachment.
type placeholder struct {
	Placeholder bool `json:"_placeholder"`
	Num         int  `json:"num"`
}

// encodeArgs returns the JSON array of args and the binary data found in them: []byte as an argument of its own, or anywhere inside
// of map[string]any and []any. In other types encoding/json has it, as base64.
func encodeArgs(args []any) ([]byte, [][]byte, error) {
	var attachments [][]byte
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = detach(a, &attachments)
	}
	if len(attachments) > maxAttachments {
		return nil, nil, fmt.Errorf("encode event: %d attachments, at most %d", len(attachments), maxAttachments)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return nil, nil, fmt.Errorf("encode event: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), attachments, nil
}

// detach replaces binary data in v by placeholders. It copies what it changes.
func detach(v any, attachments *[][]byte) any {
	switch v := v.(type) {
	case []byte:
		*attachments = append(*attachments, v)
		return placeholder{Placeholder: true, Num: len(*attachments) - 1}
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = detach(value, attachments)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = detach(value, attachments)
		}
		return out
	default:
		return v
	}
}

// attach is the opposite of detach.
func attach(v any, attachments [][]byte) any {
	switch v := v.(type) {
	case map[string]any:
		if yes, ok := v["_placeholder"].(bool); ok && yes {
			number, ok := v["num"].(json.Number)
			n, err := number.Int64()
			if !ok || err != nil || n < 0 || n >= int64(len(attachments)) {
				return nil
			}
			return attachments[n]
		}
		for key, value := range v {
			v[key] = attach(value, attachments)
		}
	case []any:
		for i, value := range v {
			v[i] = attach(value, attachments)
		}
	}
	return v
}
