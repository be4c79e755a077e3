package transfer

import "encoding/json"

// WrittenEntity returns the entity of a text that its source has just written itself, which is not read again: it must be what
// [ParseEntity] takes. data is a part of raw.
func WrittenEntity(raw []byte, typ string, id Ref, data json.RawMessage) Entity {
	return Entity{Type: typ, ID: id, Data: data, raw: raw}
}

// WrittenLink returns l with the text that its source has just written itself, which is not read again: it must be what
// [ParseLink] takes for l.
func WrittenLink(raw []byte, l Link) Link {
	l.raw = raw
	return l
}
