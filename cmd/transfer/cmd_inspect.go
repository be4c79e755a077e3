package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/transfer-runner/runner/transfer"
)

// inspectOptions are the flags of inspect.
type inspectOptions struct {
	outputOptions
	readFlags

	Output string // --schemas
	Quick  bool
}

func newInspectCommand(a *app) *cobra.Command {
	o := &inspectOptions{}
	cmd := &cobra.Command{
		Use:   "inspect ENDPOINT",
		Short: "Show what an endpoint holds: version, schemas, counts, sizes",
		Long: `Inspect reads an endpoint through and shows its Strapi version, its content types, the number of
rows, files, links and settings, and their sizes. Archives are checked for damage on the way. A server
must hand over everything to be counted, files excepted; --quick stops before that.

--schemas writes the schemas to a file. With such a file a database can be read without its project:
push and pull take it by --schemas, inspect by --with-schemas.

` + exitHelp,
		Example: `  transfer inspect backup.tar.gz
  transfer inspect https://cms.example.org/admin --token-file token --quick
  transfer inspect backup.tar.gz.enc --key-file key --schemas schemas.json`,
		Args: exactly(1, "one endpoint"),
		RunE: func(cmd *cobra.Command, args []string) error { return runInspect(cmd.Context(), a, o, args[0]) },
	}
	f := cmd.Flags()
	f.StringVar(&o.Output, "schemas", "", "file to write the schemas to, as JSON by uid")
	f.BoolVar(&o.Quick, "quick", false, "version and schemas only: do not count what must be read to be counted")
	o.readFlags.addFlags(f)
	o.outputOptions.addFlags(f)
	f.SortFlags = false
	return cmd
}

// inspection is what inspect finds.
type inspection struct {
	Endpoint   string                            `json:"endpoint"`
	Kind       string                            `json:"kind"`
	Version    string                            `json:"version,omitempty"`
	CreatedAt  *time.Time                        `json:"createdAt,omitempty"`
	Types      int                               `json:"contentTypes"`
	Components int                               `json:"components"`
	Checked    bool                              `json:"checked"` // the endpoint proved itself whole
	Stages     map[transfer.Stage]transfer.Count `json:"stages,omitempty"`
}

func runInspect(ctx context.Context, a *app, o *inspectOptions, text string) (err error) {
	if err := o.validate(); err != nil {
		return err
	}
	c := &console{w: a.err, quiet: o.Quiet || o.JSON}
	a.logTo(c, o.outputOptions)
	e, err := o.argument(ctx, a, c, text)
	if err != nil {
		return err
	}
	src, err := a.openSource(ctx, c, e)
	if err != nil {
		return err
	}
	defer letGo(&err, src)
	found, schemas, err := inspect(ctx, a, c, src, o)
	if err != nil {
		return fmt.Errorf("inspect %s: %w", e, err)
	}
	found.Endpoint = e.String()
	if o.Output != "" {
		if err := writeSchemas(o.Output, schemas); err != nil {
			return err
		}
		c.say("schemas written to %s", o.Output)
	}
	if o.JSON {
		return newJSONLines(a.out).write(found)
	}
	return found.write(a, o.Verbose)
}

func inspect(ctx context.Context, a *app, c *console, src transfer.Source, o *inspectOptions) (inspection, transfer.Schemas, error) {
	d, err := src.Describe(ctx)
	if err != nil {
		return inspection{}, nil, err
	}
	found := inspection{Kind: d.Kind, Version: d.Version}
	if !d.CreatedAt.IsZero() {
		found.CreatedAt = &d.CreatedAt
	}
	for _, s := range d.Schemas {
		if s.ModelType == "component" {
			found.Components++
		} else {
			found.Types++
		}
	}
	if o.Quick {
		return found, d.Schemas, nil
	}
	if checker, ok := src.(transfer.Checker); ok {
		if err := checker.Check(ctx); err != nil {
			return found, nil, err
		}
		found.Checked = true
	}
	p := newProgress(a, c, outputOptions{Quiet: o.Quiet || o.JSON, Verbose: o.Verbose})
	defer p.stop()
	found.Stages = make(map[transfer.Stage]transfer.Count)
	for _, stage := range transfer.Stages() {
		n, err := count(ctx, observed{src, func(e transfer.Event) { p.observe("", e) }, a.now}, stage)
		if err != nil {
			return found, nil, err
		}
		found.Stages[stage] = n
	}
	return found, d.Schemas, nil
}

// count finds the number and size of a stage's records: by asking, or by reading them. Files are not opened.
func count(ctx context.Context, src observed, stage transfer.Stage) (transfer.Count, error) {
	if c, ok := src.Source.(transfer.Counter); ok {
		if n, err := c.Count(ctx, stage); err == nil && n.ByType != nil {
			return n, nil
		}
	}
	n := transfer.Count{ByType: make(map[string]int64)}
	for item, err := range src.Read(ctx, stage, 0) {
		if err != nil {
			return n, fmt.Errorf("count %s: %w", stage, err)
		}
		n.Records++
		n.Bytes += item.Record.Size()
		n.ByType[item.Record.Group()]++
	}
	return n, nil
}

func (i inspection) write(a *app, verbose bool) error {
	t := table{}
	t.add("endpoint", i.Endpoint)
	t.add("kind", i.Kind)
	if i.Version != "" {
		t.add("Strapi", i.Version)
	}
	if i.CreatedAt != nil {
		t.add("created", i.CreatedAt.Format(time.RFC3339))
	}
	t.add("schemas", plural(int64(i.Types), "content type", "content types")+", "+plural(int64(i.Components), "component", "components"))
	if i.Checked {
		t.add("checked", "whole")
	}
	if err := t.write(a.out); err != nil || i.Stages == nil {
		return err
	}
	t = table{numbers: 2}
	t.add("")
	for _, stage := range transfer.Stages() {
		n := i.Stages[stage]
		t.add(string(stage), formatCount(n.Records), formatBytes(n.Bytes))
		if stage == transfer.StageSchemas || stage == transfer.StageLinks && !verbose {
			continue
		}
		for _, group := range slices.Sorted(maps.Keys(n.ByType)) {
			if verbose || !transfer.Protected(group) {
				t.add("  "+group, formatCount(n.ByType[group]))
			}
		}
	}
	return t.write(a.out)
}
