package transfer

import (
	"strings"
)

// Stage implements [Record].
func (Schema) Stage() Stage { return StageSchemas }

// Stage implements [Record].
func (Entity) Stage() Stage { return StageEntities }

// Stage implements [Record].
func (Asset) Stage() Stage { return StageAssets }

// Stage implements [Record].
func (Link) Stage() Stage { return StageLinks }

// Stage implements [Record].
func (Setting) Stage() Stage { return StageConfiguration }

// Key implements [Record].
func (s Schema) Key() string { return s.UID }

// Key implements [Record].
func (e Entity) Key() string { return e.Type + " " + e.ID.String() }

// Key implements [Record].
func (a Asset) Key() string { return a.Filename }

// Key implements [Record].
func (l Link) Key() string { return l.Left.key() + " -> " + l.Right.key() }

// Key implements [Record].
func (s Setting) Key() string { return s.Type + " " + s.Name }

func (e End) key() string {
	if e.Field == "" {
		return e.Type + ":" + e.Ref.String()
	}
	return e.Type + ":" + e.Ref.String() + "." + e.Field
}

// Group implements [Record].
func (s Schema) Group() string { return orElse(s.ModelType, "contentType") }

// Group implements [Record].
func (e Entity) Group() string { return e.Type }

// Group implements [Record].
func (a Asset) Group() string { return orElse(extension(a.Filename), "(none)") }

// Group implements [Record].
func (l Link) Group() string { return l.Left.Type }

// Group implements [Record].
func (s Setting) Group() string { return s.Type }

// Size implements [Record].
func (s Schema) Size() int64 { return int64(len(s.raw)) }

// Size implements [Record].
func (e Entity) Size() int64 { return int64(len(e.raw)) }

// Size implements [Record].
func (a Asset) Size() int64 { return max(a.Length, 0) }

// Size implements [Record].
func (l Link) Size() int64 { return int64(len(l.raw)) }

// Size implements [Record].
func (s Setting) Size() int64 { return int64(len(s.raw)) }

// AppendJSON implements [Record].
func (s Schema) AppendJSON(dst []byte) []byte { return append(dst, s.raw...) }

// AppendJSON implements [Record].
func (e Entity) AppendJSON(dst []byte) []byte { return append(dst, e.raw...) }

// AppendJSON implements [Record].
func (a Asset) AppendJSON(dst []byte) []byte { return append(dst, a.Metadata...) }

// AppendJSON implements [Record].
func (l Link) AppendJSON(dst []byte) []byte { return append(dst, l.raw...) }

// AppendJSON implements [Record].
func (s Setting) AppendJSON(dst []byte) []byte { return append(dst, s.raw...) }

func (Schema) record()  {}
func (Entity) record()  {}
func (Asset) record()   {}
func (Link) record()    {}
func (Setting) record() {}

func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i > 0 {
		return strings.ToLower(name[i:])
	}
	return ""
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
