package doctor

// Problem names a finding for programs.
type Problem string

// The problems, in the order of the way to a runner.
const (
	BadURL           Problem = "bad-url"
	ProxyFails       Problem = "proxy"
	HostUnknown      Problem = "dns"
	Refused          Problem = "refused"
	Unreachable      Problem = "unreachable"
	TimedOut         Problem = "timeout"
	UnknownAuthority Problem = "tls-unknown-authority"
	CertificateDates Problem = "tls-expired"
	WrongHost        Problem = "tls-wrong-host"
	NotTLS           Problem = "tls-to-plain-http"
	NotPlain         Problem = "plain-http-to-tls"
	TLSFails         Problem = "tls"
	HungUp           Problem = "hung-up"
	NotHTTP          Problem = "not-http"
	Redirected       Problem = "redirect"
	PageInstead      Problem = "html"
	WrongPath        Problem = "wrong-path"
	MissingAdmin     Problem = "missing-admin"
	NoToken          Problem = "no-token"
	BadToken         Problem = "bad-token"
	ExpiredToken     Problem = "expired-token"
	WrongScope       Problem = "wrong-scope"
	Forbidden        Problem = "forbidden"
	Disabled         Problem = "disabled"
	UpgradeStripped  Problem = "upgrade-stripped"
	UpgradeMangled   Problem = "upgrade-mangled"
	MethodRefused    Problem = "method-not-allowed"
	ServerFails      Problem = "server-error"
	NoSalt           Problem = "no-salt"
	BadGateway       Problem = "bad-gateway"
	Unavailable      Problem = "unavailable"
	GatewayTimeout   Problem = "gateway-timeout"
	OtherStatus      Problem = "unexpected-status"
	OtherWebSocket   Problem = "other-websocket"
	Silent           Problem = "silent"
	NotReady         Problem = "not-ready" // a note: nothing can be pulled just now
)

// Refusal reports whether the problem is that the server refuses the token.
func (p Problem) Refusal() bool {
	return p == BadToken || p == ExpiredToken || p == WrongScope
}

// Slow reports whether the problem is that an answer did not come in time.
func (p Problem) Slow() bool { return p == TimedOut || p == GatewayTimeout || p == Silent }
