package remote_test

import (
	"testing"

	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestSource(t *testing.T) {
	t.Parallel()
	transfertest.TestSource(t, func(t *testing.T, site *transfertest.Site) transfer.Source {
		t.Helper()
		return newRunner(t, site).source(remote.Options{})
	})
}

func TestDestination(t *testing.T) {
	t.Parallel()
	transfertest.TestDestination(t, func(t *testing.T) (transfer.Destination, func(t *testing.T) *transfertest.Site) {
		t.Helper()
		empty := transfertest.Sample()
		for _, stage := range transfer.Stages()[1:] {
			delete(empty.Records, stage)
		}
		empty.Files = nil
		r := newRunner(t, empty)
		return r.destination(remote.Options{}), func(*testing.T) *transfertest.Site { return r.current() }
	})
}
