package strapi_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/transfer"
)

// Whoever asks is told of each record that is left out, when it is, and of a link what it lacks.
func TestADestinationTellsOfEachRecordThatItLeavesOut(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]strapi.WriteOptions{
		"what is there is replaced":                {},
		"both are merged, and what is there stays": {Merge: true, Conflict: strapi.ConflictDestination},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tellsOfEachOmission(t, options)
		})
	}
}

func tellsOfEachOmission(t *testing.T, options strapi.WriteOptions) {
	t.Helper()
	p := labProject(t, database.SQLite)
	dst, err := p.site(t).Destination("test", options)
	require.NoError(t, err)
	var told []transfer.Omission
	dst.OnOmission(func(o transfer.Omission) { told = append(told, o) })
	_, err = dst.Begin(t.Context(), transfer.Plan{Stages: []transfer.Stage{transfer.StageEntities, transfer.StageLinks}})
	require.NoError(t, err)
	row, err := transfer.ParseRecord(transfer.StageEntities, []byte(`{"type":"api::rel-b.rel-b","id":5,"data":{"documentId":"d","name":"n"}}`))
	require.NoError(t, err)
	require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageEntities, Records: []transfer.Record{row}, Last: true}))
	var links []transfer.Record
	for _, ends := range [][2]int{{5, 6}, {7, 8}} {
		for _, field := range []string{"friends", "nothing"} {
			l, err := transfer.ParseRecord(transfer.StageLinks, fmt.Appendf(nil,
				`{"kind":"relation.basic","relation":"manyToMany","left":{"type":"api::rel-a.rel-a","ref":%d,"field":%q},"right":{"type":"api::rel-b.rel-b","ref":%d}}`,
				ends[1], field, ends[0]))
			require.NoError(t, err)
			links = append(links, l)
		}
	}
	require.NoError(t, dst.Write(t.Context(), transfer.Batch{Stage: transfer.StageLinks, Records: links, Last: true}))
	const unmapped, noField = "a row that it points to was not transferred", "the destination has no such field"
	require.Equal(t, []transfer.Omission{
		{Record: links[0], Reason: unmapped, Missing: []string{"api::rel-a.rel-a:6"}},
		{Record: links[1], Reason: noField, Allowed: true},
		{Record: links[2], Reason: unmapped, Missing: []string{"api::rel-a.rel-a:8", "api::rel-b.rel-b:7"}},
		{Record: links[3], Reason: noField, Allowed: true},
	}, told)
	outcome := dst.Outcome()
	require.Len(t, outcome.Skipped, 2)
	stored, ok := outcome.Stored[transfer.StageLinks]
	require.True(t, ok, "that none was stored is known")
	require.Zero(t, stored)
	require.NoError(t, dst.Close())
}
