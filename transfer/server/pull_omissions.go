package server

import (
	"context"
	"fmt"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// account notes what the source left out of a stage that has been read. A client that does not get it with the answer to the stage's
// end is warned, before the last frame.
func (s *stream) account(session context.Context) error {
	skipper, ok := s.src.(transfer.Skipper)
	if !ok {
		return nil
	}
	skips := ofStage(skipper.Skipped(), s.stage)
	s.skipped.Store(&skips)
	if s.pull.agreed.Skips {
		return nil
	}
	for _, text := range lacking(s.stage, skips) {
		if err := s.pull.sess.tell(session, protocol.DiagnosticWarning, "local-source-provider", clipLong(text)); err != nil {
			return err
		}
	}
	return nil
}

// lacking says in Strapi's words, as far as it has some, what a source does not have itself.
func lacking(stage transfer.Stage, skips []transfer.Skip) (texts []string) {
	var count int64
	var names []string
	for _, s := range skips {
		count += s.Count
		names = append(names, s.Examples...)
	}
	switch {
	case count == 0:
	case stage == transfer.StageLinks:
		for _, name := range names[:min(len(names), maxNamed)] {
			texts = append(texts, fmt.Sprintf("Omitting link %s from export because a referenced entity no longer exists in the database.", name))
		}
		if count >= maxNamed {
			texts = append(texts, suppressed)
		}
		texts = append(texts, fmt.Sprintf("Links export omitted %d relation(s) pointing at missing entities. Verify relations after import if this is unexpected.", count))
	case stage == transfer.StageAssets:
		for _, name := range names {
			texts = append(texts, "[Data transfer] Media item exists in database but no corresponding file was found to transfer. Path: "+name)
		}
		if more := count - int64(len(names)); more > 0 {
			texts = append(texts, fmt.Sprintf("[Data transfer] %d more media items exist in database but no corresponding file was found to transfer.", more))
		}
	default:
		texts = summed(stage, skips)
	}
	return texts
}
