package uploads

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/transfer-runner/runner/transfer"
)

// reserved is how the names of what a change keeps beside the files begin.
const reserved = ".transfer-"

const gitkeep = ".gitkeep"

// maxName is the longest file name that file systems take.
const maxName = 255

// checkName refuses what is not the plain name of a file, before it becomes a part of a path.
func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..", name == gitkeep, strings.HasPrefix(name, reserved):
		return fmt.Errorf("%w: %q cannot be the name of an uploaded file", transfer.ErrDamaged, name)
	case strings.ContainsAny(name, "/\\:"), !utf8.ValidString(name), strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("%w: the name %q of an uploaded file holds a separator or control character", transfer.ErrDamaged, name)
	case len(name) > maxName:
		return fmt.Errorf("%w: the name of an uploaded file has %d bytes, at most %d", transfer.ErrDamaged, len(name), maxName)
	}
	return nil
}
