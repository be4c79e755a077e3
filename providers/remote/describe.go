package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// kind is how a description names this kind of endpoint.
const kind = "strapi server"

// maxSchemas is the most content types and components that are taken from a server. Real sites have hundreds.
const maxSchemas = 100_000

// describe asks the server what it is.
func (s *session) describe(ctx context.Context) (transfer.Description, error) {
	d := transfer.Description{Kind: kind, Name: s.name, Blank: s.agreed.Schemas} // a server that has schemas of its own does not take ours
	raw, err := s.action(ctx, protocol.ActionGetMetadata)
	if err != nil {
		return d, err
	}
	meta, err := protocol.ParseMetadata(raw)
	if err != nil {
		return d, explain("read the server's metadata", err)
	}
	if meta != nil {
		d.Version = meta.Strapi.Version
		if t, err := time.Parse(time.RFC3339, meta.CreatedAt); err == nil {
			d.CreatedAt = t
		}
	}
	raw, err = s.action(ctx, protocol.ActionGetSchemas)
	if err != nil {
		return d, err
	}
	d.Schemas, err = parseSchemas(raw)
	return d, err
}

// parseSchemas reads the answer to getSchemas. A server that does not know its schemas answers null.
func parseSchemas(raw json.RawMessage) (transfer.Schemas, error) {
	if !protocol.Truthy(raw) {
		return nil, nil
	}
	var byUID map[string]json.RawMessage
	if err := json.Unmarshal(raw, &byUID); err != nil {
		return nil, explain("read the server's schemas", fmt.Errorf("%w: %w", protocol.ErrInvalidAnswer, err))
	}
	if len(byUID) > maxSchemas {
		return nil, explain("read the server's schemas", fmt.Errorf("%w: %d schemas, at most %d", protocol.ErrInvalidAnswer, len(byUID), maxSchemas))
	}
	schemas := make(transfer.Schemas, len(byUID))
	for _, uid := range slices.Sorted(maps.Keys(byUID)) {
		schema, err := transfer.ParseSchema(byUID[uid], uid)
		if err != nil {
			return nil, fmt.Errorf("read the server's schemas: %w; %s", err, hintNotRunner)
		}
		schemas[uid] = schema
	}
	return schemas, nil
}
