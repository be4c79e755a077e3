package project

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer"
)

// connection reads what config/database exports.
func connection(dir string, config any) (database.Config, error) {
	outer := at(config, "connection")
	if where := unknownIn(outer, "connection"); where != "" {
		return database.Config{}, errors.New(where)
	}
	kind, err := databaseKind(textAt(outer, "client"))
	if err != nil {
		return database.Config{}, err
	}
	inner := at(outer, "connection")
	if text, ok := inner.(string); ok {
		if kind == database.SQLite {
			inner = map[string]any{"filename": text}
		} else {
			inner = map[string]any{"connectionString": text}
		}
	}
	if kind == database.SQLite {
		return sqliteConnection(dir, textAt(inner, "filename"))
	}
	fields, ok := inner.(map[string]any)
	if !ok {
		return database.Config{}, errors.New("it gives no connection.connection")
	}
	if text := cmp.Or(textAt(inner, "connectionString"), textAt(inner, "uri")); text != "" {
		parsed, err := connectionString(text)
		if err != nil {
			return database.Config{}, err
		}
		for name, value := range parsed {
			if value != "" {
				fields[name] = value // as the drivers do: what the URL says counts
			}
		}
	}
	return networkConnection(kind, fields)
}

func databaseKind(client string) (database.Kind, error) {
	switch strings.ToLower(client) {
	case "sqlite", "better-sqlite3", "sqlite3":
		return database.SQLite, nil
	case "postgres", "postgresql", "pg":
		return database.Postgres, nil
	case "mysql", "mysql2", "mariadb":
		return database.MySQL, nil
	case "":
		return "", errors.New("it names no connection.client")
	}
	return "", fmt.Errorf("its client is %q: one of sqlite, postgres, mysql", client)
}

func sqliteConnection(dir, path string) (database.Config, error) {
	switch path {
	case "":
		return database.Config{}, errors.New("it names no connection.filename")
	case ":memory:":
		return database.Config{}, errors.New("the database is in the memory of the Strapi process")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return database.Config{Kind: database.SQLite, Path: filepath.Clean(path)}, nil
}

func networkConnection(kind database.Kind, fields map[string]any) (database.Config, error) {
	c := database.Config{
		Kind: kind, Host: plainText(fields["host"]), Name: plainText(fields["database"]), User: plainText(fields["user"]),
		Password: plainText(fields["password"]), Socket: plainText(fields["socketPath"]),
	}
	if strings.HasPrefix(c.Host, "/") {
		c.Host, c.Socket = "", c.Host
	}
	if kind == database.Postgres {
		c.Schema = plainText(fields["schema"])
	}
	if port := plainText(fields["port"]); port != "" && port != "null" {
		n, err := strconv.Atoi(port)
		if err != nil || n < 1 || n > 65535 {
			return c, fmt.Errorf("its port is %q", port)
		}
		c.Port = n
	}
	if c.Name == "" {
		return c, errors.New("it names no connection.connection.database")
	}
	var err error
	c.TLS, err = tlsConfig(fields["ssl"], c.Host)
	return c, err
}

// plainText is a string or a number as text.
func plainText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// unknownIn names the first value below where that could not be found out, and why; "" if there is none.
func unknownIn(value any, where string) string {
	switch v := value.(type) {
	case string:
		if _, rest, found := strings.Cut(v, "\x00"); found {
			what, _, _ := strings.Cut(rest, "\x00")
			if module, found := strings.CutPrefix(what, "module "); found {
				return fmt.Sprintf("%s comes from the module %q, which is not there without Node", where, module)
			}
			return where + " is a function, which only Strapi can call"
		}
	case map[string]any:
		for _, name := range sortedKeys(v) {
			if why := unknownIn(v[name], where+"."+name); why != "" {
				return why
			}
		}
	case []any:
		for i, item := range v {
			if why := unknownIn(item, fmt.Sprintf("%s[%d]", where, i)); why != "" {
				return why
			}
		}
	}
	return ""
}

// ParseDatabase reads the address of a database: postgres://, postgresql://, mysql:// or mariadb:// with user, host and name, or
// sqlite: and a path. Errors wrap [transfer.ErrUsage], and none repeats the address, which may hold a password.
func ParseDatabase(text string) (database.Config, error) {
	scheme, rest, found := strings.Cut(text, ":")
	kind, err := databaseKind(scheme)
	if !found || err != nil {
		return database.Config{}, fmt.Errorf("%w: a database is given as postgres://USER@HOST/NAME, mysql://USER@HOST/NAME or sqlite:PATH", transfer.ErrUsage)
	}
	if kind == database.SQLite {
		c, err := sqliteConnection("", strings.TrimPrefix(rest, "//"))
		if err != nil {
			return c, fmt.Errorf("%w: sqlite: needs the path of a database file, such as sqlite:./data.db", transfer.ErrUsage)
		}
		return c, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return database.Config{}, fmt.Errorf("%w: the address of the database cannot be read; special characters of user and password must be "+
			"percent-encoded", transfer.ErrUsage)
	}
	if u.Fragment != "" {
		return database.Config{}, fmt.Errorf("%w: the address of the database holds a #; in a password write %%23 instead", transfer.ErrUsage)
	}
	fields, err := connectionString(text)
	if err != nil {
		return database.Config{}, fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	}
	for old, name := range map[string]string{"socket": "socketPath", "ssl-mode": "sslmode"} {
		if value, ok := fields[old]; ok {
			fields[name] = value
		}
	}
	c, err := networkConnection(kind, fields)
	if err != nil {
		return c, fmt.Errorf("%w: the address of the database: %w", transfer.ErrUsage, err)
	}
	return c, nil
}
