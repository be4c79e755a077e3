package protocol

import (
	"encoding/json"
	"slices"
	"strconv"
)

// envelopeRoom is more than what an envelope adds to its data: names, ids and punctuation.
const envelopeRoom = 256

// Append appends the message's text to dst, with its members in the order in which Strapi's client writes them. Params and Data
// are copied as they are and must be valid JSON. One with a Payload becomes a binary message; see [IsBinary].
func (r Request) Append(dst []byte) []byte {
	if r.Payload != nil {
		payload := r.Payload
		r.Payload = nil
		return appendBinary(dst, r.Append, payload)
	}
	dst = slices.Grow(dst, len(r.Params)+len(r.Data)+envelopeRoom)
	dst = append(dst, `{"type":`...)
	dst = appendQuoted(dst, string(r.Type))
	if r.Type == TypeCommand {
		dst = append(dst, `,"command":`...)
		dst = appendQuoted(dst, string(r.Command))
		if r.Params != nil {
			dst = append(dst, `,"params":`...)
			dst = appendRaw(dst, r.Params, "null")
		}
		dst = append(dst, `,"uuid":`...)
		return append(appendQuoted(dst, r.UUID), '}')
	}
	dst = append(dst, `,"kind":`...)
	dst = appendQuoted(dst, string(r.Kind))
	dst = append(dst, `,"action":`...)
	if r.Kind == KindStep {
		dst = r.appendStep(dst)
	} else {
		dst = appendQuoted(dst, string(r.Action))
	}
	dst = append(dst, `,"uuid":`...)
	dst = appendQuoted(dst, r.UUID)
	if r.TransferID != "" {
		dst = append(dst, `,"transferID":`...)
		dst = appendQuoted(dst, r.TransferID)
	}
	if r.Seq > 0 {
		dst = append(dst, `,"seq":`...)
		dst = strconv.AppendInt(dst, r.Seq, 10)
	}
	return append(dst, '}')
}

func (r Request) appendStep(dst []byte) []byte {
	dst = appendQuoted(dst, string(r.Verb))
	dst = append(dst, `,"step":`...)
	dst = appendQuoted(dst, string(r.Stage))
	if r.Data != nil {
		dst = append(dst, `,"data":`...)
		dst = appendRaw(dst, r.Data, "null")
	}
	return dst
}

// Append appends the response's text to dst. Data is copied as it is and must be valid JSON.
func (r Response) Append(dst []byte) []byte {
	dst = slices.Grow(dst, len(r.Data)+envelopeRoom)
	dst = append(dst, '{')
	if r.UUID != "" {
		dst = append(dst, `"uuid":`...)
		dst = append(appendQuoted(dst, r.UUID), ',')
	}
	dst = append(dst, `"data":`...)
	dst = appendRaw(dst, r.Data, "null")
	dst = append(dst, `,"error":`...)
	return append(r.Error.Append(dst), '}')
}

// Append appends the diagnostic's text to dst.
func (d Diagnostic) Append(dst []byte) []byte {
	dst = append(dst, `{"diagnostic":{"details":{"message":`...)
	dst = appendQuoted(dst, d.Details.Message)
	dst = appendMember(dst, "origin", d.Details.Origin)
	dst = appendMember(dst, "createdAt", d.Details.CreatedAt)
	dst = appendMember(dst, "severity", d.Details.Severity)
	dst = appendMember(dst, "name", d.Details.Name)
	if d.Details.Params != nil {
		dst = append(dst, `,"params":`...)
		dst = appendRaw(dst, d.Details.Params, "null")
	}
	if d.Details.Error != nil {
		dst = append(dst, `,"error":`...)
		dst = appendRaw(dst, d.Details.Error, "null")
	}
	dst = append(dst, `},"kind":`...)
	dst = appendQuoted(dst, string(d.Kind))
	dst = append(dst, `},"uuid":`...)
	return append(appendQuoted(dst, d.UUID), '}')
}

// appendMember appends a further member that is a string, unless that is empty.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, ',')
	dst = append(appendQuoted(dst, name), ':')
	return appendQuoted(dst, value)
}

// Append appends the frame's text to dst. Data and Error are copied as they are and must be valid JSON. One with a Payload becomes a
// binary message; see [IsBinary].
func (f Frame) Append(dst []byte) []byte {
	if f.Payload != nil {
		payload := f.Payload
		f.Payload = nil
		return appendBinary(dst, f.Append, payload)
	}
	dst = slices.Grow(dst, len(f.Data)+envelopeRoom)
	dst = append(dst, `{"uuid":`...)
	dst = appendQuoted(dst, f.UUID)
	dst = append(dst, `,"data":{"type":"transfer","data":`...)
	dst = appendRaw(dst, f.Data, "null")
	if f.Ended {
		dst = append(dst, `,"ended":true,"error":`...)
	} else {
		dst = append(dst, `,"ended":false,"error":`...)
	}
	dst = appendRaw(dst, f.Error, "null")
	dst = append(dst, `,"id":`...)
	return append(appendQuoted(dst, f.Stream), "}}"...)
}

// AppendAck appends the text by which a client acknowledges the [Frame] with the given UUID.
func AppendAck(dst []byte, uuid string) []byte {
	dst = append(dst, `{"uuid":`...)
	return append(appendQuoted(dst, uuid), '}')
}

// AppendItems appends the data of a stream message: an array of items, each valid JSON and copied as it is.
func AppendItems(dst []byte, items ...json.RawMessage) []byte {
	dst = append(dst, '[')
	for i, item := range items {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, item...)
	}
	return append(dst, ']')
}
