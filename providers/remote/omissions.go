package remote

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// Reasons for which a server leaves out what it should send.
const (
	reasonFileGone = "the source has its row, but not the file"
	reasonDangling = "the source has the link, but not the row at its end"
)

// What Strapi warns of while it reads its own content.
const (
	goneFile = "exists in database but no corresponding file was found"
	omission = "Omitting link "
)

var (
	// goneFileKey finds the file's name in the warning, at the end of its path or address.
	goneFileKey = regexp.MustCompile(`Path: .*?([^/\\]+)$`)
	// omittedLink and omittedLinks are the warning about one link, of which it sends ten at most, and the sum.
	omittedLink  = regexp.MustCompile(`^Omitting link (\S+) -> (\S+) from export`)
	omittedLinks = regexp.MustCompile(`^Links export omitted (\d+) relation`)
)

// omissions is what a server said of content that it did not send. It is that of the last read of each stage.
type omissions struct {
	files, links skipCount
}

// hear takes a warning and reports whether it was about content left out.
func (o *omissions) hear(text string) bool {
	if strings.Contains(text, goneFile) {
		key := text
		if m := goneFileKey.FindStringSubmatch(text); m != nil {
			key = m[1]
		}
		o.files.name(key)
		return true
	}
	if m := omittedLink.FindStringSubmatch(text); m != nil {
		o.links.name(m[1] + " -> " + m[2])
		return true
	}
	if m := omittedLinks.FindStringSubmatch(text); m != nil {
		if n, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			o.links.summed = n
		}
		return true
	}
	return strings.HasPrefix(text, omission)
}

// forget is called before a stage is read again.
func (o *omissions) forget(stage transfer.Stage) {
	switch stage {
	case transfer.StageAssets:
		o.files = skipCount{}
	case transfer.StageLinks:
		o.links = skipCount{}
	case transfer.StageSchemas, transfer.StageEntities, transfer.StageConfiguration:
	}
}

func (o *omissions) skips() []transfer.Skip {
	var out []transfer.Skip
	if n := o.files.total(); n > 0 {
		out = append(out, transfer.Skip{Stage: transfer.StageAssets, Reason: reasonFileGone, Count: n, Examples: o.files.examples})
	}
	if n := o.links.total(); n > 0 {
		out = append(out, transfer.Skip{Stage: transfer.StageLinks, Reason: reasonDangling, Count: n, Examples: o.links.examples})
	}
	return out
}
