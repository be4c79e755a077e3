package read

import (
	"github.com/transfer-runner/runner/providers/strapi/internal/render"
	"github.com/transfer-runner/runner/providers/strapi/model"
	"github.com/transfer-runner/runner/transfer"
)

// linkWriter writes the links of one relation, with their members where Strapi has them.
type linkWriter struct {
	l     *linkReader
	head  string // up to the left ref
	after string // the left ref, and its position if there is one; up to the right ref or type
	right string // type and field of the right side, if it is always the same
}

func (l *linkReader) writer() *linkWriter {
	r := l.rel
	w := &linkWriter{l: l}
	w.head = `{"kind":` + quoted(r.Kind) + `,"relation":` + quoted(r.Relation) + `,"left":{"type":` + quoted(l.t.UID)
	field := `,"field":` + quoted(r.Attribute)
	w.after = `},"right":{`
	switch r.Storage {
	case model.JoinTable:
		w.head += field
		w.right = `"type":` + quoted(r.Target)
		if r.Inverse != "" {
			w.right += `,"field":` + quoted(r.Inverse)
		}
		w.right += ","
	case model.MorphTable:
		w.head += field
	case model.JoinColumn:
		w.after = field + w.after
		w.right = `"type":` + quoted(r.Target) + ","
	case model.MorphColumns:
		w.after = field + w.after
	}
	w.head += `,"ref":`
	return w
}

// span is where the parts of a link are in the text of a portion.
type span struct{ from, to int }

func (s span) of(text string) string { return text[s.from:s.to] }

type linkSpans struct{ raw, left, leftPos, right, rightPos span }

// write writes the links that lead somewhere, and tells of the others: those without a target first, as Strapi does.
func (w *linkWriter) write(links []found) []transfer.Record {
	w.tell(links)
	out := make([]byte, 0, len(links)*(len(w.head)+len(w.after)+len(w.right)+64))
	spans := make([]linkSpans, len(links))
	for i := range links {
		if !links[i].missing {
			out, spans[i] = w.append(out, &links[i])
		}
	}
	text := string(out) // what the links share
	records := make([]transfer.Record, 0, len(links))
	for i := range links {
		f, s := &links[i], &spans[i]
		if f.missing {
			continue
		}
		record := transfer.Link{
			Kind: w.l.rel.Kind, Relation: w.l.rel.Relation,
			Left:  transfer.End{Type: w.l.t.UID, Field: w.l.rel.Attribute, Ref: transfer.Ref(s.left.of(text)), Pos: position(s.leftPos.of(text))},
			Right: transfer.End{Type: f.typ, Ref: transfer.Ref(s.right.of(text)), Pos: position(s.rightPos.of(text))},
		}
		switch w.l.rel.Storage {
		case model.JoinTable:
			record.Right.Field = w.l.rel.Inverse
		case model.MorphTable:
			record.Right.Field, _ = f.field.(string)
		case model.JoinColumn, model.MorphColumns:
		}
		records = append(records, transfer.WrittenLink(out[s.raw.from:s.raw.to:s.raw.to], record))
	}
	return records
}

// position is "" for one that is null.
func position(text string) string {
	if text == "null" {
		return ""
	}
	return text
}

func (w *linkWriter) append(out []byte, f *found) ([]byte, linkSpans) {
	var s linkSpans
	r := w.l.rel
	s.raw.from = len(out)
	out = append(out, w.head...)
	out, s.left = appendSpan(out, f.left)
	if r.Order != "" && r.Storage == model.JoinTable {
		out, s.leftPos = appendSpan(append(out, `,"pos":`...), f.leftPos)
	}
	out = append(append(out, w.after...), w.right...)
	if r.Storage == model.MorphColumns {
		out = append(appendValue(append(out, `"type":`...), f.typ), ',')
	}
	out, s.right = appendSpan(append(out, `"ref":`...), f.right)
	switch {
	case r.Storage == model.MorphTable:
		out, s.rightPos = appendSpan(append(out, `,"pos":`...), f.rightPos)
		out = appendValue(append(out, `,"type":`...), f.typ)
		out = appendValue(append(out, `,"field":`...), f.field)
	case r.InverseOrder != "":
		out, s.rightPos = appendSpan(append(out, `,"pos":`...), f.rightPos)
	}
	out = append(out, '}', '}')
	s.raw.to = len(out)
	return out, s
}

func appendSpan(out []byte, value any) ([]byte, span) {
	from := len(out)
	out = appendValue(out, value)
	return out, span{from, len(out)}
}

func appendValue(out []byte, value any) []byte {
	if text, ok := value.(string); ok {
		out, _ = render.AppendQuoted(out, text)
		return out
	}
	return render.AppendNumber(out, value)
}

func (w *linkWriter) tell(links []found) {
	if w.l.orphan == nil {
		return
	}
	for _, absent := range []bool{true, false} {
		for i := range links {
			f := &links[i]
			if f.missing && (f.right == nil || f.typ == "null") == absent {
				w.l.orphan(Orphan{Left: w.l.t.UID, LeftRef: shown(f.left), Right: f.typ, RightRef: shown(f.right)})
			}
		}
	}
}
