package strapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/strapi"
	"github.com/transfer-runner/runner/providers/strapi/database"
	"github.com/transfer-runner/runner/providers/strapi/database/databasetest"
	"github.com/transfer-runner/runner/providers/strapi/sitetest"
	"github.com/transfer-runner/runner/transfer"
)

func TestASecondTransferIsRefused(t *testing.T) {
	t.Parallel()
	databasetest.Each(t, func(t *testing.T, config database.Config) {
		sitetest.Lab(t, config)
		site, err := strapi.Open(t.Context(), strapi.Options{Database: config, Components: sitetest.LabComponents(t)})
		require.NoError(t, err)
		plan := transfer.Plan{Stages: []transfer.Stage{transfer.StageSchemas, transfer.StageEntities, transfer.StageLinks}}
		first, err := site.Destination("the first", strapi.WriteOptions{})
		require.NoError(t, err)
		_, err = first.Begin(t.Context(), plan)
		require.NoError(t, err)
		second, err := site.Destination("the second", strapi.WriteOptions{})
		require.NoError(t, err)
		_, err = second.Begin(t.Context(), plan)
		require.ErrorIs(t, err, database.ErrBusy)
		require.ErrorIs(t, err, transfer.ErrUnwritable)
		require.Equal(t, transfer.StateUntouched, second.State())
		require.NoError(t, second.Close())
		require.NoError(t, first.Close())
		third, err := site.Destination("the third", strapi.WriteOptions{})
		require.NoError(t, err)
		_, err = third.Begin(t.Context(), plan)
		require.NoError(t, err)
		require.NoError(t, third.Close())
		require.NoError(t, site.Close())
	})
}
