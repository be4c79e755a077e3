package remote

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// maxExamples is how many skipped links are named. Strapi itself names ten.
const maxExamples = 10

// Reasons for which Strapi leaves out a link.
const (
	reasonUnmapped   = "a row that it points to was not transferred"
	reasonForeignKey = "the destination's database refuses it: foreign key constraint"
)

var (
	// skippedLink is Strapi's warning about one link. The reason follows the end of the match.
	skippedLink = regexp.MustCompile(`^Skipping link (\S+) -> (\S+) (because .* was not transferred|due to a foreign key constraint)`)
	// skippedLinks is its summary of a stage, since 5.4x; the parts are left out when they are zero.
	skippedLinks = regexp.MustCompile(`^Links restore skipped \d+ relation\(s\) \(([^)]*)\)`)
)

// linkSkips is what a server said about links that it left out.
type linkSkips struct {
	unmapped, foreignKey skipCount
}

type skipCount struct {
	named    int64 // warnings about one link each
	summed   int64 // by the summary
	examples []string
}

// hear takes a warning and reports whether it was about skipped links.
func (l *linkSkips) hear(text string) bool {
	if m := skippedLink.FindStringSubmatch(text); m != nil {
		count := &l.foreignKey
		if strings.HasPrefix(m[3], "because") {
			count = &l.unmapped
		}
		count.name(m[1] + " -> " + m[2])
		return true
	}
	if m := skippedLinks.FindStringSubmatch(text); m != nil {
		for part := range strings.SplitSeq(m[1], ",") {
			l.sum(strings.TrimSpace(part))
		}
		return true
	}
	return strings.HasPrefix(text, "Further detailed warnings suppressed")
}

// sum takes one part of the summary, such as "3 unmapped".
func (l *linkSkips) sum(part string) {
	number, kind, _ := strings.Cut(part, " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 {
		return
	}
	if kind == "unmapped" {
		l.unmapped.summed += n
		return
	}
	l.foreignKey.summed += n
}

func (l *linkSkips) clone() linkSkips {
	c := *l
	c.unmapped.examples = slices.Clone(l.unmapped.examples)
	c.foreignKey.examples = slices.Clone(l.foreignKey.examples)
	return c
}

// name counts one and keeps its name if there is room.
func (c *skipCount) name(key string) {
	c.named++
	if len(c.examples) < maxExamples {
		c.examples = append(c.examples, key)
	}
}

// total is the number of links left out. Servers without a summary name each.
func (c *skipCount) total() int64 { return max(c.named, c.summed) }

func (l *linkSkips) total() int64 { return l.unmapped.total() + l.foreignKey.total() }

func (l *linkSkips) skips() []transfer.Skip {
	var out []transfer.Skip
	for _, part := range []struct {
		reason string
		count  skipCount
	}{{reasonUnmapped, l.unmapped}, {reasonForeignKey, l.foreignKey}} {
		if n := part.count.total(); n > 0 {
			out = append(out, transfer.Skip{Stage: transfer.StageLinks, Reason: part.reason, Count: n, Examples: part.count.examples})
		}
	}
	return out
}

// plural counts things in words.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
