package token_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer/transfertest/sqltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(sqltest.Main(m)) }

// clock is a time that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func open(tb testing.TB, dir string) (*token.Store, *clock) {
	tb.Helper()
	c := &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 5e8, time.UTC)}
	s, err := token.Open(tb.Context(), dir, token.Options{Now: c.time})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Close()) })
	return s, c
}

func part(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func sign(key []byte, head, body string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(head + "." + body))
	return head + "." + body + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestOnlyATokenOfExactlyOurFormIsGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, clock := open(t, dir)
	known, good, err := s.Create(t.Context(), token.Spec{Name: "ci", Lifetime: time.Hour})
	require.NoError(t, err)
	key, err := os.ReadFile(filepath.Join(dir, "token.key"))
	require.NoError(t, err)
	now := clock.time().Unix()
	header := func(change map[string]any) string {
		h := map[string]any{"alg": "HS256", "typ": "transfer+jwt"}
		maps.Copy(h, change)
		return part(h)
	}
	body := func(change map[string]any) string {
		b := map[string]any{
			"jti": known.ID, "sub": "ci", "iss": "transfer-runner", "aud": []string{"transfer-runner"}, "iat": now, "nbf": now, "exp": now + 3600,
		}
		for k, v := range change {
			if b[k] = v; v == nil {
				delete(b, k)
			}
		}
		return part(b)
	}
	type m = map[string]any
	parts := strings.Split(good, ".")
	for name, text := range map[string]string{
		"alg none":                       header(m{"alg": "none"}) + "." + body(nil) + ".",
		"alg None":                       header(m{"alg": "None"}) + "." + body(nil) + ".",
		"another HMAC":                   sign(key, header(m{"alg": "HS512"}), body(nil)),
		"RSA by name, HMAC by signature": sign(key, header(m{"alg": "RS256"}), body(nil)),
		"another key":                    sign([]byte("-----BEGIN PUBLIC KEY-----"), header(nil), body(nil)),
		"the wrong audience":             sign(key, header(nil), body(m{"aud": "other"})),
		"the wrong issuer":               sign(key, header(nil), body(m{"iss": "other"})),
		"the wrong type":                 sign(key, header(m{"typ": "JWT"}), body(nil)),
		"not valid yet":                  sign(key, header(nil), body(m{"nbf": now + 600})),
		"without an end":                 sign(key, header(nil), body(m{"exp": nil})),
		"without an id":                  sign(key, header(nil), body(m{"jti": nil})),
		"an unknown id":                  sign(key, header(nil), body(m{"jti": "11111111-2222-3333-4444-555555555555"})),
		"something critical":             sign(key, header(m{"crit": []string{"x"}}), body(nil)),
		"a key of its own by address":    sign(key, header(m{"jku": "https://evil.example/keys"}), body(nil)),
		"a key of its own inside":        sign(key, header(m{"jwk": m{"kty": "oct", "k": "AAAA"}}), body(nil)),
		"a key by number":                sign(key, header(m{"kid": "../../dev/null"}), body(nil)),
		"no signature":                   parts[0] + "." + parts[1] + ".",
		"two parts":                      parts[0] + "." + parts[1],
		"data after the end":             good + ".x",
		"a space after the end":          good + " ",
		"padding":                        good + "=",
		"the other half of the last bit": good[:len(good)-1] + string(good[len(good)-1]+1),
		"nothing":                        "",
		"very long":                      strings.Repeat("a", 1<<20),
		"a token of Strapi":              strings.Repeat("0123456789abcdef", 16),
	} {
		_, err := s.Verify(t.Context(), text)
		require.ErrorIs(t, err, token.ErrInvalid, name)
		require.NotContains(t, err.Error(), parts[2], name)
	}
	// The helpers above make good tokens when nothing is wrong with them, or else they would prove nothing.
	for _, text := range []string{good, sign(key, header(nil), body(nil))} {
		got, err := s.Verify(t.Context(), text)
		require.NoError(t, err)
		require.Equal(t, known.ID, got.ID)
	}
	_, err = s.Verify(t.Context(), sign(key, header(nil), body(m{"exp": now - 10, "aud": "other"})))
	require.ErrorIs(t, err, token.ErrInvalid, "expired is said only of our own")
	clock.advance(2 * time.Hour)
	_, err = s.Verify(t.Context(), good)
	require.ErrorIs(t, err, token.ErrExpired)
	_, err = s.Check(t.Context(), known.ID)
	require.ErrorIs(t, err, token.ErrExpired)
}

func TestWhatATokenIsForIsInTheStore(t *testing.T) {
	t.Parallel()
	s, clock := open(t, t.TempDir())
	made, text, err := s.Create(t.Context(), token.Spec{Name: " ci ", Permissions: []protocol.Direction{protocol.Pull}, Site: "blog"})
	require.NoError(t, err)
	got, err := s.Verify(t.Context(), text)
	require.NoError(t, err)
	require.True(t, made.Created.Equal(got.Created) && made.Expires.Equal(got.Expires))
	require.Equal(t, "ci", got.Name)
	require.True(t, got.Permits(protocol.Pull, "blog"))
	require.False(t, got.Permits(protocol.Push, "blog"))
	require.False(t, got.Permits(protocol.Pull, "other"))
	require.Equal(t, token.DefaultLifetime, got.Expires.Sub(clock.time()).Round(time.Second).Truncate(time.Minute))
	require.True(t, got.LastUsed.IsZero())

	require.NoError(t, s.Used(t.Context(), made.ID))
	clock.advance(10 * time.Second)
	require.NoError(t, s.Used(t.Context(), made.ID))
	got, err = s.Check(t.Context(), made.ID)
	require.NoError(t, err)
	require.Equal(t, clock.time().Add(-10*time.Second).Unix(), got.LastUsed.Unix(), "written down once a minute")

	require.NoError(t, s.Permit(t.Context(), made.ID, []protocol.Direction{protocol.Push}, ""))
	got, err = s.Verify(t.Context(), text)
	require.NoError(t, err)
	require.True(t, got.Permits(protocol.Push, "other"))
	require.False(t, got.Permits(protocol.Pull, "blog"))
}

func TestARevokedTokenIsNoGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := open(t, dir)
	other, _ := open(t, dir) // another process
	made, text, err := s.Create(t.Context(), token.Spec{Name: "ci"})
	require.NoError(t, err)
	_, err = other.Verify(t.Context(), text)
	require.NoError(t, err)
	_, err = other.Revoke(t.Context(), "nobody")
	require.ErrorIs(t, err, token.ErrUnknown)
	for _, which := range []string{made.ID[:8], made.ID} {
		gone, err := other.Revoke(t.Context(), which)
		require.NoError(t, err)
		require.False(t, gone.Revoked.IsZero())
	}
	_, err = s.Verify(t.Context(), text)
	require.ErrorIs(t, err, token.ErrInvalid)
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "revoked", list[0].Status(time.Now()))

	for range 2 {
		_, _, err = s.Create(t.Context(), token.Spec{Name: "twin"})
		require.NoError(t, err)
	}
	_, err = s.Revoke(t.Context(), "twin")
	require.ErrorIs(t, err, token.ErrUnknown, "a name that two have")
}

func TestATokenForOneTransferIsClaimedOnce(t *testing.T) {
	t.Parallel()
	s, _ := open(t, t.TempDir())
	made, text, err := s.Create(t.Context(), token.Spec{Name: "once", Once: true})
	require.NoError(t, err)
	var wins, losses int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			err := s.Claim(t.Context(), made.ID)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				wins++
			} else {
				losses++
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, wins)
	require.Equal(t, 7, losses)
	_, err = s.Verify(t.Context(), text)
	require.ErrorIs(t, err, token.ErrSpent)
}

func TestTheKeyIsForTheOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s, _ := open(t, dir)
	_, text, err := s.Create(t.Context(), token.Spec{Name: "ci"})
	require.NoError(t, err)
	for _, name := range []string{"token.key", "tokens.db"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for _, file := range []string{"tokens.db", "tokens.db-wal"} {
		content, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.NotContains(t, string(content), text, "the text of a token is kept nowhere")
	}
	key := filepath.Join(dir, "token.key")
	require.NoError(t, os.Chmod(key, 0o644))
	_, err = token.Open(t.Context(), dir, token.Options{})
	require.ErrorContains(t, err, "chmod 600")
	require.NoError(t, os.Chmod(key, 0o600))
	require.NoError(t, os.WriteFile(key, []byte("short"), 0o600))
	_, err = token.Open(t.Context(), dir, token.Options{})
	require.ErrorContains(t, err, "damaged")
}

func TestStoresThatOpenTogetherShareOneKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stores := make([]*token.Store, 4)
	var all sync.WaitGroup
	for i := range stores {
		all.Go(func() {
			var err error
			stores[i], err = token.Open(t.Context(), dir, token.Options{})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	_, text, err := stores[0].Create(t.Context(), token.Spec{Name: "ci"})
	require.NoError(t, err)
	for _, s := range stores {
		_, err := s.Verify(t.Context(), text)
		require.NoError(t, err)
		require.NoError(t, s.Close())
	}
	left, err := filepath.Glob(filepath.Join(dir, "token.key.*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestATokenThatMakesNoSenseIsNotMade(t *testing.T) {
	t.Parallel()
	s, _ := open(t, t.TempDir())
	for name, spec := range map[string]token.Spec{
		"no name":             {},
		"a name of two lines": {Name: "a\nb"},
		"a long name":         {Name: strings.Repeat("x", 101)},
		"a permission more":   {Name: "a", Permissions: []protocol.Direction{"admin"}},
		"no life":             {Name: "a", Lifetime: -1},
		"eternal life":        {Name: "a", Lifetime: 100 * 366 * 24 * time.Hour},
	} {
		_, _, err := s.Create(t.Context(), spec)
		require.Error(t, err, name)
	}
	empty, err := s.Empty(t.Context())
	require.NoError(t, err)
	require.True(t, empty)
}

func FuzzVerify(f *testing.F) {
	s, _ := open(f, f.TempDir())
	known, good, err := s.Create(f.Context(), token.Spec{Name: "ci"})
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:40])
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := s.Verify(t.Context(), text)
		if err == nil {
			require.Equal(t, good, text, "there is one text of a token")
			require.Equal(t, known.ID, got.ID)
		}
	})
}
