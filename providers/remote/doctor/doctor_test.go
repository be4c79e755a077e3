package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/transfer-runner/runner/providers/remote/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token    = "secret-token-0123456789"
	adminAPI = "/admin/transfer/runner/"
)

// strapi is a server that answers as Strapi does, and can be spoilt.
type strapi struct {
	base      string                                            // path prefix of the admin API; default /admin
	plain     func(w http.ResponseWriter, r *http.Request) bool // answers first; true if it did
	upgrade   func(w http.ResponseWriter, r *http.Request) bool // answers requests with a token
	speak     func(c *websocket.Conn)                           // nil speaks as a runner
	scopes    string
	tokenFail string
}

func (s strapi) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	base := s.base
	if base == "" {
		base = "/admin"
	}
	if s.plain != nil && s.plain(w, r) {
		return
	}
	direction, found := strings.CutPrefix(r.URL.Path, base+"/transfer/runner/")
	switch {
	case !found:
		fail(w, http.StatusNotFound, "NotFoundError", "Not Found")
	case r.Header.Get("Authorization") != "Bearer "+token:
		fail(w, http.StatusUnauthorized, "UnauthorizedError", "Missing or invalid credentials")
	case s.tokenFail != "":
		fail(w, http.StatusUnauthorized, "UnauthorizedError", s.tokenFail)
	case s.scopes != "" && !strings.Contains(s.scopes, direction):
		fail(w, http.StatusForbidden, "ForbiddenError", "Forbidden")
	case s.upgrade != nil && s.upgrade(w, r):
	default:
		s.converse(w, r)
	}
}

func (s strapi) converse(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = c.Close() }()
	if s.speak != nil {
		s.speak(c)
		return
	}
	for {
		var m struct {
			UUID string `json:"uuid"`
		}
		if c.ReadJSON(&m) != nil {
			return
		}
		_ = c.WriteMessage(websocket.TextMessage, []byte(`{"diagnostic":{"kind":"info","details":{"message":"received"}},"uuid":"x"}`))
		_ = c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"uuid":%q,"data":{"active":false},"error":null}`, m.UUID))
	}
}

func fail(w http.ResponseWriter, status int, name, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"data": nil, "error": map[string]any{"status": status, "name": name, "message": message}})
}

func status(code int, header ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, http.StatusText(code))
		return true
	}
}

func page(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!doctype html><title>My site</title>")
	return true
}

func hangUp(w http.ResponseWriter, _ *http.Request) bool {
	c, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = c.Close()
	}
	return true
}

func quiet(h http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	return s
}

func start(t *testing.T, h http.Handler) string {
	t.Helper()
	s := quiet(h)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

func examine(t *testing.T, address string, opts doctor.Options) doctor.Report {
	t.Helper()
	if opts.Timeout == 0 {
		opts.Timeout = 5 * time.Second
	}
	if opts.Proxy == nil {
		opts.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	}
	r := doctor.Examine(t.Context(), address, opts)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	require.NotContains(t, string(text), token)
	if r.Finding != nil {
		require.NotEmpty(t, r.Finding.Cause)
		require.NotEmpty(t, r.Finding.Fix)
		require.False(t, r.Checks[len(r.Checks)-1].OK && r.Finding.Problem != doctor.WrongScope, "the last check is the one that failed")
	}
	return r
}

func TestEveryAnswerHasACauseAndAFix(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		server strapi
		path   string
		token  string
		want   doctor.Problem // "" for health
		fix    string
		note   doctor.Problem
	}{
		"healthy":                {server: strapi{}, token: token},
		"healthy, asked without": {server: strapi{}, note: doctor.NoToken},
		"below another path":     {server: strapi{base: "/cms/admin"}, path: "/cms/admin", token: token},
		"missing /admin":         {server: strapi{}, path: "/", token: token, note: doctor.MissingAdmin},
		"missing /admin, page there": {server: strapi{plain: func(w http.ResponseWriter, r *http.Request) bool {
			return !strings.HasPrefix(r.URL.Path, "/admin") && page(w, r)
		}}, path: "/", token: token, note: doctor.MissingAdmin},
		"wrong path, runner at root":  {server: strapi{}, path: "/cms/admin", want: doctor.WrongPath, fix: "/admin"},
		"no runner at all":            {server: strapi{base: "/hidden"}, want: doctor.WrongPath, fix: "ends in /admin"},
		"a page for every path":       {server: strapi{plain: page}, want: doctor.PageInstead, fix: "/admin/transfer/"},
		"redirect to HTTPS":           {server: strapi{plain: status(301, "Location", "https://user:pw@cms.example.org"+adminAPI+"pull?x=1")}, want: doctor.Redirected, fix: "give https://cms.example.org/admin"},
		"redirect to a login":         {server: strapi{plain: status(302, "Location", "/login")}, want: doctor.Redirected, fix: "--header"},
		"redirect to nowhere":         {server: strapi{plain: status(302)}, want: doctor.Redirected, fix: "redirects to"},
		"a password in front":         {server: strapi{plain: status(401, "WWW-Authenticate", "Basic")}, want: doctor.Forbidden, fix: "--header"},
		"a firewall in front":         {server: strapi{plain: status(403)}, want: doctor.Forbidden, fix: "pass"},
		"405":                         {server: strapi{plain: status(405)}, want: doctor.MethodRefused, fix: "GET"},
		"500":                         {server: strapi{plain: status(500)}, want: doctor.ServerFails, fix: "salt"},
		"500 with a token":            {server: strapi{upgrade: status(500)}, token: token, want: doctor.ServerFails, fix: "TRANSFER_TOKEN_SALT"},
		"501":                         {server: strapi{upgrade: status(501)}, token: token, want: doctor.NoSalt, fix: "TRANSFER_TOKEN_SALT"},
		"502":                         {server: strapi{plain: status(502)}, want: doctor.BadGateway, fix: "start Strapi"},
		"503":                         {server: strapi{plain: status(503)}, want: doctor.Unavailable, fix: "wait"},
		"504":                         {server: strapi{plain: status(504)}, want: doctor.GatewayTimeout, fix: "time limit"},
		"418":                         {server: strapi{plain: status(418)}, want: doctor.OtherStatus, fix: "log"},
		"unknown token":               {server: strapi{}, token: "another-token-000", want: doctor.BadToken, fix: "Transfer Tokens"},
		"expired token":               {server: strapi{tokenFail: "Token expired"}, token: token, want: doctor.ExpiredToken, fix: "new one"},
		"pull only":                   {server: strapi{scopes: "pull"}, token: token, note: doctor.WrongScope},
		"push only":                   {server: strapi{scopes: "push"}, token: token, note: doctor.WrongScope},
		"no scope":                    {server: strapi{scopes: "none"}, token: token, want: doctor.WrongScope, fix: "push, pull or full"},
		"switched off":                {server: strapi{upgrade: status(404)}, token: token, want: doctor.Disabled, fix: "transfer.remote.enabled"},
		"Upgrade stripped by a proxy": {server: strapi{upgrade: status(404, "Server", "nginx/1.27")}, token: token, want: doctor.UpgradeStripped, fix: "proxy_http_version 1.1"},
		"a page for the upgrade":      {server: strapi{upgrade: page}, token: token, want: doctor.UpgradeStripped, fix: "Upgrade"},
		"Upgrade header mangled":      {server: strapi{upgrade: status(400)}, token: token, want: doctor.UpgradeMangled, fix: "Sec-WebSocket"},
		"504 for the upgrade":         {server: strapi{upgrade: status(504)}, token: token, want: doctor.GatewayTimeout, fix: "proxy_read_timeout"},
		"socket hang up":              {server: strapi{upgrade: hangUp}, token: token, want: doctor.HungUp, fix: "destroyUpgrade"},
		"connection closed at once":   {server: strapi{plain: hangUp}, want: doctor.HungUp, fix: "port"},
		"socket.io answers":           {server: strapi{speak: say(`0{"sid":"abc","upgrades":[]}`)}, token: token, want: doctor.OtherWebSocket, fix: "own path"},
		"another protocol answers":    {server: strapi{speak: say(`{"hello":"world"}`)}, token: token, want: doctor.OtherWebSocket, fix: "own path"},
		"it closes at once":           {server: strapi{speak: func(*websocket.Conn) {}}, token: token, want: doctor.OtherWebSocket, fix: "plugin"},
		"it never stops talking":      {server: strapi{speak: babble}, token: token, want: doctor.OtherWebSocket, fix: "plugin"},
		"it repeats the token":        {server: strapi{speak: say("you said " + token)}, token: token, want: doctor.OtherWebSocket, fix: "plugin"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := tt.path
			if path == "" {
				path = "/admin"
			}
			r := examine(t, start(t, tt.server)+path, doctor.Options{Token: tt.token})
			if tt.want == "" {
				require.Nil(t, r.Finding, "%+v", r.Finding)
			} else {
				require.NotNil(t, r.Finding, "%+v", r)
				require.Equal(t, tt.want, r.Finding.Problem, "%+v", r)
				require.Contains(t, r.Finding.Fix, tt.fix)
			}
			if tt.note != "" {
				require.Len(t, r.Notes, 1)
				require.Equal(t, tt.note, r.Notes[0].Problem)
			}
			if tt.note == doctor.MissingAdmin {
				require.True(t, strings.HasSuffix(r.Runner, "/admin"), r.Runner)
			}
		})
	}
}

func say(text string) func(*websocket.Conn) {
	return func(c *websocket.Conn) {
		_ = c.WriteMessage(websocket.TextMessage, []byte(text))
		_, _, _ = c.ReadMessage()
		_, _, _ = c.ReadMessage()
	}
}

func babble(c *websocket.Conn) {
	for i := range 1000 {
		if c.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, `{"uuid":"other-%d","data":null}`, i)) != nil {
			return
		}
	}
}

func TestSilentWebSocket(t *testing.T) {
	t.Parallel()
	server := start(t, strapi{speak: func(c *websocket.Conn) {
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	}})
	r := examine(t, server+"/admin", doctor.Options{Token: token, Timeout: 300 * time.Millisecond})
	require.NotNil(t, r.Finding)
	require.Equal(t, doctor.Silent, r.Finding.Problem)
}

func TestAddressAndNetwork(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := listener.Addr().String()
	require.NoError(t, listener.Close())
	nonsense := raw(t, func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example.org ESMTP\r\n") })
	mute := raw(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	tests := map[string]struct {
		address string
		want    doctor.Problem
		fix     string
	}{
		"another scheme":      {"ftp://host/admin", doctor.BadURL, "https://"},
		"no host":             {"https:///admin", doctor.BadURL, "https://"},
		"not an address":      {"http://[::1", doctor.BadURL, "https://"},
		"a name nobody has":   {"http://no-such-host.invalid/admin", doctor.HostUnknown, "spelling"},
		"nothing listens":     {"http://" + closed + "/admin", doctor.Refused, "1337"},
		"not HTTP":            {"http://" + nonsense + "/admin", doctor.NotHTTP, "port"},
		"a server that waits": {"http://" + mute + "/admin", doctor.TimedOut, "firewall"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			timeout := 5 * time.Second
			if tt.want == doctor.TimedOut {
				timeout = 200 * time.Millisecond
			}
			r := examine(t, tt.address, doctor.Options{Token: token, Timeout: timeout})
			require.NotNil(t, r.Finding)
			if tt.want == doctor.HostUnknown && r.Finding.Problem == doctor.TimedOut {
				t.Skip("no name server answers here")
			}
			require.Equal(t, tt.want, r.Finding.Problem, "%+v", r)
			require.Contains(t, r.Finding.Fix, tt.fix)
		})
	}
}

// raw serves connections with talk.
func raw(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			talk(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return listener.Addr().String()
}

func TestRefusedAtLocalhostNamesTheOtherAddress(t *testing.T) {
	t.Parallel()
	r := examine(t, "http://localhost:1/admin", doctor.Options{})
	require.NotNil(t, r.Finding)
	require.Equal(t, doctor.Refused, r.Finding.Problem)
	require.Contains(t, r.Finding.Fix, "http://127.0.0.1:1/admin")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	valid := certificate(t, "127.0.0.1", time.Now().Add(time.Hour))
	expired := certificate(t, "127.0.0.1", time.Now().Add(-time.Hour))
	other := certificate(t, "10.9.8.7", time.Now().Add(time.Hour))
	plain := start(t, strapi{})
	tests := map[string]struct {
		cert    tls.Certificate
		address string // instead of that of a server with the certificate
		trust   bool
		scheme  string
		want    doctor.Problem
		fix     string
	}{
		"trusted":             {cert: valid, trust: true},
		"unknown authority":   {cert: valid, want: doctor.UnknownAuthority, fix: "--ca-file"},
		"expired":             {cert: expired, trust: true, want: doctor.CertificateDates, fix: "renew"},
		"for another name":    {cert: other, trust: true, want: doctor.WrongHost, fix: "name"},
		"HTTPS to plain HTTP": {address: strings.Replace(plain, "http:", "https:", 1), want: doctor.NotTLS, fix: "give http://"},
		"plain HTTP to HTTPS": {cert: valid, scheme: "http", want: doctor.NotPlain, fix: "give https://"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := doctor.Options{Token: token}
			address := tt.address
			if address == "" {
				s := quiet(strapi{})
				s.TLS = &tls.Config{Certificates: []tls.Certificate{tt.cert}, MinVersion: tls.VersionTLS12}
				s.StartTLS()
				t.Cleanup(s.Close)
				address = s.URL
			}
			if tt.trust {
				opts.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
				opts.TLS.RootCAs.AddCert(tt.cert.Leaf)
			}
			if tt.scheme != "" {
				address = strings.Replace(address, "https:", tt.scheme+":", 1)
			}
			r := examine(t, address+"/admin", opts)
			if tt.want == "" {
				require.Nil(t, r.Finding, "%+v", r)
				return
			}
			require.NotNil(t, r.Finding)
			require.Equal(t, tt.want, r.Finding.Problem, "%+v", r)
			require.Contains(t, r.Finding.Fix, tt.fix)
		})
	}
}

func certificate(t *testing.T, ip string, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.ParseIP(ip)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func TestProxy(t *testing.T) {
	t.Parallel()
	declining := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { status(407)(w, nil) }))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	tests := map[string]struct {
		proxy, address string
	}{
		"it is gone":                        {gone, "https://cms.example.org/admin"},
		"it is gone, plain HTTP":            {gone, "http://cms.example.org/admin"},
		"it asks for a password of CONNECT": {declining, "https://cms.example.org/admin"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, err := url.Parse(tt.proxy)
			require.NoError(t, err)
			proxy.User = url.UserPassword("bob", token)
			r := examine(t, tt.address, doctor.Options{Proxy: func(*http.Request) (*url.URL, error) { return proxy, nil }})
			require.NotNil(t, r.Finding)
			require.Equal(t, doctor.ProxyFails, r.Finding.Problem, "%+v", r)
			require.Contains(t, r.Finding.Fix, "NO_PROXY")
		})
	}
}

func TestCancelledExaminationEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := doctor.Examine(ctx, start(t, strapi{})+"/admin", doctor.Options{Token: token})
	require.NotNil(t, r.Finding)
}
