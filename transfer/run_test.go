package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunMovesAWholeSite(t *testing.T) {
	t.Parallel()
	dst := transfertest.NewMemory(nil)
	dst.Blank = true
	report, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample().WithAdmin()), dst, transfer.Options{})
	require.NoError(t, err)
	require.Equal(t, transfertest.Sample().Lines(), dst.Site().Lines(), "byte for byte, without what belongs to the admin panel")
	require.Equal(t, transfer.StateCommitted, report.State)
	require.Zero(t, report.SkippedRecords())
	require.Len(t, report.Excluded, 2)
	for _, s := range report.Stages {
		require.Equal(t, s.Read, s.Sent+s.Excluded, "%s", s.Stage)
		require.Equal(t, s.Sent, s.Stored, "%s", s.Stage)
	}
}

func TestRunLeavesTheDestinationAsItWasOnEveryFault(t *testing.T) {
	t.Parallel()
	before := transfertest.Sample()
	before.Records[transfer.StageConfiguration] = nil
	for n := range 100 {
		memory := transfertest.NewMemory(before.Clone())
		dst := transfertest.FailAfter(memory, n)
		_, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{})
		require.NoError(t, dst.Close())
		if err == nil {
			require.Greater(t, n, 8, "a begin, five stages and a commit at least")
			require.Equal(t, transfertest.Sample().Lines(), memory.Site().Lines())
			return
		}
		require.ErrorIs(t, err, transfertest.ErrPlanted)
		var at *transfer.Error
		require.ErrorAs(t, err, &at)
		require.Equal(t, transfer.FromDestination, at.Side)
		require.Equal(t, before.Lines(), memory.Site().Lines(), "after %d calls", n)
	}
	t.Fatal("never succeeded")
}

func TestRunReportsAFailingSource(t *testing.T) {
	t.Parallel()
	for _, stage := range transfer.Stages() {
		memory := transfertest.NewMemory(transfertest.Sample())
		src := &transfertest.FailingSource{Source: transfertest.NewMemory(transfertest.Sample()), Stage: stage, After: 1}
		_, err := transfer.Run(t.Context(), src, memory, transfer.Options{Orphans: transfer.OrphansSkip})
		require.ErrorIs(t, err, transfertest.ErrPlanted)
		var at *transfer.Error
		require.ErrorAs(t, err, &at)
		require.Equal(t, transfer.FromSource, at.Side)
		require.Equal(t, stage, at.Stage)
	}
}

func TestRunAsksBeforeItTouchesAnything(t *testing.T) {
	t.Parallel()
	before := transfertest.Sample()
	dst := transfertest.NewMemory(before.Clone())
	var seen transfer.Review
	report, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), transfertest.FailAfter(dst, 0), transfer.Options{
		Confirm: func(_ context.Context, r transfer.Review) error {
			seen = r
			return transfer.ErrRefused
		},
	})
	require.ErrorIs(t, err, transfer.ErrRefused)
	require.Equal(t, before.Lines(), dst.Site().Lines())
	require.Equal(t, transfer.StateUntouched, report.State)
	require.Equal(t, transfer.Stages(), seen.Plan.Stages)
	require.EqualValues(t, 8, seen.Totals[transfer.StageEntities].Records)
	require.Equal(t, []string{"admin::user", "plugin::content-releases.release", "plugin::content-releases.release-action"}, seen.Plan.Restore.Exclude)
	require.Nil(t, seen.Plan.Restore.Include)
}

func TestRunDryRunTouchesNothing(t *testing.T) {
	t.Parallel()
	dst := transfertest.FailAfter(transfertest.NewMemory(transfertest.Sample()), 0)
	report, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{DryRun: true})
	require.NoError(t, err)
	require.True(t, report.DryRun)
	require.Equal(t, transfer.StateUntouched, report.State)
}

func TestRunComparesBeforeItTouchesAnything(t *testing.T) {
	t.Parallel()
	other := func(change func(*transfertest.Site)) *transfertest.Site {
		s := transfertest.Sample()
		change(s)
		return s
	}
	replace := func(stage transfer.Stage, i int, from, to string) func(*transfertest.Site) {
		return func(s *transfertest.Site) { s.Records[stage][i] = strings.Replace(s.Records[stage][i], from, to, 1) }
	}
	tests := map[string]struct {
		destination *transfertest.Site
		opts        transfer.Options
		want        error
		text        string
	}{
		"the same":                  {destination: transfertest.Sample()},
		"another version":           {destination: other(func(s *transfertest.Site) { s.Version = "5.53.9" }), want: transfer.ErrIncompatible, text: "5.53.9"},
		"another version, allowed":  {destination: other(func(s *transfertest.Site) { s.Version = "5.53.9" }), opts: transfer.Options{Versions: transfer.VersionMajor}},
		"another major":             {destination: other(func(s *transfertest.Site) { s.Version = "4.25.1" }), opts: transfer.Options{Versions: transfer.VersionMajor}, want: transfer.ErrIncompatible},
		"a type missing":            {destination: other(func(s *transfertest.Site) { s.Records[transfer.StageSchemas] = s.Records[transfer.StageSchemas][1:] }), want: transfer.ErrIncompatible, text: "api::article.article exists at the source only"},
		"an attribute retyped":      {destination: other(replace(transfer.StageSchemas, 0, `"biginteger"`, `"integer"`)), want: transfer.ErrIncompatible, text: "attributes.count.type"},
		"an ignorable difference":   {destination: other(replace(transfer.StageSchemas, 0, `"biginteger"`, `"biginteger","required":true`))},
		"the same, exact":           {destination: other(replace(transfer.StageSchemas, 0, `"biginteger"`, `"biginteger","required":true`)), opts: transfer.Options{Schemas: transfer.SchemaExact}, want: transfer.ErrIncompatible},
		"an unknown type in --only": {destination: transfertest.Sample(), opts: transfer.Options{Filter: transfer.Filter{OnlyTypes: []string{"api::x.x"}}}, want: transfer.ErrUsage, text: "api::x.x"},
		"a component in --only":     {destination: transfertest.Sample(), opts: transfer.Options{Filter: transfer.Filter{OnlyTypes: []string{"shared.seo"}}}, want: transfer.ErrUsage},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst := transfertest.NewMemory(test.destination)
			before := dst.Site().Lines()
			_, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, test.opts)
			require.ErrorIs(t, err, test.want)
			if test.want != nil {
				require.ErrorContains(t, err, test.text)
				require.Equal(t, before, dst.Site().Lines())
			}
		})
	}
}

func TestRunDropsWhatTheDestinationDoesNotKnow(t *testing.T) {
	t.Parallel()
	target := transfertest.Sample()
	target.Records[transfer.StageSchemas][0] = strings.Replace(target.Records[transfer.StageSchemas][0], `"count":{"type":"biginteger"},`, "", 1)
	target.Records[transfer.StageSchemas] = slices.Delete(target.Records[transfer.StageSchemas], 1, 2)
	dst := transfertest.NewMemory(target)
	report, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{Schemas: transfer.SchemaIgnore})
	require.NoError(t, err)
	require.EqualValues(t, 3, report.SkippedRecords(), "two categories and the link to one: %v", report.Skipped)
	text := strings.Join(dst.Site().Lines(), "\n")
	require.NotContains(t, text, "9007199254740993")
	require.Contains(t, text, "1e400", "what is kept stays as it was written")
	require.NotContains(t, text, "cat1")
	require.Contains(t, fmt.Sprint(report.Notes), "api::article.article.count: 2 values left out")
}

func TestRunFindsOrphansBeforeItTouchesAnything(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample()
	site.Records[transfer.StageLinks] = append(site.Records[transfer.StageLinks],
		`{"kind":"relation.basic","relation":"oneToOne","left":{"type":"shared.seo","field":"x","ref":77},"right":{"type":"api::category.category","ref":1}}`,
		`{"kind":"relation.basic","relation":"manyToOne","left":{"type":"api::article.article","field":"category","ref":10},"right":{"type":"api::category.category","ref":99}}`)
	t.Run("fail", func(t *testing.T) {
		t.Parallel()
		dst := transfertest.FailAfter(transfertest.NewMemory(transfertest.Sample()), 0)
		_, err := transfer.Run(t.Context(), transfertest.NewMemory(site), dst, transfer.Options{})
		require.ErrorIs(t, err, transfer.ErrDamaged)
		require.NotErrorIs(t, err, transfertest.ErrPlanted, "nothing was begun")
		require.ErrorContains(t, err, "2 records")
		require.ErrorContains(t, err, "--orphans skip")
	})
	t.Run("skip", func(t *testing.T) {
		t.Parallel()
		dst := transfertest.NewMemory(transfertest.Sample())
		report, err := transfer.Run(t.Context(), transfertest.NewMemory(site), dst, transfer.Options{Orphans: transfer.OrphansSkip})
		require.NoError(t, err)
		require.EqualValues(t, 2, report.SkippedRecords())
		require.Equal(t, transfertest.Sample().Lines(), dst.Site().Lines())
	})
	t.Run("a new archive keeps them", func(t *testing.T) {
		t.Parallel()
		dst := transfertest.NewMemory(nil)
		dst.Blank = true
		_, err := transfer.Run(t.Context(), transfertest.NewMemory(site), dst, transfer.Options{})
		require.NoError(t, err)
		require.Len(t, dst.Site().Records[transfer.StageLinks], 5)
	})
}

type accountant struct {
	*transfertest.Memory

	outcome transfer.Outcome
}

func (a accountant) Outcome() transfer.Outcome { return a.outcome }

func TestRunFailsBeforeCommitWhenTheDestinationSkipped(t *testing.T) {
	t.Parallel()
	skipped := transfer.Outcome{Skipped: []transfer.Skip{{Stage: transfer.StageLinks, Reason: "foreign key", Count: 1, Examples: []string{"a -> b"}}}}
	tests := map[string]struct {
		opts transfer.Options
		want error
	}{
		"by default":       {want: transfer.ErrDamaged},
		"allowed by kind":  {opts: transfer.Options{Orphans: transfer.OrphansSkip}},
		"allowed by count": {opts: transfer.Options{AllowSkipped: 1}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			memory := transfertest.NewMemory(transfertest.Sample())
			report, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), accountant{memory, skipped}, test.opts)
			require.ErrorIs(t, err, test.want)
			require.EqualValues(t, 1, report.SkippedRecords())
			require.Equal(t, test.want == nil, memory.State() == transfer.StateCommitted)
		})
	}
}

type needsRows struct{ *transfertest.Memory }

func (n needsRows) Describe(ctx context.Context) (transfer.Description, error) {
	d, err := n.Memory.Describe(ctx)
	d.FilesNeedRows = true
	return d, err
}

func TestRunRefusesFilesWithoutTheirRows(t *testing.T) {
	t.Parallel()
	for name, filter := range map[string]transfer.Filter{
		"only files":      {Only: groups("files")},
		"exclude content": {Exclude: groups("content")},
		"other types":     {Only: groups("files", "content"), OnlyTypes: []string{"api::article.article"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst := transfertest.NewMemory(transfertest.Sample())
			_, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), needsRows{dst}, transfer.Options{Filter: filter, DryRun: true})
			require.ErrorIs(t, err, transfer.ErrUsage)
			require.ErrorContains(t, err, "--exclude files")
		})
	}
}

type lossySource struct{ *transfertest.Memory }

func (lossySource) Skipped() []transfer.Skip {
	return []transfer.Skip{{Stage: transfer.StageAssets, Reason: "gone from its disk", Count: 2, Examples: []string{"a.png"}}}
}

type danglingSource struct{ *transfertest.Memory }

func (danglingSource) Skipped() []transfer.Skip {
	return []transfer.Skip{{Stage: transfer.StageLinks, Reason: "leads nowhere", Count: 5, Examples: []string{"a -> b"}}}
}

func TestRunOnLinksThatTheSourceItselfOmits(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, dst transfer.Destination, opts transfer.Options) (transfer.Report, error) {
		t.Helper()
		return transfer.Run(t.Context(), danglingSource{transfertest.NewMemory(transfertest.Sample())}, dst, opts)
	}
	t.Run("found before anything is begun", func(t *testing.T) {
		t.Parallel()
		_, err := run(t, transfertest.FailAfter(transfertest.NewMemory(transfertest.Sample()), 0), transfer.Options{})
		require.ErrorIs(t, err, transfer.ErrDamaged)
		require.NotErrorIs(t, err, transfertest.ErrPlanted)
		require.ErrorContains(t, err, "5 records")
	})
	t.Run("skipped when that is wished for", func(t *testing.T) {
		t.Parallel()
		report, err := run(t, transfertest.NewMemory(transfertest.Sample()), transfer.Options{Orphans: transfer.OrphansSkip})
		require.NoError(t, err)
		require.EqualValues(t, 5, report.SkippedRecords())
	})
	t.Run("no reason to refuse a copy", func(t *testing.T) {
		t.Parallel()
		dst := transfertest.NewMemory(nil)
		dst.Blank = true
		report, err := run(t, dst, transfer.Options{})
		require.NoError(t, err)
		require.Zero(t, report.SkippedRecords())
		require.Len(t, report.Excluded, 1)
	})
}

type swapped struct{ *transfertest.Memory }

func (s swapped) State() transfer.State {
	if state := s.Memory.State(); state != transfer.StateRolledBack {
		return state
	}
	return transfer.StateNewFiles
}

func TestRunCountsWhatTheSourceLeftOut(t *testing.T) {
	t.Parallel()
	t.Run("it is not committed", func(t *testing.T) {
		t.Parallel()
		dst := transfertest.NewMemory(transfertest.Sample())
		report, err := transfer.Run(t.Context(), lossySource{transfertest.NewMemory(transfertest.Sample())}, dst, transfer.Options{})
		require.ErrorIs(t, err, transfer.ErrDamaged)
		require.ErrorContains(t, err, "--allow-skipped 2")
		require.EqualValues(t, 2, report.SkippedRecords())
		require.Equal(t, transfer.StateRolledBack, report.State)
	})
	t.Run("unless a rollback would leave rows without files", func(t *testing.T) {
		t.Parallel()
		dst := transfertest.NewMemory(transfertest.Sample())
		report, err := transfer.Run(t.Context(), lossySource{transfertest.NewMemory(transfertest.Sample())}, swapped{dst}, transfer.Options{})
		require.ErrorIs(t, err, transfer.ErrDamaged)
		require.Equal(t, transfer.StateCommitted, report.State)
	})
	t.Run("allowed", func(t *testing.T) {
		t.Parallel()
		dst := transfertest.NewMemory(transfertest.Sample())
		_, err := transfer.Run(t.Context(), lossySource{transfertest.NewMemory(transfertest.Sample())}, dst, transfer.Options{AllowSkipped: 2})
		require.NoError(t, err)
	})
}

func TestRunFilters(t *testing.T) {
	t.Parallel()
	count := func(s *transfertest.Site) string {
		return fmt.Sprintf("%d entities, %d files, %d links, %d settings", len(s.Records[transfer.StageEntities]), len(s.Files),
			len(s.Records[transfer.StageLinks]), len(s.Records[transfer.StageConfiguration]))
	}
	content, files, config, media := transfer.GroupContent, transfer.GroupFiles, transfer.GroupConfig, transfer.GroupMediaLibrary
	tests := map[string]struct {
		filter transfer.Filter
		want   string
	}{
		"everything":            {want: "8 entities, 4 files, 3 links, 2 settings"},
		"only content":          {filter: transfer.Filter{Only: []transfer.Group{content}}, want: "8 entities, 0 files, 3 links, 0 settings"},
		"only files":            {filter: transfer.Filter{Only: []transfer.Group{files}}, want: "0 entities, 4 files, 0 links, 0 settings"},
		"only config":           {filter: transfer.Filter{Only: []transfer.Group{config}}, want: "0 entities, 0 files, 0 links, 2 settings"},
		"exclude content":       {filter: transfer.Filter{Exclude: []transfer.Group{content}}, want: "0 entities, 4 files, 0 links, 2 settings"},
		"exclude files":         {filter: transfer.Filter{Exclude: []transfer.Group{files}}, want: "8 entities, 0 files, 3 links, 2 settings"},
		"exclude media library": {filter: transfer.Filter{Exclude: []transfer.Group{media}}, want: "4 entities, 0 files, 2 links, 2 settings"},
		"articles alone":        {filter: transfer.Filter{OnlyTypes: []string{"api::article.article"}}, want: "2 entities, 0 files, 1 links, 2 settings"},
		"articles and files":    {filter: transfer.Filter{OnlyTypes: []string{"api::article.article", "plugin::upload.file"}}, want: "6 entities, 4 files, 2 links, 2 settings"},
		"no articles":           {filter: transfer.Filter{ExcludeTypes: []string{"api::article.article"}}, want: "6 entities, 4 files, 0 links, 2 settings"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst := transfertest.NewMemory(nil)
			dst.Blank = true
			report, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{Filter: test.filter})
			require.NoError(t, err)
			require.Equal(t, test.want, count(dst.Site()))
			require.Zero(t, report.SkippedRecords(), "what the user leaves out is not skipped: %v", report.Skipped)
		})
	}
}

func TestRunStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	stop := errors.New("the user pressed Ctrl-C")
	for _, stage := range transfer.Stages() {
		ctx, cancel := context.WithCancelCause(t.Context())
		before := transfertest.Sample()
		before.Records[transfer.StageConfiguration] = nil
		dst := transfertest.NewMemory(before.Clone())
		_, err := transfer.Run(ctx, transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{Observe: func(e transfer.Event) {
			if e.Kind == transfer.EventStageStarted && e.Stage == stage {
				cancel(stop)
			}
		}})
		require.ErrorIs(t, err, stop)
		require.Equal(t, before.Lines(), dst.Site().Lines())
	}
}

func TestRunThrottlesEachRecord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dst := transfertest.NewMemory(nil)
		dst.Blank = true
		start := time.Now()
		_, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{Throttle: time.Second})
		require.NoError(t, err)
		require.Equal(t, time.Duration(6+8+4+3+2)*time.Second, time.Since(start))
	})
}

func TestRunKeepsToARate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dst := transfertest.NewMemory(nil)
		dst.Blank = true
		start := time.Now()
		_, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), dst, transfer.Options{Rate: 64 << 10})
		require.NoError(t, err)
		require.InDelta(t, (1 << 20 / (64 << 10)), time.Since(start).Seconds(), 2, "a mebibyte and a little at 64 KiB a second, the first burst free")
	})
}
