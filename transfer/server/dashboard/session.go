package dashboard

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// session is what a cookie says: whose token it stands for, and how long.
type session struct {
	Token  string `json:"t"` // id
	Begun  int64  `json:"b"` // Unix time of the login
	Active int64  `json:"a"` // and of the last page, roughly
}

const (
	// plainCookie and secureCookie hold the session, over HTTP and over TLS. The prefix makes browsers refuse one that another host,
	// or somebody on the way, has set.
	plainCookie  = "transfer_session"
	secureCookie = "__Host-transfer_session"

	// maxCookie bounds what is read of one, in bytes.
	maxCookie = 1 << 10
	// renewEvery is how often a session's last activity is written down.
	renewEvery = 5 * time.Minute
)

var errNoSession = errors.New("not signed in")

// seal writes a session as text that only this server, and those with its secret, can write.
func (d *dashboard) seal(s session) (string, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(d.sign(body)), nil
}

func (d *dashboard) sign(body []byte) []byte {
	mac := hmac.New(sha256.New, d.key)
	mac.Write(body)
	return mac.Sum(nil)
}

// open reads what seal wrote, unless it is too old.
func (d *dashboard) open(text string) (s session, err error) {
	if len(text) > maxCookie {
		return s, errNoSession
	}
	head, tail, _ := strings.Cut(text, ".")
	body, err := base64.RawURLEncoding.Strict().DecodeString(head)
	mac, bad := base64.RawURLEncoding.Strict().DecodeString(tail)
	if err != nil || bad != nil || !hmac.Equal(mac, d.sign(body)) {
		return s, errNoSession
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return s, errNoSession
	}
	now := d.Now()
	if now.Sub(time.Unix(s.Begun, 0)) >= d.Lifetime || now.Sub(time.Unix(s.Active, 0)) >= d.Idle {
		return s, errNoSession
	}
	return s, nil
}

// secure reports whether the browser has spoken TLS, to us or to a proxy before us. Who lies about it harms only his own cookie.
func secure(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

func cookieName(r *http.Request) string {
	if secure(r) {
		return secureCookie
	}
	return plainCookie
}

// remember sets the cookie of a session; with the zero one it removes it.
func (d *dashboard) remember(w http.ResponseWriter, r *http.Request, s session) error {
	c := &http.Cookie{ //nolint:gosec // Secure is set wherever there is TLS; without it the cookie would not come back
		Name: cookieName(r), Path: "/", HttpOnly: true, Secure: secure(r), SameSite: http.SameSiteStrictMode,
	}
	if s == (session{}) {
		c.MaxAge = -1
	} else {
		text, err := d.seal(s)
		if err != nil {
			return err
		}
		c.Value, c.Expires = text, time.Unix(s.Begun, 0).Add(d.Lifetime)
	}
	http.SetCookie(w, c)
	return nil
}

// resume returns the session of a request, and writes down that it is in use.
func (d *dashboard) resume(w http.ResponseWriter, r *http.Request) (session, error) {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return session{}, errNoSession
	}
	s, err := d.open(c.Value)
	if err != nil {
		return s, err
	}
	if now := d.Now(); now.Sub(time.Unix(s.Active, 0)) >= renewEvery {
		s.Active = now.Unix()
		return s, d.remember(w, r, s)
	}
	return s, nil
}
