package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/transfer-runner/runner/protocol"
)

// introduce asks a server which version it is and what it speaks, as a pull does before its first stage, and takes leave. A server that
// does not tell is no worse for it, but one that says that it cannot is.
func (p *patient) introduce(conn *websocket.Conn) {
	offer, err := protocol.InitParams{Transfer: protocol.Pull, Checksums: true, Extensions: protocol.Extensions{
		Window: protocol.MaxWindow, Compression: protocol.CompressionZstd, BinaryAssets: true, Resume: true, KnownAssets: true, Schemas: true, Merge: true, Skips: true,
	}}.Append(nil)
	if err != nil {
		return
	}
	answer, f := p.ask(conn, protocol.Request{Type: protocol.TypeCommand, Command: protocol.CommandInit, Params: offer})
	if f != nil || p.notReady(answer) {
		return
	}
	agreed, err := protocol.ParseInitResult(answer.Data)
	if err != nil {
		return
	}
	p.report.Extensions = agreed.Extensions
	action := func(name protocol.Action) (protocol.Response, bool) {
		answer, f := p.ask(conn, protocol.Request{Type: protocol.TypeTransfer, Kind: protocol.KindAction, Action: name, TransferID: agreed.TransferID})
		return answer, f == nil
	}
	if answer, ok := action(protocol.ActionBootstrap); ok && !p.notReady(answer) {
		if answer, ok := action(protocol.ActionGetMetadata); ok {
			if meta, err := protocol.ParseMetadata(answer.Data); err == nil && meta != nil {
				p.report.Version = p.clean(meta.Strapi.Version)
			}
		}
	}
	_, _ = action(protocol.ActionClose)
	end := protocol.EndParams{TransferID: agreed.TransferID}.Append(nil)
	_, _ = p.ask(conn, protocol.Request{Type: protocol.TypeCommand, Command: protocol.CommandEnd, Params: end})
}

// notReady reports whether the server refused, and notes why.
func (p *patient) notReady(answer protocol.Response) bool {
	if answer.Error == nil {
		return false
	}
	p.report.Notes = append(p.report.Notes, Finding{
		Problem: NotReady, Cause: "the server is there, but cannot be pulled from just now: " + p.clean(answer.Error.Message),
		Fix: "push content to it first if it has none yet; else look into its log",
	})
	return true
}

// measured adds what was learned of the server to the checks.
func (p *patient) measured(scopes []string) {
	p.report.RoundTrip = float64(p.fastest.Round(time.Microsecond)) / float64(time.Millisecond)
	p.checked("round trip", nil, fmt.Sprintf("%.1f ms", p.report.RoundTrip))
	var known []string
	if p.report.Version != "" {
		known = append(known, "Strapi "+p.report.Version)
	}
	if e := p.report.Extensions; e != (protocol.Extensions{}) {
		words := []string{"a server of transfer's own kind"}
		if e.Window > 1 {
			words = append(words, fmt.Sprintf("window %d", e.Window))
		}
		if e.Compression != "" {
			words = append(words, e.Compression)
		}
		known = append(known, strings.Join(words, ", "))
	}
	switch {
	case len(known) > 0:
		p.checked("version", nil, strings.Join(known, "; "))
	case scopes[0] == string(protocol.Push):
		p.checked("version", nil, "told only to tokens that may pull")
	default:
		p.checked("version", nil, "not told")
	}
}
