package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/protocol/token"
	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/server"
)

type tokenView struct {
	token.Token

	Status string
	Words  string
	Own    bool // what the viewer has signed in with
}

type tokensPage struct {
	Tokens  []tokenView
	Sites   []choice
	Made    *tokenView
	Text    string // of the new token: shown this once
	Problem string
	Name    string
}

// tokensPage lists the tokens, those that are good first.
func (d *dashboard) tokensPage(r *http.Request) (tokensPage, error) {
	v := viewerOf(r.Context())
	if !v.Administers() {
		return tokensPage{}, forbidden("only one with the permission jobs may see and make tokens")
	}
	list, err := d.Tokens.List(r.Context())
	if err != nil {
		return tokensPage{}, err
	}
	p := tokensPage{Sites: []choice{{Label: "All sites"}}}
	var spent []tokenView
	for _, t := range list {
		view := tokenView{Token: t, Status: t.Status(d.Now()), Words: permitted(t), Own: t.ID == v.Token.ID}
		if view.Status == "active" {
			p.Tokens = append(p.Tokens, view)
		} else {
			spent = append(spent, view)
		}
	}
	p.Tokens = append(p.Tokens, spent...)
	for _, e := range d.server.Endpoints() {
		if e.Kind == server.EndpointSite {
			p.Sites = append(p.Sites, choice{Value: e.Name, Label: e.Name})
		}
	}
	return p, nil
}

func (d *dashboard) listTokens(w http.ResponseWriter, r *http.Request) {
	p, err := d.tokensPage(r)
	if err != nil {
		d.refuse(w, r, err)
		return
	}
	d.render(w, r, http.StatusOK, "tokens", frame{Title: "Tokens", Area: "tokens", Data: p})
}

// readToken reads the form.
func readToken(r *http.Request) (token.Spec, error) {
	s := token.Spec{Name: strings.TrimSpace(r.PostFormValue("name")), Site: r.PostFormValue("site"), Once: r.PostFormValue("once") != ""}
	for _, p := range []protocol.Direction{protocol.Push, protocol.Pull, token.Jobs} {
		if r.PostFormValue(string(p)) != "" {
			s.Permissions = append(s.Permissions, p)
		}
	}
	days, err := strconv.Atoi(r.PostFormValue("days"))
	switch {
	case len(s.Permissions) == 0:
		return s, fmt.Errorf("%w: choose what the token permits", transfer.ErrUsage)
	case s.Site != "" && slices.Contains(s.Permissions, token.Jobs):
		return s, fmt.Errorf("%w: the permission jobs is for all sites: leave it out, or choose all sites", transfer.ErrUsage)
	case err != nil || days < 1 || days > int(token.MaxLifetime.Hours()/24):
		return s, fmt.Errorf("%w: a token lives at least a day and at most %d", transfer.ErrUsage, int(token.MaxLifetime.Hours()/24))
	}
	s.Lifetime = time.Duration(days) * 24 * time.Hour
	return s, nil
}

// createToken makes a token and shows it in the answer, which is kept nowhere.
func (d *dashboard) createToken(w http.ResponseWriter, r *http.Request) {
	if v := viewerOf(r.Context()); !v.Administers() {
		d.refuse(w, r, forbidden("only one with the permission jobs may make tokens"))
		return
	}
	spec, err := readToken(r)
	var made token.Token
	var text string
	if err == nil {
		made, text, err = d.Tokens.Create(r.Context(), spec)
	}
	p, bad := d.tokensPage(r)
	if bad != nil {
		d.refuse(w, r, bad)
		return
	}
	status := http.StatusOK
	if err != nil {
		status, p.Problem, p.Name = http.StatusUnprocessableEntity, sentence(err), spec.Name
	} else {
		p.Made, p.Text = &tokenView{Token: made, Words: permitted(made)}, text
	}
	d.render(w, r, status, "tokens", frame{Title: "Tokens", Area: "tokens", Data: p})
}

func (d *dashboard) revokeToken(w http.ResponseWriter, r *http.Request) {
	if v := viewerOf(r.Context()); !v.Administers() {
		d.refuse(w, r, forbidden("only one with the permission jobs may revoke tokens"))
		return
	}
	if _, err := d.Tokens.Revoke(r.Context(), r.PathValue("id")); err != nil {
		d.missing(w, r, "There is no such token", "Somebody may have removed it meanwhile.")
		return
	}
	http.Redirect(w, r, "/tokens?done=revoked", http.StatusSeeOther)
}
