package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/transfer-runner/runner/protocol"
)

// readLoop is the only one that reads. It hands each message to whom it concerns, before the next is read.
func (d *Dispatcher) readLoop(ctx context.Context) error {
	for {
		text, err := d.conn.Read(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ended(ctx)
			}
			return lost("read", err)
		}
		d.heard(d.conn.Progress())
		m, err := protocol.ParseServerMessage(text)
		switch {
		case errors.Is(err, protocol.ErrIgnored):
			d.count(func(s *Stats) { s.Ignored++ })
			d.log.DebugContext(ctx, "message ignored", slog.Any(keyError, err))
			continue
		case err != nil:
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		if err := d.deliver(m, len(text)); err != nil {
			return err
		}
	}
}

func (d *Dispatcher) deliver(m protocol.ServerMessage, size int) error {
	switch {
	case m.Response != nil:
		d.answer(m.Response)
	case m.Diagnostic != nil:
		d.count(func(s *Stats) { s.Diagnostics++ })
		d.tell(*m.Diagnostic)
	case m.Frame != nil:
		fresh, err := d.receive(m.Frame.UUID, size)
		if err != nil {
			return err
		}
		if fresh {
			d.opts.OnFrame(*m.Frame)
		}
	}
	return nil
}

func (d *Dispatcher) heard(progress Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch.observe(time.Now(), progress)
}

func (d *Dispatcher) count(f func(*Stats)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.stats)
}
