package remote_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestClientStatement18KeepsTheOrderOfAPush(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	dst := r.destination(remote.Options{})
	require.NoError(t, push(t, dst, transfertest.Sample()))
	require.NoError(t, dst.Close())
	require.Equal(t, describeFlow(), r.flow(0))
	require.Equal(t, pushFlow(), r.flow(1))
	require.Equal(t, transfertest.Sample().Lines(), r.current().Lines())
	require.Equal(t, transfer.StateCommitted, dst.State())
	commits, dropped := r.counts()
	require.Equal(t, 1, commits)
	require.Zero(t, dropped)
}

func TestClientStatement19ComparesBeforeAnythingIsDestroyed(t *testing.T) {
	t.Parallel()
	t.Run("the engine does, with what the destination says of itself", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*transfertest.Site){
			"version": func(s *transfertest.Site) { s.Version = "5.53.0" },
			"schemas": func(s *transfertest.Site) { s.Records[transfer.StageSchemas] = s.Records[transfer.StageSchemas][1:] },
		} {
			site := transfertest.Sample()
			change(site)
			r := newRunner(t, site)
			_, err := transfer.Run(t.Context(), transfertest.NewMemory(transfertest.Sample()), r.destination(remote.Options{}), transfer.Options{})
			require.ErrorIs(t, err, transfer.ErrIncompatible, name)
			require.Equal(t, describeFlow(), r.flow(0), name)
			require.Empty(t, r.flow(1), name)
		}
	})
	t.Run("a server that has changed since is not touched", func(t *testing.T) {
		t.Parallel()
		for name, change := range map[string]func(*transfertest.Site){
			"version": func(s *transfertest.Site) { s.Version = "5.55.0" },
			"schemas": func(s *transfertest.Site) { s.Records[transfer.StageSchemas] = s.Records[transfer.StageSchemas][1:] },
			"a field": func(s *transfertest.Site) {
				s.Records[transfer.StageSchemas][0] = strings.Replace(s.Records[transfer.StageSchemas][0], `"biginteger"`, `"integer"`, 1)
			},
		} {
			r := newRunner(t, transfertest.Sample())
			dst := r.destination(remote.Options{})
			_, err := dst.Describe(t.Context())
			require.NoError(t, err)
			r.mu.Lock()
			change(r.site)
			r.mu.Unlock()
			_, err = dst.Begin(t.Context(), fullPlan(t, transfertest.Sample()))
			require.ErrorIs(t, err, transfer.ErrIncompatible, name)
			require.NoError(t, dst.Close())
			require.Equal(t, transfer.StateUntouched, dst.State())
			require.Equal(t, []string{"init", "bootstrap", "getMetadata", "getSchemas", "close", "end"}, r.flow(1), name)
		}
	})
}

func TestClientStatement20NeverSendsAdminContent(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample().WithAdmin()
	site.Records[transfer.StageEntities] = append(site.Records[transfer.StageEntities],
		`{"type":"api::article.article","id":12,"data":{"title":"x","documentId":"art2","createdBy":{"id":1},"created_by_id":1}}`)
	r := newRunner(t, transfertest.Sample())
	report, err := transfer.Run(t.Context(), transfertest.NewMemory(site), r.destination(remote.Options{}), transfer.Options{})
	require.NoError(t, err)
	require.NotEmpty(t, report.Excluded)
	for _, m := range r.messages(1)[1:] {
		require.NotContains(t, string(m.Data), "admin::")
		require.NotContains(t, string(m.Data), "createdBy")
		require.NotContains(t, string(m.Data), "created_by_id")
		require.NotContains(t, m.Raw, "$2a$secret")
	}
}

func TestClientStatement21OmitsEmptyStages(t *testing.T) {
	t.Parallel()
	site := transfertest.Sample()
	site.Files, site.Records[transfer.StageLinks] = nil, nil
	r := newRunner(t, transfertest.Sample())
	require.NoError(t, push(t, r.destination(remote.Options{}), site))
	require.Equal(t, []string{
		"init", "bootstrap", "getMetadata", "getSchemas", "beforeTransfer", "start entities", "stream entities", "end entities",
		"start configuration", "stream configuration", "end configuration", "close", "end",
	}, r.flow(1))
}

func TestClientStatement22NeverStartsAStageTooEarlyAndNeverGoesBack(t *testing.T) {
	t.Parallel()
	entity := transfer.NewEntity("api::article.article", "1", []byte(`{"documentId":"a"}`))
	link, err := transfer.ParseLink([]byte(transfertest.Sample().Records[transfer.StageLinks][0]))
	require.NoError(t, err)
	for name, batches := range map[string][]transfer.Batch{
		"a stage before the last batch of the one before": {
			{Stage: transfer.StageEntities, Records: []transfer.Record{entity}},
			{Stage: transfer.StageLinks, Records: []transfer.Record{link}},
		},
		"back to an earlier stage": {
			{Stage: transfer.StageLinks, Records: []transfer.Record{link}, Last: true},
			{Stage: transfer.StageEntities, Records: []transfer.Record{entity}},
		},
		"a stage again": {
			{Stage: transfer.StageEntities, Records: []transfer.Record{entity}, Last: true},
			{Stage: transfer.StageEntities, Records: []transfer.Record{entity}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			dst := r.destination(remote.Options{})
			_, err := dst.Begin(t.Context(), fullPlan(t, transfertest.Sample()))
			require.NoError(t, err)
			require.NoError(t, dst.Write(t.Context(), batches[0]))
			err = dst.Write(t.Context(), batches[1])
			require.ErrorIs(t, err, transfer.ErrUsage)
			require.ErrorIs(t, dst.Commit(t.Context()), transfer.ErrUsage, "a push that has failed cannot be committed")
			flow := strings.Join(r.flow(0), ",")
			require.LessOrEqual(t, strings.Count(flow, "start"), 1)
		})
	}
}

func TestClientStatement23Batches(t *testing.T) {
	t.Parallel()
	sizes := func(t *testing.T, records []transfer.Record, gap func()) (items []int, bytes []int) {
		t.Helper()
		r := newRunner(t, transfertest.Sample())
		dst := r.destination(remote.Options{})
		_, err := dst.Begin(t.Context(), fullPlan(t, transfertest.Sample()))
		require.NoError(t, err)
		for _, record := range records {
			require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: record.Stage(), Records: []transfer.Record{record}}))
			if gap != nil {
				gap()
			}
		}
		require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: records[0].Stage(), Last: true}))
		for _, m := range r.messages(0) {
			if m.Action == "stream" {
				items = append(items, strings.Count(string(m.Data), `"type":"api::`)+strings.Count(string(m.Data), `"action":"stream"`))
				bytes = append(bytes, len(m.Data))
			}
		}
		return items, bytes
	}
	entities := func(n, size int) (records []transfer.Record) {
		for i := range n {
			records = append(records, transfer.NewEntity("api::a.a", transfer.IntRef(int64(i)), []byte(`{"t":"`+strings.Repeat("x", size)+`"}`)))
		}
		return records
	}
	t.Run("at 100 items", func(t *testing.T) {
		t.Parallel()
		items, _ := sizes(t, entities(250, 10), nil)
		require.Equal(t, []int{100, 100, 50}, items)
	})
	t.Run("at 512 KiB", func(t *testing.T) {
		t.Parallel()
		items, bytes := sizes(t, entities(10, 200<<10), nil)
		require.Equal(t, []int{3, 3, 3, 1}, items)
		require.GreaterOrEqual(t, bytes[0], 512<<10)
	})
	t.Run("at 450 ms", func(t *testing.T) {
		t.Parallel()
		items, _ := sizes(t, entities(3, 10), func() { <-time.After(460 * time.Millisecond) })
		require.Equal(t, []int{1, 1, 1}, items)
	})
	t.Run("assets at 1 MiB, spanning messages", func(t *testing.T) {
		t.Parallel()
		items, bytes := sizes(t, []transfer.Record{
			asset("a.bin", 1, bytes.NewReader(make([]byte, 1<<20+1<<19))), asset("b.bin", 2, bytes.NewReader(make([]byte, 1<<20))),
		}, nil)
		require.Equal(t, []int{16, 16, 8}, items)
		require.Less(t, bytes[0], 1500<<10)
	})
	t.Run("many empty files do not make an endless message", func(t *testing.T) {
		t.Parallel()
		var records []transfer.Record
		for i := range 100 {
			a := asset(fmt.Sprintf("f%d", i), i, bytes.NewReader(nil))
			a.Metadata = []byte(`{"caption":"` + strings.Repeat("x", 100<<10) + `"}`)
			records = append(records, a)
		}
		items, bytes := sizes(t, records, nil)
		require.Len(t, items, 2)
		require.Less(t, slices.Max(bytes), 7<<20)
	})
}

func TestClientStatement24ComparesTheServersAccount(t *testing.T) {
	t.Parallel()
	for _, stage := range []string{"entities", "links", "configuration"} {
		for stats, ok := range map[string]bool{
			`{"ok":true}`: true,
			`{"ok":true,"stats":{"started":%d,"finished":%d}}`:                    true,
			`{"ok":true,"stats":{"started":%d,"finished":1},"sic":%d}`:            false,
			`{"ok":true,"stats":{"started":1,"finished":%d},"sic":%d}`:            false,
			`{"ok":true,"stats":{"started":100000,"finished":%[1]d},"sic":%[2]d}`: false,
		} {
			t.Run(stage+" "+stats, func(t *testing.T) {
				t.Parallel()
				r := newRunner(t, small())
				r.hook = on("end "+stage, func(c *wire, m message) {
					n := c.counts[stage]
					text := stats
					if strings.Contains(text, "%") {
						text = fmt.Sprintf(stats, n, n)
					}
					c.answer(m, text)
				})
				dst := r.destination(remote.Options{})
				err := push(t, dst, small())
				if ok {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, transfer.ErrDamaged)
				require.Contains(t, err.Error(), "Data missing: sent")
				require.NoError(t, dst.Close())
				commits, _ := r.counts()
				require.Zero(t, commits)
				require.NotContains(t, r.flow(1)[:len(r.flow(1))-2], "close")
			})
		}
	}
}

func TestClientStatement25SendsFilesOnlyWithTheirRows(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]transfer.Plan{
		"no entities at all":      {Stages: []transfer.Stage{transfer.StageSchemas, transfer.StageAssets}, Restore: transfer.Restore{Assets: true, Include: []string{}}},
		"other entities":          {Stages: transfer.Stages(), Restore: transfer.Restore{Assets: true, Include: []string{"api::a.a"}}},
		"entities but not theirs": {Stages: transfer.Stages(), Restore: transfer.Restore{Assets: true, Exclude: []string{"plugin::upload.file"}}},
	} {
		r := newRunner(t, transfertest.Sample())
		dst := r.destination(remote.Options{})
		_, err := dst.Begin(t.Context(), plan)
		require.ErrorIs(t, err, transfer.ErrUsage, name)
		require.Empty(t, r.flow(0), name)
		require.Equal(t, transfer.StateUntouched, dst.State())
	}
}

func TestClientStatement26SendsEachFileWhole(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	require.NoError(t, push(t, r.destination(remote.Options{}), transfertest.Sample()))
	text := r.all(1, "stream assets")
	n := len(transfertest.Sample().Files)
	require.Equal(t, n, strings.Count(text, `"action":"start"`))
	require.Equal(t, n, strings.Count(text, `"action":"end"`))
	require.Equal(t, transfertest.Sample().Files, r.current().Files, "the empty one, too")
}

func TestClientStatement27DoesNotEndAStageWithABrokenFile(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 64 << 10, 3 << 20} {
		t.Run(fmt.Sprintf("broken after %d bytes", n), func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, transfertest.Sample())
			dst := r.destination(remote.Options{})
			_, err := dst.Begin(t.Context(), fullPlan(t, transfertest.Sample()))
			require.NoError(t, err)
			err = dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageAssets, Records: []transfer.Record{asset("x.bin", 1, brokenReader(n))}})
			require.ErrorIs(t, err, errBroken)
			require.Contains(t, err.Error(), "x.bin")
			require.ErrorIs(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageAssets, Last: true}), errBroken)
			require.NoError(t, dst.Close())
			flow := r.flow(0)
			require.NotContains(t, flow, "end assets")
			require.Equal(t, []string{"rollback", "close", "end"}, flow[len(flow)-3:])
		})
	}
}

func TestClientStatement28RollsBackOnceThenClosesThenEnds(t *testing.T) {
	t.Parallel()
	for _, what := range pushFlow()[4:] {
		if what == "end" || what == "close" || strings.HasPrefix(what, "stream entities") || strings.HasPrefix(what, "stream links") {
			continue // see statements 29 and 30
		}
		t.Run("refused: "+what, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = on(what, func(c *wire, m message) { c.fail(m, "no", "transfer") })
			dst := r.destination(remote.Options{})
			require.Error(t, push(t, dst, small()))
			require.NoError(t, dst.Close())
			require.NoError(t, dst.Close())
			flow := r.flow(1)
			require.Equal(t, []string{"rollback", "close", "end"}, flow[len(flow)-3:])
			require.Equal(t, 1, strings.Count(strings.Join(flow, ","), "rollback"))
			require.Equal(t, filesAfter(what), dst.State())
			require.Equal(t, small().Lines(), r.current().Lines())
		})
	}
	t.Run("a rollback that is not answered", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, small())
		r.hook = on("rollback", func(*wire, message) {})
		opts := remote.Options{CloseTimeout: 100 * time.Millisecond}
		dst := r.destination(opts)
		plan := fullPlan(t, small())
		plan.Stages, plan.Restore.Assets = transfer.Stages()[:2], false
		_, err := dst.Describe(t.Context())
		require.NoError(t, err)
		_, err = dst.Begin(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, transfer.StateRolledBack, dst.State(), "as far as is known before it is tried")
		began := time.Now()
		require.NoError(t, dst.Close())
		require.Less(t, time.Since(began), 10*time.Second)
		require.Equal(t, transfer.StateUncertain, dst.State())
		require.Contains(t, notes(dst), "did not confirm the rollback")
		flow := r.flow(1)
		require.Equal(t, "rollback", flow[len(flow)-1], "nothing after it")
	})
	t.Run("while a server prepares it is not asked to roll back", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, small())
		ctx, cancel := context.WithCancelCause(t.Context())
		r.hook = on("beforeTransfer", func(*wire, message) { cancel(errBroken) })
		dst := r.destination(remote.Options{})
		_, err := dst.Describe(t.Context())
		require.NoError(t, err)
		_, err = dst.Begin(ctx, fullPlan(t, small()))
		require.ErrorIs(t, err, errBroken)
		require.NoError(t, dst.Close())
		flow := r.flow(1)
		require.Equal(t, "beforeTransfer", flow[len(flow)-1])
		require.Contains(t, notes(dst), "uploads_backup_")
	})
}

func TestClientStatement29EndsRightAfterClose(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		hook  func(*wire, message) bool
		want  error
		state transfer.State
		tail  []string
	}{
		"in the good case": {state: transfer.StateCommitted, tail: []string{"close", "end"}},
		"close is refused": {
			hook:  on("close", func(c *wire, m message) { c.fail(m, "Invalid action", "transfer") }),
			state: transfer.StateNewFiles, tail: []string{"end configuration", "close"},
		},
		"the answer to close is lost": {
			hook: on("close", func(c *wire, _ message) {
				c.commit()
				c.drop()
			}),
			want: transfer.ErrOutcomeUnknown, state: transfer.StateUnknown, tail: []string{"end configuration", "close"},
		},
		"end is refused": {
			hook:  on("end", func(c *wire, m message) { c.fail(m, "Bad transfer ID provided", "transfer") }),
			state: transfer.StateCommitted, tail: []string{"close", "end"},
		},
		"the answer to end is lost": {
			hook:  on("end", func(c *wire, _ message) { c.drop() }),
			state: transfer.StateCommitted, tail: []string{"close", "end"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = test.hook
			dst := r.destination(remote.Options{})
			err := push(t, dst, small())
			require.Equal(t, test.state != transfer.StateCommitted, err != nil, "%v", err)
			if test.want != nil {
				require.ErrorIs(t, err, test.want)
			}
			require.Equal(t, test.state, dst.State())
			require.NoError(t, dst.Close())
			require.Equal(t, test.state, dst.State())
			flow := r.flow(1)
			require.Equal(t, test.tail, flow[len(flow)-2:])
			require.NotContains(t, flow, "rollback")
		})
	}
	t.Run("the answer to close never comes", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, small())
		r.hook = on("close", func(*wire, message) {})
		dst := r.destination(remote.Options{RetryMessageTimeout: 300 * time.Millisecond, PrepareTimeout: time.Millisecond})
		err := push(t, dst, small())
		require.ErrorIs(t, err, transfer.ErrOutcomeUnknown)
		require.NoError(t, dst.Close())
		require.Equal(t, transfer.StateUnknown, dst.State())
		require.NotContains(t, r.flow(1), "rollback")
	})
}

func TestClientStatement30TakesATerminatedTransferAsFinal(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ at, text string }{
		"a refused entity":             {"stream entities", `Remote push cannot transfer protected type "admin::user" at admin::user`},
		"a refused link":               {"stream links", `Remote push cannot transfer protected type "admin::user" at link.right`},
		"terminated before a stage":    {"start links", "Transfer has been terminated"},
		"terminated while in a stage":  {"stream assets", "Transfer has been terminated"},
		"terminated while it prepares": {"beforeTransfer", "Transfer has been terminated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = on(test.at, func(c *wire, m message) { c.fail(m, test.text, "transfer") })
			dst := r.destination(remote.Options{})
			err := push(t, dst, small())
			require.ErrorContains(t, err, test.text)
			require.NoError(t, dst.Close())
			flow := r.flow(1)
			require.Equal(t, test.at, flow[len(flow)-1], "nothing is said after it")
			require.Equal(t, small().Lines(), r.current().Lines())
		})
	}
}

func TestClientStatement31TakesAnExpiredTokenAsFinal(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"beforeTransfer", "stream entities", "start assets", "end links", "close"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = on(at, func(c *wire, m message) {
				c.send(fmt.Sprintf(`{"uuid":%q,"data":null,"error":{"code":"UnauthorizedError","message":"Token expired","details":{}}}`, m.UUID))
			})
			dst := r.destination(remote.Options{})
			err := push(t, dst, small())
			require.ErrorIs(t, err, transfer.ErrAuth)
			require.NotErrorIs(t, err, transfer.ErrOutcomeUnknown)
			require.NoError(t, dst.Close())
			flow := r.flow(1)
			require.Equal(t, at, flow[len(flow)-1], "nothing is said after it")
		})
	}
}

func TestClientStatement32WarnsThatFilesAreNotRestored(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		at     string
		backup string
		want   string
	}{
		"a backup folder is known":  {"stream entities", "created assets backup directory /srv/site/public/uploads_backup_1795244543831", "the folder uploads_backup_1795244543831"},
		"no backup folder is known": {"stream entities", "deleting all assets", "uploads_backup_…"},
		"the new files are there":   {"start links", "", "the old ones are deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRunner(t, small())
			r.hook = func(c *wire, m message) bool {
				if m.String() == "beforeTransfer" {
					c.diagnose("info", test.backup)
				}
				return on(test.at, func(c *wire, m message) { c.fail(m, "no", "") })(c, m)
			}
			dst := r.destination(remote.Options{})
			require.Error(t, push(t, dst, small()))
			require.Equal(t, filesAfter(test.at), dst.State())
			got := notes(dst)
			require.Contains(t, got, test.want)
			require.NotContains(t, got, "/srv/site")
			require.NoError(t, dst.Close())
			require.Empty(t, notes(dst), "told once")
		})
	}
	t.Run("not when files are kept", func(t *testing.T) {
		t.Parallel()
		r := newRunner(t, small())
		dst := r.destination(remote.Options{})
		_, err := dst.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages()[:2], Restore: transfer.Restore{}})
		require.NoError(t, err)
		require.NoError(t, dst.Close())
		require.Equal(t, transfer.StateRolledBack, dst.State())
		require.Empty(t, notes(dst))
	})
}
