package vault_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/providers/vault"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/transfertest"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

// sharing is what several servers share.
type sharing struct {
	database string
	bucket   vault.Bucket
	objects  *s3mem.Backend
}

func (s *sharing) options() vault.Options {
	return vault.Options{Database: s.database, Blobs: &s.bucket}
}

// open opens the vault as one of the servers, with a folder of its own.
func (s *sharing) open(tb testing.TB) *vault.Vault {
	tb.Helper()
	v, err := vault.Open(tb.Context(), tb.TempDir(), s.options())
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, v.Close()) })
	return v
}

// pieces are the keys of the objects in the bucket.
func (s *sharing) pieces(tb testing.TB) (keys []string) {
	tb.Helper()
	list, err := s.objects.ListBucket("pieces", nil, gofakes3.ListBucketPage{})
	require.NoError(tb, err)
	for _, object := range list.Contents {
		keys = append(keys, object.Key)
	}
	return keys
}

// share makes a database and a bucket of the test's own.
func share(tb testing.TB) *sharing {
	tb.Helper()
	s := &sharing{database: sqltest.New(tb, sqltest.Postgres).URL(), objects: s3mem.New()}
	require.NoError(tb, s.objects.CreateBucket("pieces"))
	server := httptest.NewServer(gofakes3.New(s.objects).Server())
	tb.Cleanup(server.Close)
	s.bucket = sharedBucket(strings.TrimPrefix(server.URL, "http://"))
	return s
}

func sharedBucket(endpoint string) vault.Bucket {
	return vault.Bucket{
		Name: "pieces", Prefix: "a/b", Endpoint: endpoint, Insecure: true, Region: "us-east-1", AccessKey: "key", SecretKey: "secret",
	}
}

// query asks the database for one number.
func (s *sharing) query(tb testing.TB, text string) (n int64) {
	tb.Helper()
	config, err := pgx.ParseConfig(s.database)
	require.NoError(tb, err)
	db := stdlib.OpenDB(*config)
	defer func() { require.NoError(tb, db.Close()) }()
	require.NoError(tb, db.QueryRowContext(tb.Context(), text).Scan(&n))
	return n
}

// settle waits until PostgreSQL has noticed that a killed server has gone.
func (s *sharing) settle(tb testing.TB) {
	tb.Helper()
	require.Eventually(tb, func() bool {
		return s.query(tb, `SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.datname = current_database() AND l.locktype = 'advisory'`) == 0
	}, time.Minute, 20*time.Millisecond)
}

// empty is how many pieces without bytes the index names: they are not kept.
func (s *sharing) empty(tb testing.TB) int64 {
	tb.Helper()
	return s.query(tb, "SELECT count(*) FROM transfer_vault.blobs WHERE size = 0")
}

func TestASharedVaultIsASourceAndADestination(t *testing.T) {
	t.Parallel()
	s := share(t)
	n := 0
	site := func() string { n++; return fmt.Sprintf("site%d", n) }
	t.Run("source", func(t *testing.T) {
		transfertest.TestSource(t, func(t *testing.T, content *transfertest.Site) transfer.Source {
			v, name := s.open(t), site()
			put(t, v, name, content)
			src, err := v.Source(t.Context(), name, "")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, src.Close()) })
			return src
		})
	})
	t.Run("destination", func(t *testing.T) {
		transfertest.TestDestination(t, func(t *testing.T) (transfer.Destination, func(*testing.T) *transfertest.Site) {
			v, name := s.open(t), site()
			put(t, v, name, smallSite())
			dst, err := v.Destination(name, vault.WriteOptions{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, dst.Close()) })
			return dst, func(t *testing.T) *transfertest.Site { return get(t, v, name, "") }
		})
	})
}

func TestServersShareAVault(t *testing.T) {
	t.Parallel()
	s := share(t)
	one, two := s.open(t), s.open(t)
	first := put(t, one, "site", wide(500, 20))
	require.Equal(t, lines(sortedSchemas(wide(500, 20))), lines(get(t, two, "site", "")))

	again := put(t, two, "site", wide(500, 20))
	require.Zero(t, again.AddedBlobs, "each piece is kept once, whoever brings it")
	require.Equal(t, []string{first.ID, again.ID}, []string{snapshots(t, one, "site")[0].ID, snapshots(t, one, "site")[1].ID})

	held, err := one.Destination("site", vault.WriteOptions{Who: "token ci"})
	require.NoError(t, err)
	_, err = held.Begin(t.Context(), transfer.Plan{Stages: transfer.Stages()})
	require.NoError(t, err)
	_, err = push(t, two, "site", transfertest.NewMemory(smallSite()), transfer.Filter{})
	require.ErrorIs(t, err, vault.ErrBusy)
	require.ErrorContains(t, err, "token ci")
	swept, err := two.Sweep(t.Context())
	require.NoError(t, err)
	require.True(t, swept.Busy, "nothing is swept while somebody on another server writes")
	require.NoError(t, held.Close())

	put(t, two, "site", smallSite())
	before := len(s.pieces(t))
	_, swept, err = one.Forget(t.Context(), "site", vault.Policy{Last: 1}, vault.DoIt)
	require.NoError(t, err)
	require.Positive(t, swept.Blobs)
	require.Len(t, s.pieces(t), before-int(swept.Blobs))
	require.Equal(t, lines(sortedSchemas(smallSite())), lines(get(t, two, "site", "")))
	report, err := two.Check(t.Context(), vault.CheckOptions{ReadData: true})
	require.NoError(t, err)
	require.Empty(t, report.Problems)
}

func TestASweepLeavesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	s := share(t)
	v := s.open(t)
	put(t, v, "site", smallSite())
	for _, key := range []string{"a/b/blobs/00/readme.txt", "a/b/other", "blobs/00/" + strings.Repeat("0", 62)} {
		_, err := s.objects.PutObject("pieces", key, nil, strings.NewReader("x"), 1, nil)
		require.NoError(t, err)
	}
	stray := "a/b/blobs/00/" + strings.Repeat("0", 62)
	_, err := s.objects.PutObject("pieces", stray, nil, strings.NewReader("x"), 1, nil)
	require.NoError(t, err)
	swept, err := v.Sweep(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, swept.Blobs)
	require.NotContains(t, s.pieces(t), stray)
	require.Contains(t, s.pieces(t), "a/b/blobs/00/readme.txt")
	require.Contains(t, s.pieces(t), "blobs/00/"+strings.Repeat("0", 62))
}

// TestAWriterThatLosesItsLocksCannotCommit ends the connections that hold the locks, as a database that is restarted does.
func TestAWriterThatLosesItsLocksCannotCommit(t *testing.T) {
	t.Parallel()
	s := share(t)
	v := s.open(t)
	put(t, v, "site", smallSite())
	dst, err := v.Destination("site", vault.WriteOptions{})
	require.NoError(t, err)
	src := &meanwhile{Source: transfertest.NewMemory(transfertest.Sample()), do: func() { s.disconnect(t) }}
	_, err = transfer.Run(t.Context(), src, dst, transfer.Options{})
	require.Error(t, err)
	require.NoError(t, dst.Close())
	require.Equal(t, lines(sortedSchemas(smallSite())), lines(get(t, v, "site", "")))
	put(t, v, "site", transfertest.Sample())
}

// disconnect ends all connections to the database.
func (s *sharing) disconnect(tb testing.TB) {
	tb.Helper()
	config, err := pgx.ParseConfig(s.database)
	require.NoError(tb, err)
	db := stdlib.OpenDB(*config)
	defer func() { require.NoError(tb, db.Close()) }()
	_, err = db.ExecContext(tb.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
		AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = pg_stat_activity.pid AND l.locktype = 'advisory')`)
	require.NoError(tb, err)
}

func TestABucketsAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]vault.Bucket{
		"s3://content":                   {Name: "content"},
		"s3://content/a/b/":              {Name: "content", Prefix: "a/b"},
		"s3://content?region=eu-west-1":  {Name: "content", Region: "eu-west-1"},
		"s3://c/p?endpoint=http://m:900": {Name: "c", Prefix: "p", Endpoint: "m:900", Insecure: true},
		"s3://c?endpoint=https://m":      {Name: "c", Endpoint: "m"},
	} {
		got, err := vault.ParseBucket(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	for _, text := range []string{
		"", "s3:", "s3://", "https://content", "s3://key:geheim@content", "s3://c?endpoint=m:900", "s3://c?endpoint=http://a:geheim@m", "s3://c?other=1", "s3://c#x",
		"s3://c?region=a&region=b", "s3://c?%zz",
	} {
		_, err := vault.ParseBucket(text)
		require.ErrorIs(t, err, transfer.ErrUsage, text)
		require.NotContains(t, err.Error(), "geheim")
	}
}

// TestWhatIsNotThere asks for parts that do not answer.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := vault.Open(t.Context(), t.TempDir(), vault.Options{Database: "postgres://somebody:geheim@127.0.0.1:1/none?connect_timeout=2"})
	require.ErrorIs(t, err, transfer.ErrConnection)
	require.NotContains(t, err.Error(), "geheim")
	_, err = vault.Open(t.Context(), t.TempDir(), vault.Options{Database: "postgres://geheim:%zz@"})
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.NotContains(t, err.Error(), "geheim")

	_, err = vault.Open(t.Context(), t.TempDir(), vault.Options{Blobs: &vault.Bucket{
		Name: "pieces", Endpoint: "127.0.0.1:1", Insecure: true, Region: "us-east-1", AccessKey: "key", SecretKey: "geheim",
	}})
	require.ErrorIs(t, err, transfer.ErrConnection)
	require.NotContains(t, err.Error(), "geheim")
	s := share(t)
	wrong := s.bucket
	wrong.Name = "elsewhere"
	_, err = vault.Open(t.Context(), t.TempDir(), vault.Options{Database: s.database, Blobs: &wrong})
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.ErrorContains(t, err, "there is no such bucket")
}

// The bucket goes away between the start and a push.
func TestABucketThatGoesAway(t *testing.T) {
	t.Parallel()
	objects := s3mem.New()
	require.NoError(t, objects.CreateBucket("pieces"))
	server := httptest.NewServer(gofakes3.New(objects).Server())
	bucket := sharedBucket(strings.TrimPrefix(server.URL, "http://"))
	v, err := vault.Open(t.Context(), t.TempDir(), vault.Options{Blobs: &bucket})
	require.NoError(t, err)
	defer func() { require.NoError(t, v.Close()) }()
	server.Close()
	_, err = push(t, v, "site", transfertest.NewMemory(smallSite()), transfer.Filter{})
	require.ErrorIs(t, err, transfer.ErrConnection)
	require.NotContains(t, err.Error(), "secret")
	require.Empty(t, snapshots(t, v, "site"))
}

// All who share an index keep the pieces in one place, or are told so.
func TestPiecesAreInOnePlace(t *testing.T) {
	t.Parallel()
	s := share(t)
	folder := t.TempDir()
	local := func(dir string) error {
		v, err := vault.Open(t.Context(), dir, vault.Options{Database: s.database})
		if err == nil {
			err = v.Close()
		}
		return err
	}
	require.NoError(t, local(folder))
	require.NoError(t, local(t.TempDir()), "as long as there are no pieces they may be anywhere")
	put(t, s.open(t), "site", smallSite())
	for range 2 {
		require.NoError(t, s.open(t).Close())
	}
	err := local(folder)
	require.ErrorIs(t, err, transfer.ErrUsage)
	require.ErrorContains(t, err, "are in s3://pieces/a/b: give the address of that bucket")
	moved := s.bucket
	moved.Prefix = "c"
	_, err = vault.Open(t.Context(), t.TempDir(), vault.Options{Database: s.database, Blobs: &moved})
	require.ErrorIs(t, err, transfer.ErrUsage)

	s.database = sqltest.New(t, sqltest.Postgres).URL()
	v, err := vault.Open(t.Context(), folder, vault.Options{Database: s.database})
	require.NoError(t, err)
	put(t, v, "site", smallSite())
	require.NoError(t, v.Close())
	require.NoError(t, local(folder), "the folder is known again")
	require.ErrorContains(t, local(t.TempDir()), "in the data folder of another server")
	_, err = vault.Open(t.Context(), folder, s.options())
	require.ErrorIs(t, err, transfer.ErrUsage)
}
