package main

import (
	"github.com/transfer-runner/runner/transfer"
)

// advice says in which state the destination is and what to do.
func (m *move) advice(state transfer.State) string {
	back := "restore it from a backup"
	if m.backup != nil {
		back = "restore it with: transfer push --from " + m.backup.File + " --to " + m.to.String()
	}
	switch state {
	case transfer.StateUntouched, "":
		return "unchanged"
	case transfer.StateRolledBack:
		if !m.to.Live() {
			return "unchanged, nothing of the transfer was kept"
		}
		return "rolled back, the old content is in place"
	case transfer.StateFilesGone:
		return "rows rolled back; uploaded files may be missing. On the server's disk they are in public/uploads_backup_<time>: move them " +
			"back to public/uploads. Files in cloud storage are deleted: " + back
	case transfer.StateNewFiles:
		return "rows rolled back, but the uploaded files are the new ones already and the old ones deleted: run the transfer again, or " + back
	case transfer.StateCommitted:
		return "holds the new content"
	case transfer.StateUncertain:
		return "the connection broke before the end; the server rolls back by itself. Look with: transfer inspect " + m.to.String() +
			"; if the old content is not there, " + back
	case transfer.StateUnknown:
		return "unknown: the commit was sent and its answer lost. Compare with: transfer diff --content " + m.from.String() + " " +
			m.to.String() + "; if they differ, run the transfer again or " + back
	}
	return string(state)
}
