package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
)

// meter counts, limits and, if asked to, hashes the bytes of an asset as the destination reads them.
type meter struct {
	io.ReadCloser

	ctx    func() context.Context // of the Open call: a Read has none of its own
	stage  *stageRun
	name   string
	told   int64 // bytes at the last event
	ended  bool
	digest *digester
}

func (m *meter) Read(p []byte) (int, error) {
	if m.stage.limiter != nil && len(p) > m.stage.limiter.Burst() {
		p = p[:m.stage.limiter.Burst()]
	}
	n, err := m.ReadCloser.Read(p)
	if m.digest != nil {
		_, _ = m.digest.Write(p[:n]) // a hash never fails
	}
	m.stage.report.Bytes += int64(n)
	m.told += int64(n)
	if m.told >= progressEvery {
		m.told = 0
		m.stage.event(EventStageProgress, m.name)
	}
	m.ended = m.ended || errors.Is(err, io.EOF)
	if n > 0 {
		if bad := m.stage.limit(m.ctx(), int64(n)); bad != nil {
			return n, bad
		}
	}
	return n, err
}

// knownMeter is a meter of content that was hashed on its way.
type knownMeter struct {
	*meter
	Digester
}

// digester is a SHA-256 that says itself in hex.
type digester struct{ hash.Hash }

func newHash() *digester { return &digester{sha256.New()} }

func (d *digester) hex() string { return hex.EncodeToString(d.Sum(nil)) }
