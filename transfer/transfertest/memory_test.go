package transfertest_test

import (
	"testing"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestMemoryIsASource(t *testing.T) {
	t.Parallel()
	transfertest.TestSource(t, func(_ *testing.T, site *transfertest.Site) transfer.Source { return transfertest.NewMemory(site) })
}

func TestMemoryIsADestination(t *testing.T) {
	t.Parallel()
	transfertest.TestDestination(t, func(*testing.T) (transfer.Destination, func(*testing.T) *transfertest.Site) {
		m := transfertest.NewMemory(nil)
		return m, func(*testing.T) *transfertest.Site { return m.Site() }
	})
}
