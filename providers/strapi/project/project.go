package project

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // machines without a database of time zones, such as empty containers

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer"
)

// Project is what was found.
type Project struct {
	Dir      string // absolute
	Name     string // of package.json
	Version  string // of Strapi, "" when it could not be found
	Env      string // NODE_ENV
	Vars     Vars   // the environment of the Strapi process
	Database database.Config

	AdminPath string // "/admin" by default
	Public    string // the folder that holds uploads
	Upload    Upload
	TokenSalt Secret // of transfer tokens; "" when the project has none
	RemoteOff bool   // the project turns remote transfers off

	// Components are the component files by uid, as they are on disk.
	Components map[string]json.RawMessage
	// ContentTypes are those of the project's own content types by uid that are in JSON files, as they are on disk: without what
	// plugins and extensions make of them.
	ContentTypes map[string]json.RawMessage

	Notes []transfer.Note
}

// Vars are variables of an environment, which may hold secrets.
type Vars map[string]string

func (v Vars) String() string { return fmt.Sprintf("%d variables", len(v)) }

// GoString hides the values from %#v.
func (v Vars) GoString() string { return v.String() }

// Secret is text that does not print.
type Secret string

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the secret from JSON and logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Options override what a project says of itself. The zero value overrides nothing.
type Options struct {
	Environ  []string // variables of the Strapi process as NAME=VALUE; nil is those of this one
	Env      string   // instead of NODE_ENV
	Zone     string   // instead of TZ
	Database string   // instead of config/database: an address as [ParseDatabase] reads it
	Uploads  string   // the folder of the uploaded files, instead of what config/server and config/plugins say
}

// Open reads a project. Errors wrap [transfer.ErrUsage] where the user can do something about them, and name the flag that does.
func Open(ctx context.Context, dir string, opts Options) (*Project, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	m, err := readManifest(filepath.Join(dir, "package.json"))
	if err != nil || m.wanted() == "" {
		return nil, fmt.Errorf("%w: %s is not a Strapi project: it has no package.json that depends on %s", transfer.ErrUsage, dir, strapiPackage)
	}
	p := &Project{Dir: dir, Name: m.Name}
	p.version(m)
	environ := opts.Environ
	if environ == nil {
		environ = os.Environ()
	}
	vars, err := environment(dir, environ, readFile)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	}
	p.Env = cmp.Or(opts.Env, vars["NODE_ENV"])
	if p.Env == "" {
		p.Env = "development"
		if others := environments(dir, p.Env); len(others) > 0 {
			p.note("the project has settings of its own for %s, and NODE_ENV is not set: those for development are taken; say otherwise with --strapi-env",
				strings.Join(others, ", "))
		}
	}
	vars["NODE_ENV"] = p.Env
	p.Vars = vars
	s := p.settings(vars)
	if err := p.database(ctx, s, opts, vars); err != nil {
		return nil, err
	}
	p.server(ctx, s)
	if err := p.uploads(ctx, s, opts); err != nil {
		return nil, err
	}
	p.admin(ctx, s, vars)
	p.contentTypes()
	return p, p.components(ctx, s.script, s.types)
}

// settings says where the configuration is. TypeScript is compiled to dist, and that is where it believes to be.
func (p *Project) settings(vars map[string]string) settings {
	s := settings{env: p.Env, folder: filepath.Join(p.Dir, "config"), types: exists(filepath.Join(p.Dir, "tsconfig.json"))}
	s.script = script{root: p.Dir, home: p.Dir, vars: vars, read: readFile}
	if s.types {
		s.script.home = filepath.Join(p.Dir, "dist")
		if built := filepath.Join(p.Dir, "dist", "config"); !exists(s.folder) && exists(built) {
			// Deployed without its sources.
			s.folder, s.script.home = built, p.Dir
		}
	}
	return s
}

func (p *Project) database(ctx context.Context, s settings, opts Options, vars map[string]string) (err error) {
	if opts.Database != "" {
		p.Database, err = ParseDatabase(opts.Database)
	} else {
		var config any
		if config, err = s.load(ctx, "database"); err == nil {
			if p.Database, err = connection(p.Dir, config); err != nil {
				err = fmt.Errorf("config/database: %w", err)
			}
		}
	}
	if err != nil {
		return usage(fmt.Errorf("find the database of %s: %w", p.Dir, err), "name it with --database")
	}
	p.Database.Zone, err = zone(opts.Zone, vars["TZ"])
	return err
}

// Zone returns the time zone called name, nil for "".
func Zone(name string) (*time.Location, error) { return zone(name, "") }

// zone is the time zone of the Strapi process, nil if that is this machine's.
func zone(flag, variable string) (*time.Location, error) {
	name, from := flag, "--timezone"
	if name == "" {
		name, from = strings.TrimPrefix(variable, ":"), "the variable TZ"
	}
	if name == "" {
		return nil, nil
	}
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %s says %q, which is no time zone: give one such as Europe/Berlin or UTC with --timezone", transfer.ErrUsage, from, name)
	}
	return location, nil
}

// server reads what config/server says.
func (p *Project) server(ctx context.Context, s settings) {
	config, err := s.load(ctx, "server")
	if err != nil {
		p.note("%v: the folder public and the path /admin are taken for granted", err)
		config = nil
	}
	public := textAt(config, "dirs", "public")
	if unknownIn(public, "") != "" {
		p.note("config/server: dirs.public is not known: the folder public is taken for granted; name the files with --uploads")
		public = ""
	}
	public = cmp.Or(public, "public")
	if !filepath.IsAbs(public) {
		public = filepath.Join(p.Dir, public)
	}
	p.Public = filepath.Clean(public)
	if enabled, ok := at(config, "transfer", "remote", "enabled").(bool); ok {
		p.RemoteOff = !enabled
	}
}

// admin reads what config/admin says. Of what cannot be known the stock template's variable is believed: a wrong salt fits no token.
func (p *Project) admin(ctx context.Context, s settings, vars map[string]string) {
	config, err := s.load(ctx, "admin")
	salt, known := at(config, "transfer", "token", "salt").(string)
	if err != nil || unknownIn(salt, "") != "" {
		salt, known = vars["TRANSFER_TOKEN_SALT"], true
		if err != nil {
			p.note("%v: the salt of transfer tokens is taken from TRANSFER_TOKEN_SALT", err)
		}
	}
	if known {
		p.TokenSalt = Secret(salt)
	}
	p.AdminPath = adminPath(textAt(config, "url"))
}

// adminPath is where the admin panel's API is, as far as a path goes.
func adminPath(admin string) string {
	admin = strings.Trim(cmp.Or(admin, "/admin"), "/ ")
	if strings.HasPrefix(admin, "http") {
		u, err := url.Parse(admin)
		if err != nil {
			return "/admin"
		}
		return "/" + strings.Trim(u.Path, "/")
	}
	return "/" + admin
}

func (p *Project) note(format string, args ...any) {
	p.Notes = append(p.Notes, transfer.Note{Level: transfer.NoteWarning, Message: fmt.Sprintf(format, args...)})
}

// usage makes an error one that the user can act on, and says how.
func usage(err error, hint string) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, transfer.ErrUsage) {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return fmt.Errorf("%w: %w; %s", transfer.ErrUsage, err, hint)
}
