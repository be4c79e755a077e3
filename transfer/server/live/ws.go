package live

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/time/rate"

	"github.com/transfer-runner/runner/transfer/jobs"
)

// Subprotocol is what a WebSocket of this server speaks; bearerPrefix opens the other one that a client offers, which carries its
// token: browsers can send it no other way.
const (
	Subprotocol  = "transfer.progress.v1"
	bearerPrefix = "bearer."
)

// Codes with which the server closes a WebSocket, beside those of the standard.
const (
	CloseBadMessage   = 4400
	CloseUnauthorized = 4401 // no token, none that is good, or a message before ready_ack
	CloseNotFound     = 4404
	CloseSubprotocol  = 4406
	CloseNotReady     = 4408
	CloseReadyAgain   = 4429
	CloseInternal     = 4500
)

const (
	maxCommand   = 4 << 10 // bytes of a message from a client
	commandRate  = 10      // messages a second from a client
	commandBurst = 40
	controlWait  = 5 * time.Second
)

// closing is why a WebSocket is closed.
type closing struct {
	code int
	text string
}

// Error returns the text.
func (c *closing) Error() string { return c.text }

// ServeProgress tells the jobs that the query names as jobId over a WebSocket; it is for GET /ws/progress.
func (l *Live) ServeProgress(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		refuse(w, http.StatusUpgradeRequired, "UpgradeRequiredError", "this is for WebSockets")
		return
	}
	if !OriginAllowed(r, l.config.Origins) {
		refuse(w, http.StatusForbidden, "ForbiddenError", "Forbidden")
		return
	}
	if offered := websocket.Subprotocols(r); len(offered) > 0 && !slices.Contains(offered, Subprotocol) {
		refuse(w, http.StatusBadRequest, "ValidationError", "offer the subprotocol "+Subprotocol) // browsers take no WebSocket without one then
		return
	}
	if !l.admit() {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "ServiceUnavailableError", "the server has as many streams as it may: try again in a while")
		return
	}
	defer l.leave()
	upgrader := websocket.Upgrader{
		HandshakeTimeout: l.config.WriteTimeout, ReadBufferSize: 1 << 10, WriteBufferSize: 1 << 10, Subprotocols: []string{Subprotocol},
		CheckOrigin: func(*http.Request) bool { return true }, // has been checked
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // has been answered
	}
	l.sockets.Add(1)
	defer l.sockets.Add(-1)
	c := &channel{live: l, conn: conn, rate: rate.NewLimiter(commandRate, commandBurst)}
	defer func() { _ = conn.Close() }() // whatever it says, it is closed
	// What went wrong is told by closing, and not before: browsers do not show how an upgrade was refused.
	c.goodbye(c.serve(r))
	for {
		if _, _, err := conn.NextReader(); err != nil { // until the client has closed it too
			return
		}
	}
}

// OriginAllowed reports whether the page that a request comes from, if it comes from one, may connect: it is the server's own, or one
// of those allowed. Browsers name it in the header Origin; a request that names several is refused.
func OriginAllowed(r *http.Request, allowed []string) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	if slices.Contains(allowed, origins[0]) {
		return true
	}
	u, err := url.Parse(origins[0])
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return err == nil && u.Scheme == scheme && strings.EqualFold(u.Host, r.Host)
}

// channel is one WebSocket.
type channel struct {
	live   *Live
	conn   *websocket.Conn
	viewer Viewer
	jobs   []jobs.ID
	rate   *rate.Limiter
	cancel context.CancelCauseFunc

	asked sync.Mutex // held while a command is carried out
	write sync.Mutex // held while a message is written
	said  bool       // goodbye
}

// end closes the channel from this side.
func (c *channel) end(why end) {
	code := websocket.CloseTryAgainLater
	switch why {
	case endRevoked:
		code = CloseUnauthorized
	case endShutdown:
		code = websocket.CloseGoingAway
	case endSlow, endAge, endLost, endDone:
	}
	c.cancel(&closing{code: code, text: why.message()})
}

// serve talks to a client until it is over, and returns why it is: nil when all has been told.
func (c *channel) serve(r *http.Request) error {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(r.Context()))
	defer cancel(nil)
	c.cancel = cancel
	if err := c.enter(ctx, r); err != nil {
		return err
	}
	after, err := jobs.ParsePosition(r.URL.Query().Get("after"))
	if err != nil { // of some other server: as good as none
		after = jobs.Position{}
	}
	c.live.guard.add(c.viewer, c)
	defer c.live.guard.remove(c.viewer, c)
	subscription, err := c.live.config.Feed.Subscribe(ctx, jobs.Subscribe{Jobs: c.jobs, Visible: c.viewer.Visible(), After: after})
	if err != nil {
		return err
	}
	defer subscription.Close()
	if err := c.ready(subscription); err != nil {
		return err
	}
	ready := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { cancel(c.read(ctx, ready)) })
	err = c.tell(ctx, subscription, ready)
	c.asked.Lock() // what was asked is answered first
	c.goodbye(err) // to which the reader hears the answer, and ends
	c.asked.Unlock()
	readers.Wait()
	return err
}

// enter finds out who the client is and what it wants to hear.
func (c *channel) enter(ctx context.Context, r *http.Request) error {
	offered := websocket.Subprotocols(r)
	if !slices.Contains(offered, Subprotocol) {
		return &closing{CloseSubprotocol, "offer the subprotocol " + Subprotocol}
	}
	text, err := c.token(r, offered)
	if err != nil {
		return err
	}
	if c.viewer, err = c.live.config.Authenticate(ctx, text); err != nil {
		return &closing{CloseUnauthorized, "Missing or invalid credentials"}
	}
	c.jobs, err = listedJobs(r.URL.Query()["jobId"])
	switch {
	case errors.Is(err, jobs.ErrNotFound):
		return &closing{CloseNotFound, "there is no such job"}
	case err != nil:
		return &closing{CloseBadMessage, err.Error()}
	case len(c.jobs) == 0:
		return &closing{CloseBadMessage, "name a job in the query, as jobId"}
	}
	status, err := c.live.visible(ctx, c.viewer, c.jobs)
	switch {
	case status == http.StatusNotFound:
		return &closing{CloseNotFound, "there is no such job"}
	case err != nil:
		return err
	}
	return nil
}

// token finds the text of the client's token.
func (c *channel) token(r *http.Request, offered []string) (string, error) {
	for _, protocol := range offered {
		encoded, ok := strings.CutPrefix(protocol, bearerPrefix)
		if !ok {
			continue
		}
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if err != nil {
			return "", &closing{CloseUnauthorized, "the token in the subprotocol is not base64url"}
		}
		return string(text), nil
	}
	if text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return text, nil
	}
	if text := r.Header.Get("X-Api-Key"); text != "" {
		return text, nil
	}
	text := r.URL.Query().Get("token")
	switch {
	case text == "":
		return "", &closing{CloseUnauthorized, "Missing or invalid credentials"}
	case !c.live.config.QueryToken:
		return "", &closing{CloseUnauthorized, "tokens in the query are not taken: offer the subprotocol " + bearerPrefix + "<base64url>"}
	}
	return text, nil
}

// ready tells the client where it begins.
func (c *channel) ready(s *jobs.Subscription) error {
	snapshot := s.Snapshot
	if snapshot == nil {
		snapshot = []jobs.Job{}
	}
	return c.send(struct {
		Type      string     `json:"type"`
		Epoch     string     `json:"epoch"`
		Seq       int64      `json:"seq"`
		Position  string     `json:"position"`
		Recovered bool       `json:"recovered"` // what came after the position that the client gave is told now
		Jobs      []jobs.Job `json:"jobs"`
	}{"ready", s.Position.Epoch, s.Position.Seq, s.Position.String(), s.Recovered, snapshot})
}

// goodbye tells the client why the WebSocket is closed, once.
func (c *channel) goodbye(err error) {
	if c.said {
		return
	}
	c.said = true
	deadline := time.Now().Add(controlWait)
	why := &closing{code: websocket.CloseNormalClosure}
	switch {
	case err == nil, errors.As(err, &why):
	case errors.Is(err, errGone):
		deadline = time.Now()
	default:
		c.live.log.Error("WebSocket ended", slog.Any(keyError, err))
		why = &closing{code: CloseInternal, text: "internal error"}
	}
	text := websocket.FormatCloseMessage(why.code, why.text)
	if c.conn.WriteControl(websocket.CloseMessage, text, deadline) != nil {
		deadline = time.Now()
	}
	_ = c.conn.SetReadDeadline(deadline) // for the answer
}

// errGone marks a client that has gone.
var errGone = errors.New("the client has gone")

// send writes one message.
func (c *channel) send(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.sendText(text)
}

func (c *channel) sendText(text []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.live.config.WriteTimeout)); err != nil {
		return errGone
	}
	if err := c.conn.WriteMessage(websocket.TextMessage, text); err != nil {
		if errors.Is(err, errDeadline) {
			c.live.slow.Add(1)
		}
		return errGone
	}
	return nil
}
