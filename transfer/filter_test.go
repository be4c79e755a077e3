package transfer_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
)

// The expectations are what the stock command of 5.54.0 sends as its restore options for the same flags.
func TestFilterRestore(t *testing.T) {
	t.Parallel()
	always := []string{"admin::user", "plugin::content-releases.release", "plugin::content-releases.release-action"}
	user := []string{"api::article.article", "api::category.category", "plugin::upload.file"}
	tests := map[string]struct {
		filter transfer.Filter
		want   transfer.Restore
	}{
		"everything":      {want: transfer.Restore{Exclude: always, Assets: true, Configuration: true}},
		"only content":    {transfer.Filter{Only: groups("content")}, transfer.Restore{Include: user, Exclude: always}},
		"only files":      {transfer.Filter{Only: groups("files")}, transfer.Restore{Include: []string{}, Exclude: always, Assets: true}},
		"only config":     {transfer.Filter{Only: groups("config")}, transfer.Restore{Include: []string{}, Exclude: always, Configuration: true}},
		"exclude content": {transfer.Filter{Exclude: groups("content")}, transfer.Restore{Include: []string{}, Exclude: always, Assets: true, Configuration: true}},
		"exclude files":   {transfer.Filter{Exclude: groups("files")}, transfer.Restore{Exclude: always, Configuration: true}},
		"exclude config":  {transfer.Filter{Exclude: groups("config")}, transfer.Restore{Include: user, Exclude: always, Assets: true}},
		"only a type": {
			transfer.Filter{OnlyTypes: []string{"api::article.article"}},
			transfer.Restore{Include: []string{"api::article.article"}, Exclude: always, Configuration: true},
		},
		"without a type": {
			transfer.Filter{ExcludeTypes: []string{"api::article.article"}, Exclude: groups("config")},
			transfer.Restore{Include: user[1:], Exclude: append(always[:3:3], "api::article.article"), Assets: true},
		},
		"exclude the media library": {
			transfer.Filter{Exclude: groups("media-library")},
			transfer.Restore{Exclude: append(always[:3:3], "plugin::upload.file", "plugin::upload.folder"), Configuration: true},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.NoError(t, test.filter.Validate())
			require.Equal(t, test.want, test.filter.Restore(transfertest.Sample().Schemas(t)))
		})
	}
}

func groups(names ...string) (out []transfer.Group) {
	for _, n := range names {
		out = append(out, transfer.Group(n))
	}
	return out
}

func TestFilterValidate(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]transfer.Filter{
		"a part on both sides":         {Only: groups("content"), Exclude: groups("content")},
		"a type on both sides":         {OnlyTypes: []string{"api::a.a"}, ExcludeTypes: []string{"api::a.a"}},
		"the media library alone":      {Only: groups("media-library")},
		"what is never moved, by name": {OnlyTypes: []string{"admin::user"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, f.Validate(), transfer.ErrUsage)
		})
	}
	_, err := transfer.ParseGroup("everything")
	require.ErrorIs(t, err, transfer.ErrUsage)
}
