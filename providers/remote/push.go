package remote

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// How much one message carries: the figures of Strapi's client since 5.43. maxAssetText is ours: it bounds messages that consist of
// many empty files, whose bytes count nothing, or of the form for old servers, which is nearly four times as long.
const (
	maxBatchText   = 512 << 10
	maxBatchItems  = 100
	maxBatchAge    = 450 * time.Millisecond
	maxAssetBytes  = 1 << 20
	maxAssetText   = 6 << 20
	assetChunkSize = 64 << 10

	// maxBatchRows stands in for maxBatchItems towards servers of ours: a hundred links have 18 KB, and a window of messages that short
	// fills no long line.
	maxBatchRows = 50_000

	// maxRecord leaves room for the rest of the message.
	maxRecord = protocol.MaxMessage - 4<<10
)

// step writes one stage. The next message is built while the server works on the one before.
type step struct {
	sess    *session
	stage   transfer.Stage
	started bool

	data     []byte // the items of the next message: "[a,b"
	payload  []byte // bytes of files that items of data stand for, with a server that takes them as they are
	items    int64  // complete ones in data
	bytes    int    // of files in data
	opened   time.Time
	flights  []flight // messages under way, oldest first
	messages int64    // that were sent
	flying   int      // bytes of messages under way
	most     int      // of them
	batch    int      // bytes of a message, towards servers of ours
	packed   []byte

	refused      bool  // the server answered a message with an error
	sent         int64 // items put into messages
	acknowledged int64

	known map[string]int64 // sizes of files that the server has, by name
	piece []byte           // for reading files
}

// flight is a message under way.
type flight struct {
	*dispatcher.Pending

	items int64 // that its answer acknowledges
	bytes int
}

// Write implements [transfer.Destination]. Schemas are written only to a server of ours that takes any; others have their own, which
// have been compared.
func (d *Destination) Write(ctx context.Context, batch transfer.Batch) error {
	switch {
	case d.failure != nil:
		return d.failure
	case d.phase != phaseWriting:
		return fmt.Errorf("%w: write to %s before it has begun or after it has ended", transfer.ErrUsage, d.Name())
	case ctx.Err() != nil:
		return d.fail(context.Cause(ctx))
	}
	if err := d.enter(batch.Stage); err != nil {
		return d.fail(err)
	}
	if batch.Stage == transfer.StageSchemas && !d.sess.agreed.Schemas {
		n := int64(len(batch.Records))
		d.outcome.Acknowledged[batch.Stage] += n
		d.outcome.Stored[batch.Stage] += n
		return nil
	}
	if d.step == nil {
		d.step = &step{sess: d.sess, stage: batch.Stage}
	}
	err := d.step.write(ctx, batch)
	d.outcome.Acknowledged[batch.Stage] = d.step.acknowledged
	if err == nil && batch.Last {
		err = d.finishStep(ctx)
	}
	return d.fail(err)
}

// enter makes sure that a server is not sent a stage that it must refuse.
func (d *Destination) enter(stage transfer.Stage) error {
	at := slices.Index(transfer.Stages(), stage)
	switch {
	case at < d.passed:
		return fmt.Errorf("%w: stage %s is over, or does not exist", transfer.ErrUsage, stage)
	case d.step != nil && d.step.stage != stage && d.step.started:
		return fmt.Errorf("%w: stage %s begins before the last of %s was written", transfer.ErrUsage, stage, d.step.stage)
	case d.step != nil && d.step.stage != stage:
		d.step = nil
	}
	d.passed = at
	return nil
}

// finishStep ends the stage at the server and compares its account with ours. A stage without records is not mentioned at all.
func (d *Destination) finishStep(ctx context.Context) error {
	s := d.step
	var stats *protocol.Stats
	var skipped int64 // which the server counts as finished
	if s.started {
		if err := s.settle(ctx); err != nil {
			return err
		}
		raw, err := s.sess.call(ctx, "end "+string(s.stage), stepRequest(protocol.VerbEnd, s.stage), dispatcher.CallOptions{})
		if err != nil {
			return err
		}
		result, err := protocol.ParseEndResult(raw)
		if err != nil {
			return explain("end "+string(s.stage), err)
		}
		stats = result.Stats
		if s.sess.agreed.Skips {
			skips := skipsOf(s.stage, result.Skipped)
			d.outcome.Skipped = append(d.outcome.Skipped, skips...)
			if skipped = countSkips(skips); skipped > s.sent {
				return fmt.Errorf("%w: the server says that it left out %d of %d %s", transfer.ErrDamaged, skipped, s.sent, s.stage)
			}
		}
	}
	d.step = nil
	d.passed++
	d.swapped = d.swapped || s.started && s.stage == transfer.StageAssets
	d.outcome.Acknowledged[s.stage], d.outcome.Stored[s.stage] = s.acknowledged, s.acknowledged-skipped
	if stats == nil {
		return nil
	}
	if s.stage == transfer.StageAssets {
		// Not every version counts files. A failed one has been answered with an error before.
		return nil
	}
	d.outcome.Acknowledged[s.stage], d.outcome.Stored[s.stage] = stats.Started, stats.Finished-skipped
	if stats.Started != s.sent || stats.Finished != s.sent {
		return fmt.Errorf("%w: Data missing: sent %d %s, received %d and saved %d %s; %s",
			transfer.ErrDamaged, s.sent, s.stage, stats.Started, stats.Finished, s.stage, hintLog)
	}
	return nil
}

func (s *step) write(ctx context.Context, batch transfer.Batch) error {
	for _, record := range batch.Records {
		if record.Stage() != s.stage {
			return fmt.Errorf("%w: a record of stage %s in a batch of %s", transfer.ErrUsage, record.Stage(), s.stage)
		}
		if err := s.start(ctx); err != nil {
			return err
		}
		var err error
		if asset, ok := record.(transfer.Asset); ok {
			err = s.writeAsset(ctx, asset)
		} else {
			err = s.writeRecord(ctx, record)
		}
		if err != nil {
			return err
		}
	}
	if batch.Last {
		return s.flush(ctx)
	}
	return nil
}

// start sends the stage's start before its first record.
func (s *step) start(ctx context.Context) error {
	if s.started {
		return nil
	}
	opts, asks := dispatcher.CallOptions{}, s.stage == transfer.StageAssets && s.sess.agreed.KnownAssets
	if asks { // the server looks for every file, which on storage elsewhere takes its time
		opts = s.sess.opts.patient(s.sess.opts.PrepareTimeout)
	}
	raw, err := s.sess.call(ctx, "start "+string(s.stage), stepRequest(protocol.VerbStart, s.stage), opts)
	if err != nil {
		return err
	}
	s.started = true
	s.most = protocol.InFlight(s.sess.disp.RoundTrip())
	s.batch = s.sess.agreed.Batch(protocol.Stage(s.stage), s.most)
	if !asks {
		return nil
	}
	result, err := protocol.ParseStartResult(raw)
	s.known = result.Known
	return explain("start "+string(s.stage), err)
}

func (s *step) writeRecord(ctx context.Context, record transfer.Record) error {
	if size := record.Size(); size > maxRecord {
		return fmt.Errorf("%w: %s %s has %d bytes of JSON, and a server takes at most %d; shorten it, or leave its type out",
			transfer.ErrUnwritable, s.stage, record.Key(), size, int64(maxRecord))
	}
	if s.items > 0 && (time.Since(s.opened) >= maxBatchAge || int64(len(s.data))+record.Size() > maxRecord) {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	s.item()
	s.data = record.AppendJSON(s.data)
	s.items++
	most, text := int64(maxBatchItems), maxBatchText
	if s.sess.agreed.Has(protocol.ExtensionWindow) {
		most, text = maxBatchRows, s.batch
	}
	if len(s.data) >= text || s.items >= most {
		return s.flush(ctx)
	}
	return nil
}

// item begins another item in the message.
func (s *step) item() {
	if len(s.data) == 0 {
		s.data = append(s.data, '[')
		s.opened = time.Now()
		return
	}
	s.data = append(s.data, ',')
}

// flush sends what has been gathered, as soon as the window has room.
func (s *step) flush(ctx context.Context) error {
	if len(s.data) == 0 {
		return nil
	}
	size := len(s.data) + len(s.payload)
	for len(s.flights) >= max(1, s.sess.agreed.Window) || s.flying >= s.most {
		if err := s.settleOne(ctx); err != nil {
			return err
		}
	}
	req := stepRequest(protocol.VerbStream, s.stage)
	req.TransferID = s.sess.id
	s.data = append(s.data, ']')
	req.Data = s.data
	if s.stage == transfer.StageAssets && s.sess.agreed.BinaryAssets {
		req.Payload = s.payload
	}
	if s.stage != transfer.StageAssets && s.sess.agreed.Has(protocol.ExtensionCompression) {
		var err error
		if s.packed, err = s.sess.packer.Append(s.packed[:0], s.data); err != nil {
			return err
		}
		req.Data = s.packed
	}
	s.messages++
	if s.sess.agreed.Has(protocol.ExtensionWindow) {
		req.Seq = s.messages
	}
	sent, err := s.sess.disp.Go(ctx, req, dispatcher.CallOptions{})
	if err != nil {
		return explain("stream "+string(s.stage), err)
	}
	s.flights = append(s.flights, flight{Pending: sent, items: s.items, bytes: size})
	s.flying += size
	s.sent += s.items
	s.data, s.payload, s.items, s.bytes = s.data[:0], s.payload[:0], 0, 0
	return nil
}

// settle waits until all messages under way have been answered.
func (s *step) settle(ctx context.Context) error {
	for len(s.flights) > 0 {
		if err := s.settleOne(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *step) settleOne(ctx context.Context) error {
	oldest := s.flights[0]
	s.flights = s.flights[1:]
	s.flying -= oldest.bytes
	if _, err := oldest.Wait(ctx); err != nil {
		s.refused = answered(err)
		return explain("stream "+string(s.stage), err)
	}
	s.acknowledged += oldest.items
	return nil
}
