package transfer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Digest is what two copies of a site have in common, whatever ids their databases gave the rows: entities by type, documentId,
// locale and status; links between those; files by SHA-256; settings by key. It costs some 200 bytes of
// memory a row, and 100 for each of its components while it is collected.
type Digest struct {
	models   map[string]model
	entities map[string]map[sum]content  // by type and identity
	ids      map[string]map[int64]sum    // the identity of each row and component instance, by its number
	links    map[string]map[string]edges // by type and field of the left side
	assets   map[string]content
	settings map[string]content
}

type content struct {
	sum   sum
	count int64
	name  string
}

type edges struct {
	sum   sum
	count int64
}

// NewDigest returns an empty digest for content of these schemas. Rows of unknown types are compared as they are.
func NewDigest(schemas Schemas) (*Digest, error) {
	models, err := schemas.models()
	if err != nil {
		return nil, err
	}
	return &Digest{
		models:   models,
		entities: make(map[string]map[sum]content),
		ids:      make(map[string]map[int64]sum),
		links:    make(map[string]map[string]edges),
		assets:   make(map[string]content),
		settings: make(map[string]content),
	}, nil
}

// Collect reads a source through and returns its digest. Only the stages that filter leaves are read.
func Collect(ctx context.Context, src Source, filter Filter) (*Digest, error) {
	described, err := src.Describe(ctx)
	if err != nil {
		return nil, &Error{Side: FromSource, Op: "describe", Err: err}
	}
	d, err := NewDigest(described.Schemas)
	if err != nil {
		return nil, err
	}
	for _, stage := range filter.Stages() {
		for item, err := range src.Read(ctx, stage, 0) {
			if err == nil && filter.has(item.Record) {
				err = d.Add(ctx, item.Record)
			}
			if err != nil {
				return nil, &Error{Side: FromSource, Stage: stage, Op: "read", Err: err}
			}
		}
	}
	d.forget()
	return d, nil
}

// has reports whether the filter lets a record pass, as far as the record itself tells.
func (f Filter) has(r Record) bool {
	switch r := r.(type) {
	case Entity:
		return f.HasType(r.Type)
	case Link:
		return !f.excludesLink(r)
	case Schema, Asset, Setting:
	}
	return true
}

// Add takes a record into the digest. Assets are read to their end; entities must come before links.
func (d *Digest) Add(ctx context.Context, r Record) error {
	switch r := r.(type) {
	case Entity:
		return d.addEntity(r)
	case Link:
		d.addLink(r)
	case Setting:
		return d.addSetting(r)
	case Asset:
		body, err := r.Open(ctx)
		if err != nil {
			return err
		}
		_, err = copyDiscard(ctx, body)
		if err == nil {
			d.addAsset(r.Filename, body.Digest())
		}
		return joinClose(err, body)
	case Schema:
	}
	return nil
}

func (d *Digest) addEntity(e Entity) error {
	identity, name, err := identify(e)
	if err != nil {
		return err
	}
	text, err := canonicalRow(d.models, e.Type, e.Data)
	if err != nil {
		return err
	}
	if name == "" {
		identity = sumOf(text)
		name = e.Key()
	}
	at(d.entities, e.Type)[identity] = content{sumOf(text).plus(d.entities[e.Type][identity].sum), d.entities[e.Type][identity].count + 1, name}
	if id, ok := e.ID.Int(); ok {
		at(d.ids, e.Type)[id] = identity
	}
	return components(d.models, e.Type, e.Data, func(in instance) error {
		if id, ok := in.id.Int(); ok {
			at(d.ids, in.uid)[id] = sumOf(identity[:], []byte(in.path))
		}
		return nil
	})
}

// rewritten are the members of a file's row that a destination sets to where it keeps the file.
func rewritten(uid, name string) bool {
	return uid == typeUploadFile && (name == "url" || name == "previewUrl" || name == "provider" || name == "provider_metadata" || name == "formats")
}

// canonicalRow returns the canonical text of a row or a component, without the ids that its database gave to components.
func canonicalRow(models map[string]model, uid string, data []byte) ([]byte, error) {
	m := models[uid]
	var nested []string
	text, err := appendCanonicalObject(nil, data, func(name string) bool {
		if m.Attributes[name].nests() {
			nested = append(nested, name)
		}
		return m.Attributes[name].nests() || rewritten(uid, name) || !isContentType(uid) && (name == "id" || name == "__component")
	}, func(name string) string { return m.Attributes[name].Type })
	if err != nil || len(nested) == 0 {
		return text, err
	}
	err = components(models, uid, data, func(in instance) error {
		if strings.Count(in.path, ".") > 1 { // the row of the outer component holds it
			return nil
		}
		inner, err := canonicalRow(models, in.uid, in.data)
		text = append(append(append(text, in.path...), in.uid...), inner...)
		return err
	})
	return text, err
}

func (d *Digest) addLink(l Link) {
	left, right := d.endSum(l.Left), d.endSum(l.Right)
	position := func(pos string) []byte {
		if pos == "" {
			return nil
		}
		return []byte(canonicalNumber(pos))
	}
	s := sumOf([]byte(l.Kind), []byte(l.Relation), left[:], []byte(l.Left.Field), position(l.Left.Pos), right[:], []byte(l.Right.Field), position(l.Right.Pos))
	fields := at(d.links, l.Left.Type)
	e := fields[l.Left.Field]
	fields[l.Left.Field] = edges{e.sum.plus(s), e.count + 1}
}

func (d *Digest) endSum(e End) sum {
	if id, ok := e.Ref.Int(); ok {
		if s, ok := d.ids[e.Type][id]; ok {
			return s
		}
	}
	return sumOf([]byte(e.Type), []byte(e.Ref)) // a documentId, or a row that was not read
}

func (d *Digest) addAsset(name, sha256 string) {
	d.assets[name] = content{sum: sumOf([]byte(sha256)), count: d.assets[name].count + 1, name: name}
}

// selfWritten are the core-store values that a Strapi server changes by itself while it runs, on a timer that starts with it.
func selfWritten(s Setting) bool { return s.Type == "core-store" && s.Name == "plugin_upload_metrics" }

// forget lets go of what is needed only while records are added.
func (d *Digest) forget() { d.ids = make(map[string]map[int64]sum) }

func (d *Digest) addSetting(s Setting) error {
	if selfWritten(s) {
		return nil
	}
	text, err := appendCanonical(nil, jsontext.Value(s.Value), func(name string) bool { return name == "id" })
	if err != nil {
		return err
	}
	key := s.Type + " " + s.Name
	if s.Name == "" {
		key = string(text)
	}
	c := d.settings[key]
	d.settings[key] = content{c.sum.plus(sumOf(text)), c.count + 1, key}
	return nil
}

// Compare returns what differs between two digests, in words, at most limit of them and a line that says how many more. d is called
// the source, other the destination.
func (d *Digest) Compare(other *Digest, limit int) []string {
	var out []string
	for _, uid := range union(d.entities, other.entities) {
		out = append(out, compareContents(uid, d.entities[uid], other.entities[uid])...)
	}
	out = append(out, compareContents("file", d.assets, other.assets)...)
	for _, uid := range union(d.links, other.links) {
		for _, field := range union(d.links[uid], other.links[uid]) {
			a, b := d.links[uid][field], other.links[uid][field]
			switch {
			case a.count != b.count:
				out = append(out, fmt.Sprintf("links of %s.%s: %d at the source, %d at the destination", uid, field, a.count, b.count))
			case a.sum != b.sum:
				out = append(out, fmt.Sprintf("links of %s.%s: %d on both sides, but not the same", uid, field, a.count))
			}
		}
	}
	out = append(out, compareContents("setting", d.settings, other.settings)...)
	if limit > 0 && len(out) > limit {
		out = append(out[:limit:limit], fmt.Sprintf("and %d more", len(out)-limit))
	}
	return out
}

// Counts returns the entities by type, as the digest saw them.
func (d *Digest) Counts() map[string]int64 {
	out := make(map[string]int64, len(d.entities))
	for uid, rows := range d.entities {
		for _, c := range rows {
			out[uid] += c.count
		}
	}
	return out
}

func compareContents[K comparable](kind string, a, b map[K]content) []string {
	var out []string
	for key, ca := range a {
		switch cb, ok := b[key]; {
		case !ok:
			out = append(out, fmt.Sprintf("%s %s: only at the source", kind, ca.name))
		case ca.count != cb.count:
			out = append(out, fmt.Sprintf("%s %s: %d at the source, %d at the destination", kind, ca.name, ca.count, cb.count))
		case ca.sum != cb.sum:
			out = append(out, fmt.Sprintf("%s %s: differs", kind, ca.name))
		}
	}
	for key, cb := range b {
		if _, ok := a[key]; !ok {
			out = append(out, fmt.Sprintf("%s %s: only at the destination", kind, cb.name))
		}
	}
	slices.Sort(out)
	return out
}

func union[V any](a, b map[string]V) []string {
	keys := make(map[string]struct{}, len(a)+len(b))
	for k := range a {
		keys[k] = struct{}{}
	}
	for k := range b {
		keys[k] = struct{}{}
	}
	return slices.Sorted(maps.Keys(keys))
}

func at[K comparable, V any](m map[string]map[K]V, key string) map[K]V {
	inner := m[key]
	if inner == nil {
		inner = make(map[K]V)
		m[key] = inner
	}
	return inner
}
