package remote_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/providers/remote"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

func TestAStockServerIsNeverAskedToMerge(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	dst := r.destination(remote.Options{Merge: true, Conflict: "newer", Offer: remote.Supported()})
	changed := transfertest.Sample()
	changed.Records[transfer.StageEntities] = changed.Records[transfer.StageEntities][1:]
	report, err := transfer.Run(t.Context(), transfertest.NewMemory(changed), dst, transfer.Options{})
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.ErrorContains(t, err, "Strapi's own only replaces; use --strategy replace")
	require.NoError(t, dst.Close())
	require.Equal(t, transfer.StateUntouched, report.State)
	require.Equal(t, []string{"init"}, r.flow(0), "which changes nothing, and not even that is meant to be gone on with")
	require.Empty(t, r.flow(1))
	require.Equal(t, transfertest.Sample().Lines(), r.current().Lines())
	init, err := protocol.ParseInitParams(r.messages(0)[0].Params)
	require.NoError(t, err)
	require.Equal(t, protocol.StrategyMerge, init.Options.Strategy, "a server that overlooks extensions refuses the strategy")
	require.Equal(t, "newer", init.Options.Conflict)
	require.True(t, init.Extensions.Merge)
}

func TestNobodyIsOfferedToMergeUnasked(t *testing.T) {
	t.Parallel()
	r := newRunner(t, transfertest.Sample())
	dst := r.destination(remote.Options{Offer: remote.Supported()})
	require.NoError(t, push(t, dst, transfertest.Sample()))
	require.NoError(t, dst.Close())
	for session := range 2 {
		init, err := protocol.ParseInitParams(r.messages(session)[0].Params)
		require.NoError(t, err)
		require.Equal(t, protocol.StrategyRestore, init.Options.Strategy)
		require.Empty(t, init.Options.Conflict)
		require.False(t, init.Extensions.Merge)
	}
}
