package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/transfer"
)

// diffOptions are the flags of diff.
type diffOptions struct {
	outputOptions
	filterFlags
	netFlags
	keyFlags
	siteFlags

	From, To       endFlags
	Content        bool
	SchemasOnly    bool
	SchemaStrategy string
}

func newDiffCommand(a *app) *cobra.Command {
	o := &diffOptions{}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two endpoints: schemas, counts, or all content",
		Long: `Diff compares the schemas of two endpoints, by the rules by which Strapi decides whether content may
be moved, and the number of rows by content type. --content compares everything: rows by type,
documentId, locale and status whatever their ids, links between them, files by SHA-256, and settings.

The exit code is 0 if both are the same and 1 if they differ.

` + exitHelp,
		Example: `  transfer diff backup.tar.gz https://cms.example.org/admin --to-token-file token
  transfer diff --content before.tar.gz after.tar.gz
  transfer diff --schemas-only https://a.example.org/admin https://b.example.org/admin`,
		Args: exactly(2, "two endpoints"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.From.Endpoint, o.To.Endpoint = args[0], args[1]
			return runDiff(cmd.Context(), a, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Content, "content", false, "compare all content, not only its amount")
	f.BoolVar(&o.SchemasOnly, "schemas-only", false, "compare the schemas and nothing else")
	f.StringVar(&o.SchemaStrategy, "schema-strategy", "strict", "which differences count: strict or exact")
	o.From.addFlags(f, "from", "")
	o.To.addFlags(f, "to", "")
	for _, name := range []string{"from", "to"} {
		if flag := f.Lookup(name); flag != nil {
			flag.Hidden = true // given as arguments
		}
	}
	for name, usage := range map[string]string{
		"from-token": "transfer token of A; - reads a line of standard input", "from-token-file": "file that holds the token of A",
		"to-token": "transfer token of B; - reads a line of standard input", "to-token-file": "file that holds the token of B",
		"from-header": "as --header, for A alone", "to-header": "as --header, for B alone",
	} {
		if flag := f.Lookup(name); flag != nil {
			flag.Usage = usage
		}
	}
	o.filterFlags.addFlags(f)
	o.siteFlags.addFlags(f, "", "schemas", "database")
	o.keyFlags.addFlags(f)
	o.netFlags.addFlags(f)
	o.outputOptions.addFlags(f)
	f.SortFlags = false
	return cmd
}

// diffResult is what diff finds.
type diffResult struct {
	A        string                `json:"a"`
	B        string                `json:"b"`
	Same     bool                  `json:"same"`
	Versions [2]string             `json:"versions"`
	Schemas  []transfer.Difference `json:"schemas"`
	Counts   map[string][2]int64   `json:"counts,omitempty"`  // rows by content type
	Content  []string              `json:"content,omitempty"` // with --content
}

func runDiff(ctx context.Context, a *app, o *diffOptions) error {
	if err := o.validate(); err != nil {
		return err
	}
	strategy := transfer.SchemaStrategy(o.SchemaStrategy)
	if strategy != transfer.SchemaStrict && strategy != transfer.SchemaExact {
		return badChoice("schema-strategy", o.SchemaStrategy, "strict, exact")
	}
	if o.Content && o.SchemasOnly {
		return fmt.Errorf("%w: --content and --schemas-only exclude each other", transfer.ErrUsage)
	}
	filter, err := o.filter()
	if err != nil {
		return err
	}
	c := &console{w: a.err, quiet: o.Quiet || o.JSON}
	a.logTo(c, o.outputOptions)
	sides, err := o.ends(ctx, a, c)
	if err != nil {
		return err
	}
	result, err := o.compare(ctx, a, c, sides, filter, strategy)
	if err != nil {
		return err
	}
	if o.JSON {
		err = newJSONLines(a.out).write(result)
	} else if !o.Quiet {
		err = result.write(a)
	}
	if err != nil || result.Same {
		return err
	}
	if o.JSON || o.Quiet {
		return reported{errDifferent}
	}
	return errDifferent
}

func (o *diffOptions) ends(ctx context.Context, a *app, c *console) ([2]*end, error) {
	var sides [2]*end
	for i, flags := range []*endFlags{&o.From, &o.To} {
		parsed, known, err := a.parse(flags.Endpoint)
		if err != nil {
			return sides, err
		}
		for _, note := range parsed.Notes {
			c.say("note: %s", note)
		}
		e := &end{Endpoint: parsed, remote: known, reads: true}
		if e.access, err = o.accessOf(a, e, flags.Header); err != nil {
			return sides, err
		}
		sides[i] = e
	}
	for i, flags := range []*endFlags{&o.From, &o.To} {
		token, err := a.token(ctx, flags, sides[i], !sides[1-i].Remote())
		if err != nil {
			return sides, err
		}
		sides[i].access.Token = token
	}
	if err := o.applySites(sides[:], []siteFlags{o.From.site, o.To.site}); err != nil {
		return sides, err
	}
	return sides, o.apply(ctx, a, sides[0], sides[1])
}

// compare reads both sides, one after the other: two servers may be one.
func (o *diffOptions) compare(ctx context.Context, a *app, c *console, sides [2]*end, f transfer.Filter, s transfer.SchemaStrategy) (diffResult, error) {
	result := diffResult{A: sides[0].String(), B: sides[1].String(), Schemas: []transfer.Difference{}}
	var read [2]sideContent
	for i, e := range sides {
		var err error
		if read[i], err = o.read(ctx, a, c, e, f, string("AB"[i]), read[0].described.Schemas); err != nil {
			return result, fmt.Errorf("read %s: %w", e, err)
		}
		result.Versions[i] = read[i].described.Version
	}
	if o.Content && read[0].described.Schemas == nil && read[1].described.Schemas != nil {
		var err error // only now it is known where A's rows hold components
		if read[0], err = o.read(ctx, a, c, sides[0], f, "A", read[1].described.Schemas); err != nil {
			return result, fmt.Errorf("read %s: %w", sides[0], err)
		}
	}
	diffs, err := transfer.CompareSchemas(read[0].described.Schemas, read[1].described.Schemas, s)
	if err != nil {
		return result, err
	}
	result.Schemas = append(result.Schemas, diffs...)
	if !o.SchemasOnly {
		result.Counts = make(map[string][2]int64)
		for i := range read {
			for uid, n := range read[i].counts {
				pair := result.Counts[uid]
				pair[i] = n
				result.Counts[uid] = pair
			}
		}
	}
	if o.Content {
		limit := maxDifferences
		if o.Verbose {
			limit = 0
		}
		result.Content = read[0].digest.Compare(read[1].digest, limit)
	}
	result.Same = len(result.Schemas) == 0 && len(result.Content) == 0
	for _, pair := range result.Counts {
		result.Same = result.Same && pair[0] == pair[1]
	}
	return result, nil
}

// sideContent is what is read of one side.
type sideContent struct {
	described transfer.Description
	counts    map[string]int64
	digest    *transfer.Digest
}

// read reads a side. others are the schemas of the other one, for content of a side that does not know its own.
func (o *diffOptions) read(ctx context.Context, a *app, c *console, e *end, f transfer.Filter, name string, others transfer.Schemas) (side sideContent, err error) {
	src, err := a.openSource(ctx, c, e)
	if err != nil {
		return side, err
	}
	defer letGo(&err, src)
	if side.described, err = src.Describe(ctx); err != nil || o.SchemasOnly {
		return side, err
	}
	p := newProgress(a, c, outputOptions{Quiet: o.Quiet || o.JSON, Verbose: o.Verbose})
	defer p.stop()
	watched := observed{src, func(ev transfer.Event) { p.observe(name, ev) }, a.now}
	if o.Content {
		var content transfer.Source = watched
		if side.described.Schemas == nil {
			content = schooled{watched, others}
		}
		if side.digest, err = transfer.Collect(ctx, content, f); err == nil {
			side.counts = side.digest.Counts()
		}
		return side, err
	}
	side.counts = make(map[string]int64)
	if !hasStage(f.Stages(), transfer.StageEntities) {
		return side, nil
	}
	n, err := count(ctx, watched, transfer.StageEntities)
	for uid, rows := range n.ByType {
		if f.HasType(uid) {
			side.counts[uid] = rows
		}
	}
	return side, err
}

// schooled is a source whose schemas are known from elsewhere.
type schooled struct {
	transfer.Source

	schemas transfer.Schemas
}

// Describe implements [transfer.Source].
func (s schooled) Describe(ctx context.Context) (transfer.Description, error) {
	d, err := s.Source.Describe(ctx)
	d.Schemas = s.schemas
	return d, err
}

func (r diffResult) write(a *app) error {
	p := page{w: a.out}
	for _, d := range r.Schemas {
		p.line("schema: %s", d)
	}
	if r.Versions[0] != r.Versions[1] {
		p.line("Strapi: %s and %s", orUnknown(r.Versions[0]), orUnknown(r.Versions[1]))
	}
	if r.Counts != nil {
		t := table{numbers: 2}
		t.add("rows", "A", "B")
		for _, uid := range slices.Sorted(maps.Keys(r.Counts)) {
			pair, mark := r.Counts[uid], ""
			if pair[0] != pair[1] {
				mark = "differs"
			}
			t.add(uid, formatCount(pair[0]), formatCount(pair[1]), mark)
		}
		p.table(t)
	}
	for _, line := range r.Content {
		p.line("content: %s", line)
	}
	if r.Same {
		p.line("the same")
	}
	return p.err
}

func orUnknown(version string) string {
	if version == "" {
		return "unknown"
	}
	return version
}
