package server_test

import (
	"testing"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func offers() map[string]protocol.Extensions {
	return map[string]protocol.Extensions{
		"the stock protocol": {}, "all extensions": extensions(), "a window": {Window: 4}, "compression": {Compression: protocol.CompressionZstd},
	}
}

func TestSourceThroughTheServer(t *testing.T) {
	t.Parallel()
	for name, offer := range offers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transfertest.TestSource(t, func(t *testing.T, content *transfertest.Site) transfer.Source {
				t.Helper()
				r := newRig(t, &site{content: content})
				return remote.NewSource(r.url(), r.options(offer))
			})
		})
	}
}

func TestDestinationThroughTheServer(t *testing.T) {
	t.Parallel()
	for name, offer := range offers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transfertest.TestDestination(t, func(t *testing.T) (transfer.Destination, func(t *testing.T) *transfertest.Site) {
				t.Helper()
				r := newRig(t, &site{content: empty()})
				return remote.NewDestination(r.url(), r.options(offer)), func(*testing.T) *transfertest.Site { return r.site.current() }
			})
		})
	}
}
