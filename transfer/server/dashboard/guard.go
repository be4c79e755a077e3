package dashboard

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer/server"
)

// policy is all that a browser may do with our pages: run our script, use our styles, talk to us.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// maxForm bounds the body of a request, in bytes.
const maxForm = 64 << 10

// Names of log attributes.
const (
	keyError = "error"
	keyPath  = "path"
	keyToken = "token_id"
)

// handler is the dashboard with all that protects it.
func (d *dashboard) handler() http.Handler {
	inside := d.routes()
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+assetRoot, d.serveAsset)
	mux.HandleFunc("GET /login", d.showLogin)
	mux.HandleFunc("POST /login", d.login)
	mux.HandleFunc("POST /logout", d.logout)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { d.signedIn(w, r, inside) })
	protected := http.NewCrossOriginProtection()
	protected.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.complain(w, r, http.StatusForbidden, "This request came from another page",
			"For your safety only the dashboard's own pages may change something. Go back, reload the page and try again.")
	}))
	safe := protected.Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin") // with less, forms would come without their origin
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.Method == http.MethodPost {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		}
		safe.ServeHTTP(w, r)
	})
}

type viewerKey struct{}

// viewerOf returns who sent a request that [dashboard.signedIn] let in.
func viewerOf(ctx context.Context) viewer {
	v, _ := ctx.Value(viewerKey{}).(viewer)
	return v
}

// signedIn lets a request in whose session stands for a token that is good now.
func (d *dashboard) signedIn(w http.ResponseWriter, r *http.Request, next http.Handler) {
	s, err := d.resume(w, r)
	if err == nil {
		var v server.Viewer
		if v, err = d.server.ViewerOf(r.Context(), s.Token); err == nil {
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), viewerKey{}, viewer{v})))
			return
		}
	}
	if !voids(err) {
		d.Logger.ErrorContext(r.Context(), "token not checked", slog.Any(keyError, err))
		d.complain(w, r, http.StatusServiceUnavailable, "Tokens cannot be checked just now", "Try again in a moment.")
		return
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/live/"), r.URL.Path == "/session":
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "cross-site":
		// Somebody followed a link from elsewhere: browsers keep a strict cookie back then, and send it with what our own page asks for.
		d.render(w, r, http.StatusOK, "bounce", frame{Title: "Opening", Data: localPath(r.URL.RequestURI())})
	default:
		target := "/login"
		if r.Method == http.MethodGet && r.URL.Path != "/" {
			target += "?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, target, http.StatusSeeOther)
	}
}

// voids reports whether an error means that somebody has to sign in, again.
func voids(err error) bool {
	return errors.Is(err, errNoSession) || errors.Is(err, token.ErrInvalid) || errors.Is(err, token.ErrExpired) || errors.Is(err, token.ErrSpent)
}

// loginPage is what the page to sign in shows.
type loginPage struct {
	Next    string
	Problem string
}

func (d *dashboard) showLogin(w http.ResponseWriter, r *http.Request) {
	d.render(w, r, http.StatusOK, "login", frame{Title: "Sign in", Data: loginPage{Next: localPath(r.FormValue("next"))}})
}

// login turns a token into a session.
func (d *dashboard) login(w http.ResponseWriter, r *http.Request) {
	page := loginPage{Next: localPath(r.PostFormValue("next"))}
	// The authority is asked, and not the server, which would let in with the short-lived token of one job as well.
	t, err := d.Authority.Verify(r.Context(), strings.TrimSpace(r.PostFormValue("token")))
	if err == nil && t.Once {
		page.Problem = "This token is good for one transfer only, and cannot be used to sign in."
	}
	switch {
	case err == nil:
	case errors.Is(err, token.ErrExpired):
		page.Problem = "This token has expired. Make another with “transfer token create”."
	case voids(err):
		page.Problem = "This is not a token of this server, or it was revoked."
	default:
		d.Logger.ErrorContext(r.Context(), "token not checked", slog.Any(keyError, err))
		page.Problem = "The token could not be checked just now. Try again in a moment."
	}
	if page.Problem != "" {
		d.render(w, r, http.StatusUnauthorized, "login", frame{Title: "Sign in", Data: page})
		return
	}
	now := d.Now().Unix()
	if err := d.remember(w, r, session{Token: t.ID, Begun: now, Active: now}); err != nil {
		d.broken(w, r, err)
		return
	}
	if err := d.Authority.Used(r.Context(), t.ID); err != nil {
		d.Logger.WarnContext(r.Context(), "use of a token not noted", slog.String(keyToken, t.ID), slog.Any(keyError, err))
	}
	d.Logger.InfoContext(r.Context(), "signed in", slog.String(keyToken, t.ID))
	http.Redirect(w, r, page.Next, http.StatusSeeOther)
}

func (d *dashboard) logout(w http.ResponseWriter, r *http.Request) {
	if err := d.remember(w, r, session{}); err != nil {
		d.broken(w, r, err)
		return
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// localPath is a path of ours to go to; "/" for anything else, so that a link to us leads nowhere else.
func localPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(text, "//") || strings.Contains(text, `\`) {
		return "/"
	}
	return text
}
