package dashboard

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
	"github.com/transfer-runner/runner/transfer/server"
)

// pages are the templates by the name of their page.
type pages map[string]*template.Template

// frame is what the layout shows around a page.
type frame struct {
	Title  string
	Area   string // of the navigation
	Live   string // where the page's stream is, "" for none
	Notice string
	Data   any

	Viewer  *viewer // nil when nobody is signed in
	May     permits
	Version string
}

// permits is what the viewer may do, as far as it decides what is shown.
type permits struct {
	Start      bool
	Administer bool
	Tokens     bool
	Server     bool
}

// complete fills in what every page shows.
func (d *dashboard) complete(r *http.Request, f *frame) {
	f.Version = d.Version
	if v := viewerOf(r.Context()); v.Token.ID != "" {
		f.Viewer = &v
		f.May = permits{Start: d.mayStartSomething(v), Administer: v.Administers(), Tokens: d.Tokens != nil && v.Administers(), Server: v.wide()}
	}
}

// parse reads the templates. Each page is a file; those that begin with _ are shared.
func (d *dashboard) parse() (pages, error) {
	base := template.New("").Funcs(d.functions())
	shared, err := fs.Glob(files, "templates/_*.html")
	if err != nil {
		return nil, err
	}
	if base, err = base.ParseFS(files, shared...); err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	all, err := fs.Glob(files, "templates/[a-z]*.html")
	if err != nil {
		return nil, err
	}
	out := make(pages, len(all))
	for _, path := range all {
		page, err := base.Clone()
		if err == nil {
			page, err = page.ParseFS(files, path)
		}
		if err != nil {
			return nil, fmt.Errorf("template %s: %w", path, err)
		}
		out[strings.TrimSuffix(strings.TrimPrefix(path, "templates/"), ".html")] = page
	}
	return out, nil
}

// render writes a page.
func (d *dashboard) render(w http.ResponseWriter, r *http.Request, status int, page string, f frame) {
	d.complete(r, &f)
	if f.Notice == "" {
		f.Notice = notice(r.URL.Query().Get("done"))
	}
	var b bytes.Buffer
	if err := d.pages[page].ExecuteTemplate(&b, "layout", f); err != nil {
		d.broken(w, r, fmt.Errorf("render %s: %w", page, err))
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever asked has gone
}

// part renders one part of a page, for its stream.
func (d *dashboard) part(page, name string, data any) (string, error) {
	var b strings.Builder
	if err := d.pages[page].ExecuteTemplate(&b, name, data); err != nil {
		return "", fmt.Errorf("render %s of %s: %w", name, page, err)
	}
	return b.String(), nil
}

// notice is the sentence for what a form has just done. Only these can be shown: the word is in the address, which anybody can write.
func notice(word string) string {
	switch word {
	case "scheduled":
		return "The schedule was created."
	case "paused":
		return "The schedule is paused."
	case "resumed":
		return "The schedule runs again."
	case "deleted":
		return "The schedule was deleted."
	case "revoked":
		return "The token was revoked. Whoever uses it is disconnected within seconds."
	default:
		return ""
	}
}

// problem is a page that says what went wrong.
type problem struct {
	Title, Text string
}

// complain answers with a page that says what went wrong.
func (d *dashboard) complain(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	var b bytes.Buffer
	f := frame{Title: title, Data: problem{title, text}}
	d.complete(r, &f)
	if err := d.pages["problem"].ExecuteTemplate(&b, "layout", f); err != nil {
		http.Error(w, title, status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // whoever asked has gone
}

// broken answers an error that is the server's own. What it was goes to the log.
func (d *dashboard) broken(w http.ResponseWriter, r *http.Request, err error) {
	d.Logger.ErrorContext(r.Context(), "page not shown", slog.String(keyPath, r.URL.Path), slog.Any(keyError, err))
	d.complain(w, r, http.StatusInternalServerError, "The server could not do that", "Its log tells why. Nothing was changed that the page does not show.")
}

// refuse answers an error, in the words of the error where they are meant for users.
func (d *dashboard) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		d.missing(w, r, "There is no such job", "It may have been removed, as old jobs are in time, or your token may not see it.")
	case errors.Is(err, server.ErrNoSnapshot):
		d.missing(w, r, "There is no such snapshot", "It may have been deleted meanwhile.")
	case errors.Is(err, transfer.ErrAuth), errors.Is(err, transfer.ErrRefused):
		d.complain(w, r, http.StatusForbidden, "Your token does not permit that", sentence(err))
	case errors.Is(err, transfer.ErrUsage):
		d.complain(w, r, http.StatusUnprocessableEntity, "That cannot be done", sentence(err))
	default:
		d.broken(w, r, err)
	}
}

func (d *dashboard) missing(w http.ResponseWriter, r *http.Request, title, text string) {
	d.complain(w, r, http.StatusNotFound, title, text)
}

// sentence is an error's text for people: without the name of its class, which the page's title says.
func sentence(err error) string {
	text := err.Error()
	for _, class := range []error{transfer.ErrUsage, transfer.ErrAuth, transfer.ErrRefused} {
		text = strings.TrimPrefix(text, class.Error()+": ")
	}
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
