package remote

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// Keys of log records.
const (
	keyURL     = "url"
	keyStage   = "stage"
	keyStream  = "stream"
	keyMessage = "message"
	keyOrigin  = "origin"
	keyError   = "error"
)

// maxNotes and maxNoteText bound what is kept of a talkative peer.
const (
	maxNotes    = 200
	maxNoteText = 1000
)

// originSite is the origin of what a server of ours passes on from the site that was written.
const originSite = "site"

// backupFolder is how Strapi names the folder to which it moves the uploads that are being replaced.
const backupFolder = "uploads_backup_"

// diary keeps what a peer tells on the side: warnings and errors for the user, skipped links for the account, and the text of the
// last error, because a frame that reports a failure does not carry it.
type diary struct {
	log *slog.Logger

	mu      sync.Mutex // guards what follows
	notes   []transfer.Note
	lost    int // notes over the limit
	lastErr string
	quiet   bool   // errors are of our own making
	backup  string // name of the folder that holds the old uploads
	links   linkSkips
	omitted omissions
	lacking []transfer.Skip // as a server of ours counts it
}

// hear takes a diagnostic. It is called by the reader of a connection and does not block.
func (d *diary) hear(diag protocol.Diagnostic) {
	text := clean(diag.Details.Message)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch diag.Kind {
	case protocol.DiagnosticError:
		if d.quiet {
			return
		}
		d.lastErr = text
		d.add(transfer.NoteError, "the server reports: "+text)
	case protocol.DiagnosticWarning:
		if !d.links.hear(text) && !d.omitted.hear(text) {
			d.add(transfer.NoteWarning, "the server warns: "+text)
		}
	case protocol.DiagnosticInfo:
		if diag.Details.Origin == originSite {
			d.add(transfer.NoteInfo, "the server: "+text)
			return
		}
		if i := strings.LastIndex(text, backupFolder); i >= 0 {
			d.backup = text[i:]
		}
		d.log.DebugContext(context.Background(), "server tells", slog.String(keyMessage, text), slog.String(keyOrigin, clean(diag.Details.Origin)))
	}
}

// note adds a remark of our own.
func (d *diary) note(level transfer.NoteLevel, message string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.add(level, message)
}

func (d *diary) add(level transfer.NoteLevel, message string) {
	if len(d.notes) >= maxNotes {
		d.lost++
		return
	}
	d.notes = append(d.notes, transfer.Note{Level: level, Message: message})
}

// take returns the notes since the last call.
func (d *diary) take() []transfer.Note {
	d.mu.Lock()
	defer d.mu.Unlock()
	notes := d.notes
	if d.lost > 0 {
		notes = append(notes, transfer.Note{Level: transfer.NoteWarning, Message: plural(d.lost, "further remark") + " of the server left out"})
	}
	d.notes, d.lost = nil, 0
	return notes
}

// hush makes the diary overhear errors while we break off something that the server has begun.
func (d *diary) hush(quiet bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.quiet = quiet
}

// lastError is the text of the last error that the peer told.
func (d *diary) lastError() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lastErr
}

func (d *diary) backupName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.backup
}

func (d *diary) skippedLinks() linkSkips {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.links.clone()
}

// reading is called before a stage is read: what was left out of an earlier read does not count twice.
func (d *diary) reading(stage transfer.Stage) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.omitted.forget(stage)
	d.lacking = slices.DeleteFunc(d.lacking, func(s transfer.Skip) bool { return s.Stage == stage })
}

// lacks takes over what a server of ours says that its own content lacks.
func (d *diary) lacks(skips []transfer.Skip) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lacking = append(d.lacking, skips...)
}

func (d *diary) leftOut() []transfer.Skip {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append(slices.Clone(d.lacking), d.omitted.skips()...)
}

// clean makes a peer's text fit for one line of a terminal.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxNoteText {
		text = strings.ToValidUTF8(text[:maxNoteText], "") + "…"
	}
	return strings.TrimSpace(text)
}
