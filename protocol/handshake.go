package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Why a server did not open a connection, beside [ErrUnauthorized], [ErrForbidden] and [ErrTokenExpired].
var (
	ErrNotEnabled  = errors.New("no transfer runner at this address, or it is not enabled")
	ErrRedirect    = errors.New("the address redirects elsewhere")
	ErrNotUpgraded = errors.New("the server answered with a page instead of a connection")
	ErrBadRequest  = errors.New("the server did not take the request for a connection")
	ErrServer      = errors.New("the server failed")
	ErrGateway     = errors.New("a gateway did not reach the server")
)

// HandshakeError is an HTTP answer other than the opening of a connection.
type HandshakeError struct {
	Status   int
	Name     string // of Strapi's error, such as "UnauthorizedError"; "" when the answer is not Strapi's
	Message  string // of Strapi's error
	Server   string // what the answer's Server header says
	Location string // where the answer redirects to, without what may be secret
	Text     string // the beginning of the answer's body, in one line, with what may be a token struck out
}

const (
	// MaxHandshakeBody is how much of an answer's body is worth reading to tell what is wrong.
	MaxHandshakeBody = 64 << 10

	maxHandshakeText = 300
	maxHeaderText    = 200
)

// NewHandshakeError tells what an HTTP answer means. Of body, at most [MaxHandshakeBody] bytes count.
func NewHandshakeError(status int, header http.Header, body []byte) *HandshakeError {
	body = body[:min(len(body), MaxHandshakeBody)]
	e := &HandshakeError{
		Status: status,
		Server: oneLine(header.Get("Server"), maxHeaderText),
		Text:   oneLine(string(body), maxHandshakeText),
	}
	if location := header.Get("Location"); location != "" {
		e.Location = oneLine(redactLocation(location), maxHeaderText)
	}
	var answer struct {
		Error struct {
			Name    string `json:"name"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) == nil {
		e.Name = oneLine(answer.Error.Name, maxHeaderText)
		e.Message = oneLine(answer.Error.Message, maxHandshakeText)
	}
	return e
}

func (e *HandshakeError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "connection refused with HTTP status %d", e.Status)
	if cause := e.cause(); cause != nil {
		fmt.Fprintf(&b, ": %v", cause)
	}
	switch {
	case e.Message != "":
		fmt.Fprintf(&b, " (%s)", e.Message)
	case e.Location != "":
		fmt.Fprintf(&b, " (%s)", e.Location)
	}
	return b.String()
}

// Is reports whether target is the sentinel for the error's status.
func (e *HandshakeError) Is(target error) bool {
	if target == ErrTokenExpired {
		return e.Status == http.StatusUnauthorized && e.Message == MessageTokenExpired
	}
	return target != nil && target == e.cause()
}

// cause returns the sentinel for the error's status.
func (e *HandshakeError) cause() error {
	switch {
	case e.Status == http.StatusUnauthorized:
		return ErrUnauthorized
	case e.Status == http.StatusForbidden:
		return ErrForbidden
	case e.Status == http.StatusNotFound:
		return ErrNotEnabled
	case e.Status == http.StatusBadGateway, e.Status == http.StatusServiceUnavailable, e.Status == http.StatusGatewayTimeout:
		return ErrGateway
	case e.Status >= 500:
		return ErrServer
	case e.Status >= 400:
		return ErrBadRequest
	case e.Status >= 300:
		return ErrRedirect
	case e.Status >= 200:
		return ErrNotUpgraded
	default:
		return nil
	}
}

// FromStrapi reports whether the answer has the form of Strapi's errors, so that no proxy gave it.
func (e *HandshakeError) FromStrapi() bool { return e.Name != "" }

// redactLocation cuts off what may be secret of an address, which need not be a whole one.
func redactLocation(location string) string {
	if i := strings.IndexAny(location, "?#"); i >= 0 {
		location = location[:i]
	}
	if strings.Contains(location, "@") {
		return RedactURL(location)
	}
	return location
}

// oneLine makes a text that somebody else wrote fit to be shown: one line, at most n bytes, nothing that moves a cursor, and no
// word that is long enough to be a token.
func oneLine(text string, n int) string {
	words := strings.FieldsFunc(strings.ToValidUTF8(text, "\ufffd"), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	})
	var b strings.Builder
	for i, word := range words {
		if b.Len() > n {
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(redactWord(word, i > 0 && strings.EqualFold(strings.Trim(words[i-1], `"':`), "bearer")))
	}
	return clip(b.String(), n)
}

// tokenLength is from which length on a run of letters and digits is taken to be a secret. Strapi's tokens have 256.
const tokenLength = 32

// redactWord strikes out the runs within word that may be tokens, or all of it.
func redactWord(word string, all bool) string {
	if all {
		return "[redacted]"
	}
	var b strings.Builder
	for len(word) > 0 {
		n := strings.IndexFunc(word, func(r rune) bool { return !isTokenRune(r) })
		if n < 0 {
			n = len(word)
		}
		if n >= tokenLength {
			b.WriteString("[redacted]")
		} else {
			b.WriteString(word[:n])
		}
		word = word[n:]
		n = strings.IndexFunc(word, isTokenRune)
		if n < 0 {
			n = len(word)
		}
		b.WriteString(word[:n])
		word = word[n:]
	}
	return b.String()
}

func isTokenRune(r rune) bool {
	return r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.+", r))
}
