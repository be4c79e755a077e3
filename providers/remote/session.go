package remote

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// errDropped is the cause with which a session ends that nobody says goodbye to.
var errDropped = errors.New("connection dropped by us")

// session is one connection to a runner on which a transfer has been initialised. It owns the goroutines that serve it; they end
// with leave or drop.
type session struct {
	opts  Options
	name  string // the server's address without secrets
	diary *diary
	inbox *inbox

	conn   *dispatcher.WebSocket
	disp   *dispatcher.Dispatcher
	cancel context.CancelCauseFunc
	group  errgroup.Group

	id        string // of the transfer
	checksums bool   // both sides said so
	encoding  protocol.ChunkEncoding
	agreed    protocol.Extensions
	packer    protocol.Compressor
}

// ours reports whether the server is one of ours, which discards files with everything else.
func (s *session) ours() bool { return s.agreed != protocol.Extensions{} }

// open connects to the runner at base and initialises a transfer. The session outlives ctx.
func open(ctx context.Context, base string, direction protocol.Direction, init protocol.InitParams, opts Options, diary *diary) (*session, error) {
	url, err := protocol.RunnerURL(base, direction)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", transfer.ErrUsage, err)
	}
	s := &session{opts: opts, name: protocol.RedactURL(base), diary: diary}
	doing := "connect to " + s.name
	header := opts.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if opts.Token != "" {
		header.Set("Authorization", "Bearer "+opts.Token)
	}
	conn, err := dispatcher.Dial(ctx, url, dispatcher.DialOptions{Header: header, TLS: opts.TLS, NetDial: opts.NetDial})
	switch {
	case err != nil && ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		return nil, mapped(transfer.ErrConnection, doing, err, hintRefused)
	case err != nil:
		return nil, explain(doing, err)
	}
	s.run(ctx, conn)
	if err := s.begin(ctx, init); err != nil {
		s.drop(ctx)
		return nil, err
	}
	opts.Logger.DebugContext(ctx, "session opened", slog.String(keyURL, url))
	return s, nil
}

// run starts the goroutine that serves the connection. It lives as long as that does, not as long as the call that opened it.
func (s *session) run(ctx context.Context, conn *dispatcher.WebSocket) {
	ctx, s.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	s.inbox = newInbox(s.opts.Offer.Window)
	s.conn = conn
	conn.SealWrites(s.opts.Offer.Seals) // also of init, which says what is replaced
	s.disp = dispatcher.New(conn, dispatcher.Options{
		RetryMessageTimeout:    s.opts.RetryMessageTimeout,
		RetryMessageMaxRetries: s.opts.RetryMessageMaxRetries,
		StallTimeout:           s.opts.StallTimeout,
		HeartbeatInterval:      s.opts.HeartbeatInterval,
		HeartbeatTimeout:       cmp.Or(s.opts.HeartbeatTimeout, s.opts.silence()),
		Window:                 s.opts.Offer.Window,
		OnFrame:                func(f protocol.Frame) { s.inbox.deliver(f, s.diary.lastError()) },
		OnDiagnostic:           s.diary.hear,
		Logger:                 s.opts.Logger,
	})
	s.inbox.expect = s.disp.Expect
	s.inbox.ack = func(uuid string) {
		if err := s.disp.Ack(ctx, uuid); err != nil { // the connection is lost, which the readers learn from the dispatcher
			s.opts.Logger.DebugContext(ctx, "frame not acknowledged", slog.String(keyError, err.Error()))
		}
	}
	s.group.Go(func() error { return s.disp.Run(ctx) })
}

// begin sends init and bootstrap.
func (s *session) begin(ctx context.Context, init protocol.InitParams) error {
	params, err := init.Append(nil)
	if err != nil {
		return err
	}
	if string(params) == "{}" {
		params = nil
	}
	raw, err := s.call(ctx, "init", protocol.Request{Type: protocol.TypeCommand, Command: protocol.CommandInit, Params: params}, dispatcher.CallOptions{})
	if err != nil {
		return err
	}
	result, err := protocol.ParseInitResult(raw)
	if err != nil {
		return explain("init", err)
	}
	s.id = result.TransferID
	s.agreed = protocol.Negotiate(init.Extensions, result.Extensions)
	if s.conn.SealWrites(s.agreed.Seals); s.agreed.Seals {
		s.conn.RequireSeals()
	}
	if init.Options != nil && init.Options.Strategy == protocol.StrategyMerge && !s.agreed.Merge {
		return s.cannotMerge()
	}
	s.checksums = init.Checksums && result.Checksums
	if init.Checksums && !result.Checksums {
		s.diary.note(transfer.NoteWarning, "the server does not know checksums; files are transferred without")
	}
	s.encoding = protocol.ChunkBase64
	if init.AssetEncoding != "" && result.AssetEncoding != init.AssetEncoding {
		s.encoding = protocol.ChunkBuffer
		s.diary.note(transfer.NoteWarning, "the server is older than Strapi 5.43 and takes files only in a form that needs nearly three times the bytes")
	}
	_, err = s.action(ctx, protocol.ActionBootstrap)
	return err
}

// cannotMerge says what to do about a server that was asked to merge and did not agree. All that it has heard is init, which changes nothing.
func (s *session) cannotMerge() error {
	what := "is no server of transfer's own kind, and Strapi's own only replaces"
	if s.ours() {
		what = "serves a site there that can only be replaced: only a Strapi project that transfer serves can be merged into"
	}
	return fmt.Errorf("%w: %s %s; use --strategy replace, or merge into the project or its database on its own machine", transfer.ErrUsage, s.name, what)
}

// call sends a request and waits for the answer. doing names it in errors.
func (s *session) call(ctx context.Context, doing string, req protocol.Request, opts dispatcher.CallOptions) (json.RawMessage, error) {
	if req.Type == protocol.TypeTransfer {
		req.TransferID = s.id
	}
	raw, err := s.disp.Call(ctx, req, opts)
	return raw, explain(doing, err)
}

// action asks for an action.
func (s *session) action(ctx context.Context, action protocol.Action) (json.RawMessage, error) {
	return s.call(ctx, string(action), actionRequest(action), dispatcher.CallOptions{})
}

func actionRequest(action protocol.Action) protocol.Request {
	return protocol.Request{Type: protocol.TypeTransfer, Kind: protocol.KindAction, Action: action}
}

func stepRequest(verb protocol.Verb, stage transfer.Stage) protocol.Request {
	return protocol.Request{Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: verb, Stage: protocol.Stage(stage)}
}

// end sends the command end, which frees the transfer at the server.
func (s *session) end(ctx context.Context) error {
	params := protocol.EndParams{TransferID: s.id}.Append(nil)
	_, err := s.call(ctx, "end", protocol.Request{Type: protocol.TypeCommand, Command: protocol.CommandEnd, Params: params}, dispatcher.CallOptions{})
	return err
}

// lost returns why the connection is of no use any more, nil while it is.
func (s *session) lost() error {
	return explain("talk to "+s.name, s.disp.Err())
}

// conclude ends a transfer that changes nothing, or has nothing left to change: close, end and a close frame, as far as the server
// answers in time. On a push, close commits.
func (s *session) conclude() error {
	ctx, cancel := farewell(s.opts.CloseTimeout)
	defer cancel()
	if s.lost() != nil {
		s.drop(ctx)
		return nil
	}
	_, err := s.action(ctx, protocol.ActionClose)
	if err == nil {
		err = s.end(ctx)
	}
	s.leave(ctx)
	return err
}

// leave says goodbye with a close frame and waits until the goroutines have ended. All that had to be asked has been.
func (s *session) leave(ctx context.Context) {
	s.disp.Close()
	s.wait(ctx)
}

// drop lets go of the connection without a word, which makes a server roll back, and waits until the goroutines have ended.
func (s *session) drop(ctx context.Context) {
	s.cancel(errDropped)
	s.wait(ctx)
}

func (s *session) wait(ctx context.Context) {
	if err := s.group.Wait(); err != nil {
		s.opts.Logger.DebugContext(ctx, "session ended", slog.String(keyError, err.Error()))
	}
	s.cancel(nil)
	s.packer.Close()
}

// farewell returns a context of its own for saying goodbye, because the user's may have been cancelled.
func farewell(timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), timeout)
}
