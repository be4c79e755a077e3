package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// The strategies of a push. StrategyRestore is the only one that Strapi knows: what is in the way is deleted first. StrategyMerge is for
// peers that have agreed on [ExtensionMerge]; all others refuse it before they do anything.
const (
	StrategyRestore = "restore"
	StrategyMerge   = "merge"
)

// AssetEncodingBase64 is the encoding of asset chunks that a client may ask for and a server may grant in init.
const AssetEncodingBase64 = "base64"

// InitParams are the params of init. Servers up to 5.42 need Options on push; none wants them on pull.
type InitParams struct {
	Options       *InitOptions `json:"options,omitempty"`
	Transfer      Direction    `json:"transfer,omitempty"`
	Checksums     bool         `json:"checksums,omitempty"`
	AssetEncoding string       `json:"assetEncoding,omitempty"` // AssetEncodingBase64 or ""
	Extensions    Extensions   `json:"extensions,omitzero"`
	Source        *Metadata    `json:"source,omitempty"` // of a push with ExtensionSchemas: what the content comes from
}

// InitOptions say how a push treats what is there.
type InitOptions struct {
	Strategy string   `json:"strategy"`
	Conflict string   `json:"conflict,omitempty"` // with StrategyMerge: which side wins where both have a row; "" leaves it to the server
	Restore  *Restore `json:"restore,omitempty"`  // with StrategyMerge: not what is deleted, but what comes
}

// Restore says what a push deletes before it begins.
type Restore struct {
	Entities      *RestoreEntities      `json:"entities,omitempty"`
	Assets        bool                  `json:"assets"`
	Configuration *RestoreConfiguration `json:"configuration,omitempty"`
}

// RestoreEntities says of which content types the rows are deleted.
type RestoreEntities struct {
	Exclude []string        `json:"exclude"`
	Include []string        `json:"include,omitzero"` // nil means all, empty none
	Params  json.RawMessage `json:"params,omitempty"` // a database query that narrows the rows; no client is known to send it
}

// RestoreConfiguration says which settings are deleted.
type RestoreConfiguration struct {
	Webhook   bool `json:"webhook"`
	CoreStore bool `json:"coreStore"`
}

// Append appends the params' text to dst.
func (p InitParams) Append(dst []byte) ([]byte, error) {
	if p.Options != nil && p.Options.Restore != nil && p.Options.Restore.Entities != nil {
		entities := *p.Options.Restore.Entities
		if entities.Exclude == nil {
			entities.Exclude = []string{}
		}
		restore, options := *p.Options.Restore, *p.Options
		restore.Entities, options.Restore = &entities, &restore
		p.Options = &options
	}
	return appendJSON(dst, p)
}

// ParseInitParams reads the params of init as a server does: of what is not of the right type, checksums, encoding and
// extensions count as absent, as in Strapi, while options that cannot be read are an error.
func ParseInitParams(raw json.RawMessage) (InitParams, error) {
	var p InitParams
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		switch name {
		case "options":
			if !Truthy(value) {
				return nil
			}
			p.Options = &InitOptions{Strategy: StrategyRestore}
			return json.Unmarshal(value, p.Options)
		case "transfer":
			p.Transfer = Direction(asText(value, maxID))
		case "checksums":
			p.Checksums = asBool(value)
		case "assetEncoding":
			if encoding, _ := asString(value); encoding == AssetEncodingBase64 {
				p.AssetEncoding = encoding
			}
		case "extensions":
			p.Extensions = ParseExtensions(value)
		case "source":
			if meta, err := ParseMetadata(value); err == nil {
				p.Source = meta
			}
		}
		return nil
	})
	if err != nil {
		return InitParams{}, fmt.Errorf("read params of init: %w", err)
	}
	return p, nil
}

// InitResult answers init. Servers before 5.43 leave out all but TransferID.
type InitResult struct {
	TransferID    string     `json:"transferID"`
	Checksums     bool       `json:"checksums,omitempty"`
	AssetEncoding string     `json:"assetEncoding,omitempty"`
	Extensions    Extensions `json:"extensions,omitzero"`
}

// Append appends the result's text to dst.
func (r InitResult) Append(dst []byte) ([]byte, error) { return appendJSON(dst, r) }

// ErrInvalidAnswer marks an answer that a client cannot go on with.
var ErrInvalidAnswer = errors.New("invalid answer from the server")

// ParseInitResult reads the answer to init. Without a transfer id it is an error.
func ParseInitResult(raw json.RawMessage) (InitResult, error) {
	var r InitResult
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		switch name {
		case "transferID":
			r.TransferID, _ = asString(value)
		case "checksums":
			r.Checksums = asBool(value)
		case "assetEncoding":
			if encoding, _ := asString(value); encoding == AssetEncodingBase64 {
				r.AssetEncoding = encoding
			}
		case "extensions":
			r.Extensions = ParseExtensions(value)
		}
		return nil
	})
	switch {
	case err != nil:
		return InitResult{}, fmt.Errorf("init: %w: %w", ErrInvalidAnswer, err)
	case r.TransferID == "":
		return InitResult{}, fmt.Errorf("init: %w: it names no transfer", ErrInvalidAnswer)
	case len(r.TransferID) > maxID:
		return InitResult{}, fmt.Errorf("init: %w: transfer id of %d bytes, at most %d", ErrInvalidAnswer, len(r.TransferID), maxID)
	}
	return r, nil
}

// EndParams are the params of end.
type EndParams struct {
	TransferID string `json:"transferID,omitempty"`
}

// Append appends the params' text to dst.
func (p EndParams) Append(dst []byte) []byte {
	if p.TransferID == "" {
		return append(dst, "{}"...)
	}
	dst = append(dst, `{"transferID":`...)
	return append(appendQuoted(dst, p.TransferID), '}')
}

// ParseEndParams reads the params of end. What cannot be read counts as no id.
func ParseEndParams(raw json.RawMessage) (p EndParams) {
	err := eachMember(raw, func(name string, value json.RawMessage) error {
		if name == "transferID" && len(value) <= maxID {
			p.TransferID, _ = asString(value)
		}
		return nil
	})
	if err != nil {
		return EndParams{}
	}
	return p
}

// appendJSON appends v as encoding/json writes it, but with <, > and & as they are, as JavaScript does.
func appendJSON(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, fmt.Errorf("write %T: %w", v, err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// eachMember calls visit for the members of the object raw. null and nothing at all have none.
func eachMember(raw json.RawMessage, visit func(name string, value json.RawMessage) error) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	s, err := newScanner(raw, MaxMessage)
	if err != nil {
		return err
	}
	if s.peek() != '{' {
		return ErrNotObject
	}
	err = s.object(func(name []byte) error {
		key := string(name)
		value, err := s.value()
		if err != nil {
			return err
		}
		return visit(key, value)
	})
	if err != nil {
		return err
	}
	return s.end()
}
