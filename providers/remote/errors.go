package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"github.com/transfer-runner/runner/dispatcher"
	"github.com/transfer-runner/runner/protocol"
	"github.com/transfer-runner/runner/transfer"
)

// What to do about an error. Each message ends with one of these.
const (
	hintRefused   = "check that the server runs and that host and port are right"
	hintName      = "check the host name"
	hintTLS       = "check the certificate, or name the authority that signed it with --ca-file"
	hintToken     = "check that the token is complete, was made on this server and has not expired"
	hintExpired   = "make a token that lives longer and start again"
	hintPath      = "the address must be that of the admin API, usually with /admin at its end, and data transfer must be enabled there"
	hintRedirect  = "use the address that the server redirects to"
	hintLog       = "look at the server's log"
	hintLost      = "start again when the connection is stable"
	hintStalled   = "look at the server's log, or wait longer for it with a longer stall timeout"
	hintSilent    = "look at the server's log, or allow more time or more retries for a message"
	hintNotRunner = "check that the address is a transfer runner's and that no proxy is in the way"
	hintSource    = "check the source for damage and start again"
	hintSpace     = "make room or writable what the server cannot write, then start again"
	hintReadOnly  = "push to another site of it"
	hintEmpty     = "push content to it, then pull"
	hintChanged   = "something between here and the server changes what passes; go around it, or use https, and start again"
	hintBusy      = "wait until the other transfer on this server has ended"
)

// codeChanged is the code of RFC 6455 with which a server closes the connection when a message makes no sense as it came.
const codeChanged = 1007

// mapped is an error with the sentinel that it belongs to, what was being done and the way out.
func mapped(sentinel error, doing string, err error, hint string) error {
	err = while(doing, err)
	if sentinel == nil {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return fmt.Errorf("%w: %w; %s", sentinel, err, hint)
}

// while says what was being done, unless the error names the request itself, as the dispatcher's do.
func while(doing string, err error) error {
	if strings.HasPrefix(err.Error(), doing) {
		return err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// explain turns what dispatcher and protocol report into an error that a user can act on. doing says what was tried.
func explain(doing string, err error) error {
	var answer *protocol.Error
	var handshake *protocol.HandshakeError
	var closed *dispatcher.CloseError
	switch {
	case err == nil:
		return nil
	case known(err):
		return err
	case errors.As(err, &answer):
		return explainAnswer(doing, answer)
	case errors.As(err, &handshake):
		return explainHandshake(doing, handshake)
	case errors.Is(err, dispatcher.ErrStalled):
		return mapped(transfer.ErrStalled, doing, err, hintStalled)
	case errors.Is(err, dispatcher.ErrNoAnswer):
		return mapped(transfer.ErrStalled, doing, err, hintSilent)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return while(doing, err)
	case errors.Is(err, protocol.ErrChanged):
		return mapped(transfer.ErrDamaged, doing, err, hintChanged)
	case errors.As(err, &closed) && closed.Code == codeChanged:
		return mapped(transfer.ErrDamaged, doing, err, hintChanged)
	case errors.As(err, &closed) && closed.Reason == protocol.ReasonToken:
		return mapped(transfer.ErrAuth, doing, err, hintToken)
	case errors.Is(err, protocol.ErrMalformed), errors.Is(err, protocol.ErrInvalidAnswer), errors.Is(err, dispatcher.ErrProtocol),
		errors.Is(err, dispatcher.ErrTooLarge):
		return mapped(transfer.ErrConnection, doing, err, hintNotRunner)
	case errors.Is(err, dispatcher.ErrConnectionLost), errors.Is(err, dispatcher.ErrClosed):
		return mapped(transfer.ErrConnection, doing, err, hintLost)
	default:
		return explainNetwork(doing, err)
	}
}

// known reports whether err has been explained already.
func known(err error) bool {
	for _, sentinel := range []error{
		transfer.ErrUsage, transfer.ErrAuth, transfer.ErrIncompatible, transfer.ErrConnection, transfer.ErrStalled,
		transfer.ErrDamaged, transfer.ErrUnwritable, transfer.ErrOutcomeUnknown,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// explainAnswer is about an error that the server answered with. Strapi's codes say nothing, its messages do.
func explainAnswer(doing string, err *protocol.Error) error {
	err = &protocol.Error{Code: err.Code, Message: clean(err.Message), Details: err.Details}
	switch {
	case errors.Is(err, protocol.ErrTokenExpired):
		return mapped(transfer.ErrAuth, doing, err, hintExpired)
	case errors.Is(err, protocol.ErrUnauthorized), errors.Is(err, protocol.ErrForbidden):
		return mapped(transfer.ErrAuth, doing, err, hintToken)
	case errors.Is(err, protocol.ErrInProgress):
		return mapped(transfer.ErrUnwritable, doing, err, hintBusy)
	case mentions(err.Message, "the site is being written to"):
		return mapped(transfer.ErrUnwritable, doing, err, hintBusy)
	case mentions(err.Message, "this site can only be pulled from"): // these are texts of our own server
		return mapped(transfer.ErrUnwritable, doing, err, hintReadOnly)
	case mentions(err.Message, "the site has no content yet"):
		return mapped(nil, doing, err, hintEmpty)
	case mentions(err.Message, transfer.ErrUsage.Error()):
		return fmt.Errorf("%w: %w", transfer.ErrUsage, while(doing, err)) // it says itself what to do
	case mentions(err.Message, transfer.ErrIncompatible.Error()): // also a text of ours; it says itself what to do
		return fmt.Errorf("%w: %w", transfer.ErrIncompatible, while(doing, err))
	case mentions(err.Message, "checksum"):
		return mapped(transfer.ErrDamaged, doing, err, hintSource)
	case unwritable(err):
		return mapped(transfer.ErrUnwritable, doing, err, hintSpace)
	default:
		return mapped(nil, doing, err, hintLog)
	}
}

// unwritable reports whether a server's error sounds like a disk or a database that takes nothing. There are no codes for it on the
// wire, only the texts of Node, knex and the databases.
func unwritable(err *protocol.Error) bool {
	return mentions(err.Message, "ENOSPC", "no space left", "EROFS", "read-only", "readonly", "EACCES", "EPERM", "EDQUOT",
		"permission denied", "SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "database is locked", "disk is full",
		"Timeout acquiring a connection", "could not extend file", "backup folder for the assets could not be created") ||
		mentions(err.Code, "SqliteError", "KnexTimeoutError", "DatabaseError")
}

func mentions(text string, words ...string) bool {
	text = strings.ToLower(text)
	for _, word := range words {
		if strings.Contains(text, strings.ToLower(word)) {
			return true
		}
	}
	return false
}

// explainHandshake is about an HTTP answer where the upgrade to a WebSocket was expected.
func explainHandshake(doing string, err *protocol.HandshakeError) error {
	switch {
	case errors.Is(err, protocol.ErrUnauthorized):
		return mapped(transfer.ErrAuth, doing, err, hintToken)
	case errors.Is(err, protocol.ErrForbidden):
		return mapped(transfer.ErrAuth, doing, err, "make a token with the permission for this direction, pull to read or push to write, and for this site")
	case errors.Is(err, protocol.ErrNotEnabled):
		return mapped(transfer.ErrConnection, doing, err, hintPath)
	case errors.Is(err, protocol.ErrRedirect):
		return mapped(transfer.ErrConnection, doing, err, hintRedirect)
	case err.Status >= 500:
		return mapped(transfer.ErrConnection, doing, err, hintLog)
	default:
		return mapped(transfer.ErrConnection, doing, err, hintNotRunner)
	}
}

func explainNetwork(doing string, err error) error {
	var dns *net.DNSError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns):
		return mapped(transfer.ErrConnection, doing, err, hintName)
	case errors.Is(err, syscall.ECONNREFUSED):
		return mapped(transfer.ErrConnection, doing, err, hintRefused)
	case errors.As(err, &authority), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify):
		return mapped(transfer.ErrConnection, doing, err, hintTLS)
	case errors.As(err, &record):
		return mapped(transfer.ErrConnection, doing, err, "the server does not speak TLS on this port; use http:// if it is meant to")
	default:
		return mapped(transfer.ErrConnection, doing, err, hintLost)
	}
}
