package strapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/project"
	"github.com/transfer-runner/runner/providers/strapi/uploads"
	"github.com/transfer-runner/runner/transfer"
)

// Choices are what a user may say about a project or a database beyond where it is. The zero value says nothing.
type Choices struct {
	Name     string   // how the user calls it, without secrets
	Environ  []string // variables of the Strapi process as NAME=VALUE; nil is those of this one
	Env      string   // instead of NODE_ENV
	Zone     string   // instead of TZ
	Database string   // instead of the project's own: an address that may hold a password
	Uploads  string   // folder of the uploaded files
	Schemas  string   // file of schemas by uid, or folder of a project or its components

	Logger *slog.Logger
}

// OpenProject opens a Strapi project by its folder.
func OpenProject(ctx context.Context, dir string, c Choices) (*Site, error) {
	p, err := project.Open(ctx, dir, project.Options{Environ: c.Environ, Env: c.Env, Zone: c.Zone, Database: c.Database, Uploads: c.Uploads})
	if err != nil {
		return nil, err
	}
	if p.RemoteOff {
		p.Notes = append(p.Notes, transfer.Note{Level: transfer.NoteInfo, Message: "the project turns remote transfers off (server.transfer.remote.enabled): " +
			"that is for Strapi's own server, and not asked here"})
	}
	opts := Options{
		Database: p.Database, Components: p.Components, ContentTypes: p.ContentTypes, Version: p.Version, Name: c.Name, TokenSalt: string(p.TokenSalt), Notes: p.Notes,
		Logger: c.Logger,
	}
	if opts.Uploads, err = store(p); err != nil {
		return nil, err
	}
	if err := givenSchemas(ctx, &opts, c.Schemas); err != nil {
		return nil, err
	}
	if err := present(opts.Database); err != nil {
		return nil, fmt.Errorf("%w; start Strapi once to make it, or name another one with --database", err)
	}
	return Open(ctx, opts)
}

// OpenDatabase opens the database of a Strapi project whose folder is not here.
func OpenDatabase(ctx context.Context, config database.Config, c Choices) (*Site, error) {
	opts := Options{Database: config, Name: c.Name, Kind: "strapi database", Logger: c.Logger}
	zone, err := project.Zone(c.Zone)
	if err != nil {
		return nil, err
	}
	opts.Database.Zone = zone
	if c.Uploads != "" {
		opts.Uploads = uploads.NewFolder(c.Uploads, uploads.FolderOptions{})
	}
	if err := givenSchemas(ctx, &opts, c.Schemas); err != nil {
		return nil, err
	}
	if err := present(opts.Database); err != nil {
		return nil, err
	}
	return Open(ctx, opts)
}

// present refuses an SQLite file that is not there, which would be made otherwise.
func present(config database.Config) error {
	if config.Kind != database.SQLite {
		return nil
	}
	info, err := os.Stat(config.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no database file %s", transfer.ErrUsage, config.Path)
	case err != nil:
		return fmt.Errorf("open the database: %w", err)
	case info.IsDir():
		return fmt.Errorf("%w: %s is a folder, not a database file", transfer.ErrUsage, config.Path)
	}
	return nil
}

// store is where a project keeps its files.
func store(p *project.Project) (uploads.Store, error) {
	switch {
	case p.Upload.Provider == project.LocalProvider:
		return uploads.NewFolder(p.Upload.Folder, uploads.FolderOptions{}), nil
	case uploads.IsS3(p.Upload.Provider):
		opts, err := uploads.ParseS3(p.Upload.Options, func(name string) string { return p.Vars[name] })
		if err != nil {
			return nil, err
		}
		opts.Provider = p.Upload.Provider
		return uploads.NewS3(opts)
	}
	return uploads.NewElsewhere(p.Upload.Provider), nil
}

// maxSchemas bounds a file of schemas.
const maxSchemas = 64 << 20

// givenSchemas takes schemas or components from where the user says they are.
func givenSchemas(ctx context.Context, o *Options, path string) error {
	if path == "" {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%w: --schemas: %w", transfer.ErrUsage, err)
	}
	if info.IsDir() {
		if below := filepath.Join(path, "src", "components"); isFolder(below) {
			path = below
		}
		o.Components, err = project.ReadComponents(ctx, path, nil)
		if err == nil && len(o.Components) == 0 {
			err = fmt.Errorf("%s holds no components, which are files such as shared/seo.json", path)
		}
	} else {
		o.Schemas, err = readSchemas(path)
	}
	if err != nil {
		return fmt.Errorf("%w: --schemas: %w", transfer.ErrUsage, err)
	}
	return nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readSchemas reads a file of schemas by uid, as inspect writes it.
func readSchemas(path string) (transfer.Schemas, error) {
	file, err := os.Open(path) //nolint:gosec // the user named it
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(file, maxSchemas+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxSchemas {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxSchemas)
	}
	var byUID map[string]json.RawMessage
	if err := json.Unmarshal(text, &byUID); err != nil {
		return nil, fmt.Errorf("%s is not an object of schemas by uid, as transfer inspect --schemas writes it: %w", path, err)
	}
	schemas := make(transfer.Schemas, len(byUID))
	for uid, raw := range byUID {
		s, err := transfer.ParseSchema(raw, uid)
		if err != nil {
			return nil, err
		}
		if s.UID != uid {
			return nil, fmt.Errorf("%s: the schema called %q says that its uid is %q", path, uid, s.UID)
		}
		schemas[uid] = s
	}
	if !hasContentTypes(schemas) {
		return nil, fmt.Errorf("%s holds no content types", path)
	}
	return schemas, nil
}

func hasContentTypes(schemas transfer.Schemas) bool {
	for uid := range schemas {
		if strings.Contains(uid, "::") {
			return true
		}
	}
	return false
}

// Place names the database without saying how to get in, to tell whether two sites are one.
func (s *Site) Place() string { return s.opts.Database.String() }

// Name is how the user calls the site.
func (s *Site) Name() string { return s.opts.Name }
