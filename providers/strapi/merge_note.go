package strapi

import (
	"fmt"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// mergeTally counts what a merge did.
type mergeTally struct {
	added, changed, same, stay int64 // rows: new here, written over, alike on both sides, kept as the destination had them
	files, links, settings     int64 // written, or deleted
	left                       int64 // links of components that the source has of rows which stay
}

// note says what a merge did.
func (t mergeTally) note() transfer.Note {
	var done []string
	for _, part := range []struct {
		n    int64
		what string
	}{
		{t.added, "rows added"},
		{t.changed, "rows changed"},
		{t.files, "files written"},
		{t.links, "links changed"},
		{t.settings, "settings written"},
		{t.stay, "rows kept that differ at the source"},
		{t.left, "links of their components left as they are"},
	} {
		if part.n > 0 {
			done = append(done, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(done) == 0 {
		done = []string{"nothing to change"}
	}
	return transfer.Note{Level: transfer.NoteInfo, Message: fmt.Sprintf("merged: %s; %d rows were the same", strings.Join(done, ", "), t.same)}
}
