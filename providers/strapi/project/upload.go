package project

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
)

// Upload is how a project keeps its files.
type Upload struct {
	Provider string         // "local", "aws-s3" or another
	Folder   string         // of the local provider: the one with the files themselves
	Options  map[string]any // providerOptions of other providers; may hold secrets
}

// LocalProvider is what rows of the media library call the local folder.
const LocalProvider = "local"

// uploads reads what config/plugins says of the media library.
func (p *Project) uploads(ctx context.Context, s settings, opts Options) error {
	p.Upload = Upload{Provider: LocalProvider, Folder: filepath.Join(p.Public, "uploads")}
	if opts.Uploads != "" {
		folder, err := filepath.Abs(opts.Uploads)
		p.Upload.Folder = folder
		return err
	}
	s.script.lenient = true
	config, err := s.load(ctx, "plugins")
	if err != nil {
		return usage(err, "name the folder of the uploaded files with --uploads")
	}
	upload := at(config, "upload", "config")
	if upload == nil {
		return nil
	}
	provider := at(upload, "provider")
	if why := unknownIn([]any{provider, at(upload, "providerOptions")}, "upload.config"); why != "" {
		return usage(errors.New("config/plugins: "+why), "name the folder of the uploaded files with --uploads")
	}
	name, _ := provider.(string)
	switch name = strings.ToLower(name); name {
	case "", LocalProvider, "@strapi/provider-upload-local":
		return nil
	}
	p.Upload = Upload{Provider: name}
	p.Upload.Options, _ = at(upload, "providerOptions").(map[string]any)
	return nil
}

// String leaves the options out, which may hold secrets.
func (u Upload) String() string { return strings.TrimSpace(u.Provider + " " + u.Folder) }

// GoString is String.
func (u Upload) GoString() string { return u.String() }
