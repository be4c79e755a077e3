package transfer

import (
	"fmt"
	"slices"
	"strings"
)

// Group is a part of a site that a user can ask for or leave out. The names and their meaning are those of the stock --only and
// --exclude.
type Group string

// The groups. GroupMediaLibrary, for Exclude alone, is the files and their rows.
const (
	GroupContent      Group = "content" // entities and links
	GroupFiles        Group = "files"   // assets
	GroupConfig       Group = "config"  // core store and webhooks
	GroupMediaLibrary Group = "media-library"
)

// The content types of the media library.
const (
	typeUploadFile   = "plugin::upload.file"
	typeUploadFolder = "plugin::upload.folder"
)

// ParseGroup returns the group called name.
func ParseGroup(name string) (Group, error) {
	g := Group(strings.TrimSpace(name))
	switch g {
	case GroupContent, GroupFiles, GroupConfig, GroupMediaLibrary:
		return g, nil
	}
	return "", fmt.Errorf("%w: unknown part %q: one of content, files, config, media-library", ErrUsage, name)
}

// Filter says which part of a site is moved. The zero value is everything. What Strapi itself never moves, [Protected] types,
// stays out in any case.
type Filter struct {
	Only, Exclude           []Group
	OnlyTypes, ExcludeTypes []string // content types by uid
}

// Protected reports whether Strapi never moves the content type: everything of the admin panel, and releases.
func Protected(uid string) bool {
	return strings.HasPrefix(uid, "admin::") ||
		uid == "plugin::content-releases.release" || uid == "plugin::content-releases.release-action"
}

// Validate reports a filter that contradicts itself.
func (f Filter) Validate() error {
	if slices.Contains(f.Only, GroupMediaLibrary) {
		return fmt.Errorf("%w: media-library can be excluded, not asked for alone: use only content,files", ErrUsage)
	}
	for _, g := range f.Only {
		if slices.Contains(f.Exclude, g) {
			return fmt.Errorf("%w: %s is both in only and in exclude", ErrUsage, g)
		}
	}
	for _, uid := range f.OnlyTypes {
		if slices.Contains(f.ExcludeTypes, uid) {
			return fmt.Errorf("%w: content type %s is both in only and in exclude", ErrUsage, uid)
		}
	}
	for _, uid := range slices.Concat(f.OnlyTypes, f.ExcludeTypes) {
		if Protected(uid) && slices.Contains(f.OnlyTypes, uid) {
			return fmt.Errorf("%w: content type %s is never transferred", ErrUsage, uid)
		}
	}
	return nil
}

// Check reports content types in the filter that schemas do not know. Unknown schemas pass.
func (f Filter) Check(schemas Schemas) error {
	if schemas == nil {
		return nil
	}
	for _, uid := range slices.Concat(f.OnlyTypes, f.ExcludeTypes) {
		if s, ok := schemas[uid]; !ok || s.ModelType == modelComponent {
			return fmt.Errorf("%w: unknown content type %q: one of %s", ErrUsage, uid, strings.Join(schemas.contentTypes(), ", "))
		}
	}
	return nil
}

// Stages returns the stages that the filter leaves, in order. Schemas always come.
func (f Filter) Stages() []Stage {
	stages := []Stage{StageSchemas}
	for _, s := range []struct {
		stage Stage
		group Group
	}{
		{StageEntities, GroupContent}, {StageAssets, GroupFiles}, {StageLinks, GroupContent}, {StageConfiguration, GroupConfig},
	} {
		if f.hasGroup(s.group) {
			stages = append(stages, s.stage)
		}
	}
	return stages
}

func (f Filter) hasGroup(g Group) bool {
	if slices.Contains(f.Exclude, g) || len(f.Only) > 0 && !slices.Contains(f.Only, g) {
		return false
	}
	if g != GroupFiles {
		return true
	}
	if slices.Contains(f.Exclude, GroupMediaLibrary) {
		return false
	}
	// Files whose rows are not moved would belong to nobody. Strapi leaves them out too unless they are asked for by name.
	return slices.Contains(f.Only, GroupFiles) || f.HasType(typeUploadFile) || f.HasType(typeUploadFolder)
}

// HasType reports whether rows of the content type are moved.
func (f Filter) HasType(uid string) bool {
	switch {
	case Protected(uid), slices.Contains(f.ExcludeTypes, uid):
		return false
	case slices.Contains(f.Exclude, GroupMediaLibrary) && (uid == typeUploadFile || uid == typeUploadFolder):
		return false
	}
	return len(f.OnlyTypes) == 0 || slices.Contains(f.OnlyTypes, uid)
}

// partial reports whether some content types are left out by the user's wish.
func (f Filter) partial() bool {
	return len(f.OnlyTypes) > 0 || len(f.ExcludeTypes) > 0 || slices.Contains(f.Exclude, GroupMediaLibrary)
}

// Restore returns what a destination with these schemas has to delete before it is filled. The rules are those by which the stock
// command builds its restore options.
func (f Filter) Restore(destination Schemas) Restore {
	r := Restore{Assets: f.hasGroup(GroupFiles), Configuration: f.hasGroup(GroupConfig)}
	for _, uid := range destination.contentTypes() {
		if Protected(uid) {
			r.Exclude = append(r.Exclude, uid)
		}
	}
	for _, uid := range []string{"plugin::content-releases.release", "plugin::content-releases.release-action"} {
		if !slices.Contains(r.Exclude, uid) {
			r.Exclude = append(r.Exclude, uid)
		}
	}
	r.Exclude = append(r.Exclude, f.ExcludeTypes...)
	if slices.Contains(f.Exclude, GroupMediaLibrary) {
		r.Exclude = append(r.Exclude, typeUploadFile, typeUploadFolder)
	}
	switch {
	case !f.hasGroup(GroupContent):
		r.Include = []string{}
	case len(f.OnlyTypes) > 0:
		r.Include = slices.Clone(f.OnlyTypes)
	case !r.Configuration:
		// Without a list the destination would clear its internal models too, the core store among them.
		r.Include = []string{}
		for _, uid := range destination.contentTypes() {
			if f.HasType(uid) {
				r.Include = append(r.Include, uid)
			}
		}
	}
	return r
}

// words says what the filter leaves out, for people.
func (f Filter) words() (out []string) {
	for _, g := range []Group{GroupContent, GroupFiles, GroupConfig} {
		if !f.hasGroup(g) {
			out = append(out, string(g))
		}
	}
	if slices.Contains(f.Exclude, GroupMediaLibrary) {
		out = append(out, "rows of the media library")
	}
	if len(f.OnlyTypes) > 0 {
		out = append(out, "all content types but "+strings.Join(f.OnlyTypes, ", "))
	}
	if len(f.ExcludeTypes) > 0 {
		out = append(out, "content types "+strings.Join(f.ExcludeTypes, ", "))
	}
	return out
}
