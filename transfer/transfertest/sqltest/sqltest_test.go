package sqltest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(Main(m)) }

// A database that was lent comes back, empty and under another name, whatever a test has left in it, and at work in it.
func TestADatabaseComesBackEmpty(t *testing.T) {
	var first Database
	var left *pgconn.PgConn
	t.Run("first", func(t *testing.T) {
		first = New(t, Postgres)
		require.NoError(t, run(t.Context(), first, `CREATE TABLE a (id int PRIMARY KEY); CREATE SCHEMA "Other"; CREATE TABLE "Other".b (id int REFERENCES a);
			CREATE TYPE mood AS ENUM ('calm'); SELECT lo_create(0)`))
		var err error
		left, err = pgconn.Connect(context.WithoutCancel(t.Context()), first.URL())
		require.NoError(t, err)
	})
	_, err := left.Exec(t.Context(), "SELECT 1").ReadAll()
	require.Error(t, err, "disconnected")
	require.NoError(t, left.Close(t.Context()))
	_, err = pgconn.Connect(t.Context(), first.URL())
	require.ErrorContains(t, err, "does not exist")

	second := New(t, Postgres)
	oid := func(name string) []string {
		got, err := query(t.Context(), second, "SELECT oid FROM pg_database WHERE datname = '"+name+"'")
		require.NoError(t, err)
		return got
	}
	require.Len(t, oid(second.Name), 1)
	got, err := query(t.Context(), second, `SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' ORDER BY 1`)
	require.NoError(t, err)
	require.Equal(t, []string{"information_schema", "public"}, got)
	for _, none := range []string{
		`SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace`,
		`SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace`,
		`SELECT oid::text FROM pg_largeobject_metadata`,
	} {
		got, err := query(t.Context(), second, none)
		require.NoError(t, err)
		require.Empty(t, got, none)
	}
	require.NoError(t, run(t.Context(), second, "CREATE TABLE a (id int)"))
}

// One database serves tests that follow one another.
func TestDatabasesAreUsedAgain(t *testing.T) {
	oids := make(map[string]bool)
	for range 3 {
		t.Run("", func(t *testing.T) {
			got, err := query(t.Context(), New(t, Postgres), "SELECT oid FROM pg_database WHERE datname = current_database()")
			require.NoError(t, err)
			oids[got[0]] = true
		})
	}
	require.Len(t, oids, 1)
}

// Nothing is left when all tests have run.
func TestDatabasesGoInTheEnd(t *testing.T) {
	for _, kind := range []Kind{Postgres, MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			server, err := find(kind)
			require.NoError(t, err)
			var p pool
			New(t, kind) // skips without a server
			p.open()
			db, err := p.lend(t.Context(), server)
			require.NoError(t, err)
			require.NoError(t, run(t.Context(), db, "CREATE TABLE a (id int)"))
			require.NoError(t, p.takeBack(t.Context(), server, db))
			again, err := p.lend(t.Context(), server)
			require.NoError(t, err)
			require.NoError(t, run(t.Context(), again, "CREATE TABLE a (id int)"))
			require.NoError(t, p.takeBack(t.Context(), server, again))
			require.Len(t, p.free, map[Kind]int{Postgres: 1, MySQL: 0}[kind])
			gone := append([]string{db.Name, again.Name}, keys(p.free)...)
			require.NoError(t, p.close(t.Context()))
			names, err := list(t.Context(), server)
			require.NoError(t, err)
			for _, name := range gone {
				require.NotContains(t, names, name)
			}
		})
	}
}

func keys(databases map[string]Database) (names []string) {
	for name := range databases {
		names = append(names, name)
	}
	return names
}

// What a killed run has left is dropped; what is younger, or somebody else's, stays.
func TestWhatKilledRunsLeftIsSwept(t *testing.T) {
	for _, kind := range []Kind{Postgres, MySQL} {
		t.Run(string(kind), func(t *testing.T) {
			young := New(t, kind)
			server, err := find(kind)
			require.NoError(t, err)
			left := newName(time.Now().Add(-abandoned - time.Minute))
			require.NoError(t, create(t.Context(), server, left))
			require.NoError(t, sweep(t.Context(), server, time.Now()))
			names, err := list(t.Context(), server)
			require.NoError(t, err)
			require.NotContains(t, names, left)
			require.Contains(t, names, young.Name)
			require.True(t, slices.Contains(names, server.Name))
		})
	}
	for _, name := range []string{"postgres", "transfer_test_", "transfer_test_1", "transfer_test_x_y", "mytransfer_test_1_a"} {
		require.False(t, stale(name, time.Now()), name)
	}
	require.True(t, stale("transfer_test_1_a", time.Now()))
}
