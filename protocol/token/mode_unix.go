//go:build !windows

package token

import "io/fs"

// private reports whether only the owner has access.
func private(mode fs.FileMode) bool { return mode&0o077 == 0 }
