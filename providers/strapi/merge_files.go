package strapi

import "context"

// hasFile reports whether the destination has a file that is still what its row says. Then it is not even opened.
//
// Strapi gives each upload a name of its own, so that a file of the same name and length, whose row has not changed, is the same.
func (m *merger) hasFile(ctx context.Context, id int64, meta metadata, length int64) bool {
	if length < 0 || m.files.Has(id) {
		return false
	}
	f := meta.file
	f.URL, f.Provider = "", m.d.site.opts.Uploads.Provider()
	size, err := m.d.site.opts.Uploads.Stat(ctx, f)
	return err == nil && size == length
}
