package layout_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/internal/layout"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// nowhere is a sink that keeps nothing.
type nowhere struct{}

func (nowhere) Create(string, int64) (io.WriteCloser, error) { return nothing{io.Discard}, nil }

type nothing struct{ io.Writer }

func (nothing) Close() error { return nil }

// Strapi's import wants schemas, and an export of a source without them must say that it has none: once, and only then.
func TestAnExportWithoutSchemasSaysSo(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"schemas are known": true, "schemas are not known": false} {
		plan := transfer.Plan{Stages: []transfer.Stage{transfer.StageSchemas, transfer.StageEntities}}
		e := layout.NewExporter(nowhere{}, plan, layout.ExportOptions{Scratch: t.TempDir()})
		source := transfertest.NewMemory(transfertest.Sample())
		var notes []transfer.Note
		for _, stage := range plan.Stages {
			batch := transfer.Batch{Stage: stage, Last: true}
			for item, err := range source.Read(t.Context(), stage, 0) {
				require.NoError(t, err)
				if known || stage != transfer.StageSchemas {
					batch.Records = append(batch.Records, item.Record)
				}
			}
			require.NoError(t, e.Write(t.Context(), batch))
			notes = append(notes, e.Notes()...)
		}
		require.NoError(t, e.Close())
		if known {
			require.Empty(t, notes, name)
			continue
		}
		require.Len(t, notes, 1, name)
		require.Contains(t, notes[0].Message, "Strapi's own import refuses it")
	}
}
