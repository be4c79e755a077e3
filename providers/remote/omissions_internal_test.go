package remote

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
)

// The texts are those of @strapi/data-transfer 5.54.0.
func TestOmissions(t *testing.T) {
	t.Parallel()
	var o omissions
	heard := []string{
		"[Data transfer] Media item 14 (hash: a_1) exists in database but no corresponding file was found to transfer. Path: /srv/app/public/uploads/a_1.png",
		"[Data transfer] Media item 14 (hash: a_1) exists in database but no corresponding file was found to transfer (format: small). Path: /srv/app/public/uploads/small_a_1.png",
		"Omitting link api::a.a:1 -> api::b.b:2 from export because a referenced entity no longer exists in the database.",
		"Links export omitted 12 relation(s) pointing at missing entities. Verify relations after import if this is unexpected.",
	}
	for _, text := range heard {
		require.True(t, o.hear(text), text)
	}
	require.False(t, o.hear("something else"))
	want := []transfer.Skip{
		{Stage: transfer.StageAssets, Reason: reasonFileGone, Count: 2, Examples: []string{"a_1.png", "small_a_1.png"}},
		{Stage: transfer.StageLinks, Reason: reasonDangling, Count: 12, Examples: []string{"api::a.a:1 -> api::b.b:2"}},
	}
	require.Equal(t, want, o.skips())
	o.forget(transfer.StageLinks)
	require.Equal(t, want[:1], o.skips(), "a stage that is read again starts anew")
}
