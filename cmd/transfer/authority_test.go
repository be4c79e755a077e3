package main

import (
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/providers"
)

// A transfer under way goes on while somebody holds the database, and ends when its token has gone.
func TestTokensOfALockedDatabase(t *testing.T) {
	t.Parallel()
	dir := labProject(t)
	e, err := providers.Parse(dir)
	require.NoError(t, err)
	opened, err := providers.New(providers.Config{}).OpenSite(t.Context(), e, providers.Access{})
	require.NoError(t, err)
	defer opened.Close()
	store, err := token.Open(t.Context(), t.TempDir(), token.Options{})
	require.NoError(t, err)
	defer store.Close()
	site := &siteTokens{name: "shop", site: opened, now: time.Now, known: make(map[string]token.Token)}
	a := &authority{Store: store, sites: map[string]*siteTokens{"shop": site}}

	found, err := a.Verify(t.Context(), accessKey)
	require.NoError(t, err)
	require.Equal(t, "panel", found.Name)
	require.True(t, found.Permits(protocol.Push, "shop"))
	require.False(t, found.Permits(protocol.Push, "default"))
	require.NoError(t, a.Used(t.Context(), found.ID))
	require.NoError(t, a.Claim(t.Context(), found.ID))
	for _, text := range []string{"", accessKey + "x", "a.b.c"} {
		_, err = a.Verify(t.Context(), text)
		require.ErrorIs(t, err, token.ErrInvalid, "%q", text)
	}

	db, err := sql.Open("sqlite", filepath.Join(dir, ".tmp", "data.db"))
	require.NoError(t, err)
	defer db.Close()
	holder, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer holder.Close()
	_, err = holder.ExecContext(t.Context(), "BEGIN EXCLUSIVE")
	require.NoError(t, err)
	again, err := a.Check(t.Context(), found.ID)
	require.NoError(t, err)
	require.Equal(t, found.ID, again.ID)
	_, err = a.Check(t.Context(), "strapi:shop/99")
	require.Error(t, err, "nothing is known of it")
	require.NotErrorIs(t, err, token.ErrInvalid)

	_, err = holder.ExecContext(t.Context(), "DELETE FROM strapi_transfer_tokens")
	require.NoError(t, err)
	_, err = holder.ExecContext(t.Context(), "COMMIT")
	require.NoError(t, err)
	_, err = a.Check(t.Context(), found.ID)
	require.ErrorIs(t, err, token.ErrInvalid)
	_, err = a.Check(t.Context(), "strapi:other/1")
	require.ErrorIs(t, err, token.ErrInvalid)
}
