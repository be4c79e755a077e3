package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/transfer-runner/runner/transfer/jobs"
)

const (
	// jobEvery and listEvery are the times between two pictures of a page at least. A list costs the database more.
	jobEvery  = 250 * time.Millisecond
	listEvery = time.Second
	// maxStreams is how many pages are drawn at a time.
	maxStreams = 500
	// checkEvery is how often a stream looks whether its viewer may still see, and shows that it lives.
	checkEvery = 5 * time.Second
	// paintTimeout bounds how long one picture may take to be made, and to be taken.
	paintTimeout = 15 * time.Second
)

// update is a new picture of parts of a page.
type update struct {
	Parts map[string]string `json:"parts,omitempty"` // HTML by the id of its element
	Lines string            `json:"lines,omitempty"` // HTML to add to the log
	Reset bool              `json:"reset,omitempty"` // the log begins anew
	Said  string            `json:"said,omitempty"`  // for those who hear the page
	End   bool              `json:"end,omitempty"`   // nothing more will change
}

// update renders parts of a page. The template and the element have the same name.
func (d *dashboard) update(page string, data any, names ...string) (update, error) {
	u := update{Parts: make(map[string]string, len(names))}
	for _, name := range names {
		html, err := d.part(page, name, data)
		if err != nil {
			return u, err
		}
		u.Parts[name] = html
	}
	return u, nil
}

// stream sends a page's pictures for as long as somebody looks: the first at once, then one each time that something happens which the
// subscription tells, and every few seconds. What has not changed is not sent again.
func (d *dashboard) stream(w http.ResponseWriter, r *http.Request, every time.Duration, want jobs.Subscribe, paint func(context.Context) (update, error)) {
	ctx := r.Context()
	defer d.watching.Add(-1)
	if d.watching.Add(1) > maxStreams {
		later(w)
		return
	}
	sub, err := d.jobs.Feed().Subscribe(ctx, want)
	if err != nil {
		d.Logger.WarnContext(ctx, "no stream", slog.Any(keyError, err))
		later(w)
		return
	}
	defer func() { sub.Close() }()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	out := &painter{w: w, control: http.NewResponseController(w), sent: make(map[string]string)}
	defer out.done()
	heart := time.NewTicker(checkEvery)
	defer heart.Stop()
	for {
		if _, err := sub.Take(); err != nil { // before the picture, so that nothing after it is missed
			// Too slow, or the log began anew: what is now says all, so it only has to be listened again.
			fresh, err := d.jobs.Feed().Subscribe(ctx, want)
			if err != nil {
				return
			}
			sub.Close()
			sub = fresh
		}
		if again, err := d.paint(ctx, out, paint); err != nil || !again || !rest(ctx, every) {
			return
		}
		select {
		case <-sub.Ready():
		case <-heart.C:
			if !d.still(ctx, r) || out.send("alive", "{}") != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// later asks a browser to come again.
func later(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "2")
	w.WriteHeader(http.StatusServiceUnavailable)
}

// rest waits. It reports false when ctx has ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// paint makes a picture and sends what is new in it. It reports whether another can follow.
func (d *dashboard) paint(ctx context.Context, out *painter, picture func(context.Context) (update, error)) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, paintTimeout)
	defer cancel()
	u, err := picture(ctx)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			d.Logger.WarnContext(ctx, "picture not made", slog.Any(keyError, err))
		}
		return false, err
	}
	return !u.End, out.update(u)
}

// still reports whether the session of a stream's request is good, and its token.
func (d *dashboard) still(ctx context.Context, r *http.Request) bool {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return false
	}
	s, err := d.open(c.Value)
	if err != nil {
		return false
	}
	now, err := d.server.ViewerOf(ctx, s.Token)
	if err != nil {
		return !voids(err)
	}
	before := viewerOf(ctx)
	return before.Token.Site == now.Token.Site && slices.Equal(before.Token.Permissions, now.Token.Permissions)
}

// painter writes events, and remembers what it has sent.
type painter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	sent    map[string]string
	said    string
}

// update sends what is new.
func (p *painter) update(u update) error {
	for name, html := range u.Parts {
		if before, ok := p.sent[name]; ok && before == html {
			delete(u.Parts, name)
			continue
		}
		p.sent[name] = html
	}
	if u.Said == p.said {
		u.Said = ""
	} else {
		p.said = u.Said
	}
	if len(u.Parts) == 0 && u.Lines == "" && !u.Reset && u.Said == "" && !u.End {
		return nil
	}
	text, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return p.send("update", string(text))
}

// done leaves the connection as it was, for the next request on it.
func (p *painter) done() { _ = p.control.SetWriteDeadline(time.Time{}) } // without deadlines there was none

func (p *painter) send(event, data string) error {
	_ = p.control.SetWriteDeadline(time.Now().Add(paintTimeout)) // where there are none, a slow reader is ended by its connection
	if _, err := fmt.Fprintf(p.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return err
	}
	return p.control.Flush()
}
