package token_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

// postgres opens a database of the test's own.
func postgres(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", sqltest.New(t, sqltest.Postgres).URL())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func dollars(query string) string {
	parts := strings.Split(query, "?")
	for i := range parts[1:] {
		parts[i+1] = fmt.Sprintf("$%d%s", i+1, parts[i+1])
	}
	return strings.Join(parts, "")
}

func TestServersOfADatabaseShareTheirTokens(t *testing.T) {
	t.Parallel()
	db := postgres(t)
	secret := bytes.Repeat([]byte("s"), 32)
	stores := make([]*token.Store, 4)
	var all sync.WaitGroup
	for i := range stores {
		all.Go(func() {
			var err error
			if stores[i], err = token.OpenShared(t.Context(), token.Shared{DB: db, Bind: dollars, Secret: secret}, token.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	a, b := stores[0], stores[1]
	empty, err := b.Empty(t.Context())
	require.NoError(t, err)
	require.True(t, empty)
	made, text, err := a.Create(t.Context(), token.Spec{Name: "ci", Permissions: []protocol.Direction{protocol.Push, token.Jobs}, Site: "blog"})
	require.NoError(t, err)
	got, err := b.Verify(t.Context(), text)
	require.NoError(t, err)
	require.Equal(t, made.ID, got.ID)
	require.True(t, got.Permits(token.Jobs, "blog"))
	require.NoError(t, b.Used(t.Context(), made.ID))
	require.NoError(t, b.Permit(t.Context(), made.ID, []protocol.Direction{protocol.Pull}, ""))
	list, err := a.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.False(t, list[0].LastUsed.IsZero())
	require.True(t, list[0].Permits(protocol.Pull, "x"))

	once, onceText, err := a.Create(t.Context(), token.Spec{Name: "once", Once: true})
	require.NoError(t, err)
	require.NoError(t, a.Claim(t.Context(), once.ID))
	require.ErrorIs(t, b.Claim(t.Context(), once.ID), token.ErrSpent)
	_, err = b.Verify(t.Context(), onceText)
	require.ErrorIs(t, err, token.ErrSpent)
	_, err = a.Revoke(t.Context(), "ci")
	require.NoError(t, err)
	_, err = b.Verify(t.Context(), text)
	require.ErrorIs(t, err, token.ErrInvalid)

	stranger, err := token.OpenShared(t.Context(), token.Shared{DB: db, Bind: dollars, Secret: bytes.Repeat([]byte("x"), 32)}, token.Options{})
	require.NoError(t, err)
	_, err = stranger.Verify(t.Context(), onceText)
	require.ErrorIs(t, err, token.ErrInvalid, "another secret")
	_, err = token.OpenShared(t.Context(), token.Shared{DB: db, Bind: dollars, Secret: []byte("short")}, token.Options{})
	require.ErrorContains(t, err, "at least 32")
	require.NoError(t, a.Close())
	require.NoError(t, db.PingContext(t.Context()), "the database is somebody else's")
}

func TestOfServersThatStartTogetherOneMakesTheFirstToken(t *testing.T) {
	t.Parallel()
	db := postgres(t)
	in := token.Shared{DB: db, Bind: dollars, Secret: bytes.Repeat([]byte("s"), 32)}
	const servers = 8
	made := make(chan string, servers)
	var group sync.WaitGroup
	for range servers {
		group.Go(func() {
			s, err := token.OpenShared(t.Context(), in, token.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			first, text, ok, err := s.CreateFirst(t.Context(), token.Spec{Name: "first"})
			if err != nil {
				t.Error(err)
			}
			if ok {
				_, err := s.Verify(t.Context(), text)
				made <- fmt.Sprint(first.Name, err)
			}
		})
	}
	group.Wait()
	require.Len(t, made, 1)
	require.Equal(t, "first<nil>", <-made)
	s, err := token.Open(t.Context(), t.TempDir(), token.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	_, _, err = s.Create(t.Context(), token.Spec{Name: "another"})
	require.NoError(t, err)
	_, _, ok, err := s.CreateFirst(t.Context(), token.Spec{Name: "first"})
	require.NoError(t, err)
	require.False(t, ok, "there was one before")
}
