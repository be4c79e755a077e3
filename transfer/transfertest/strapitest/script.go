//go:build unix

package strapitest

import (
	"os"
	"testing"
)

// Script runs JavaScript in the project and returns what it prints. It stands beside the scripts of the application, whose boot.js
// gives it the application: require('./boot')(async (strapi) => ...). Its arguments are not printed when it fails.
func (i *Instance) Script(tb testing.TB, source string, args ...string) string {
	tb.Helper()
	const name = "of-a-test.js"
	if err := os.WriteFile(i.Path("scripts", name), []byte(source), 0o600); err != nil {
		tb.Fatalf("write a script: %v", err)
	}
	return i.script(tb, name, args...)
}
