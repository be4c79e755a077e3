package project

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"strings"
)

// maxEnvFile bounds a .env file.
const maxEnvFile = 1 << 20

// assignment is a line of a .env file as the dotenv package of Node reads it: a name, = or a colon, and a value that may be quoted
// by ', " or ` over several lines. \s is what JavaScript means by it.
var assignment = regexp.MustCompile(strings.ReplaceAll(
	`(?m)(?:^)_*(?:export_+)?([\w.-]+)(?:_*?=_*?|:_+?)(_*'(?:\\'|[^'])*'|_*"(?:\\"|[^"])*"|_*`+"`(?:\\\\`|[^`])*`"+`|[^#\r\n]+)?_*(?:#.*)?(?:$)`,
	"_", `[\s\v\p{Zs}\x{2028}\x{2029}\x{FEFF}]`))

// parseEnv reads the text of a .env file. Unlike most readers of such files, that of Node replaces no $NAME in values: passwords
// with a dollar stay what they are.
func parseEnv(text string) map[string]string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	out := make(map[string]string)
	for _, m := range assignment.FindAllStringSubmatch(text, -1) {
		value := strings.TrimFunc(m[2], isSpace)
		quote := byte(0)
		if value != "" {
			quote = value[0]
		}
		value = unquote(value)
		if quote == '"' {
			value = strings.ReplaceAll(strings.ReplaceAll(value, `\n`, "\n"), `\r`, "\r")
		}
		out[m[1]] = value
	}
	return out
}

func isSpace(r rune) bool {
	return strings.ContainsRune(" \t\n\r\f\v\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff", r) || r >= 0x2000 && r <= 0x200a
}

// unquote takes off a pair of quotes.
func unquote(value string) string {
	n := len(value)
	if n >= 2 && strings.IndexByte("'\"`", value[0]) >= 0 && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// environment is what the Strapi process would see: the variables of this process, and those of the .env file that this one does
// not have.
func environment(dir string, environ []string, read func(path string, limit int64) ([]byte, error)) (map[string]string, error) {
	own := make(map[string]string, len(environ))
	for _, pair := range environ {
		// On Windows there are variables whose names begin with =.
		if at := strings.IndexByte(pair, '='); at > 0 {
			own[pair[:at]] = pair[at+1:]
		}
	}
	path := own["ENV_PATH"]
	named := path != ""
	switch {
	case !named:
		path = filepath.Join(dir, ".env")
	case !filepath.IsAbs(path):
		path = filepath.Join(dir, path)
	}
	text, err := read(path, maxEnvFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return own, nil
	case err != nil:
		return nil, fmt.Errorf("read the environment file %s: %w", path, err)
	}
	vars := parseEnv(string(text))
	maps.Copy(vars, own)
	return vars, nil
}
