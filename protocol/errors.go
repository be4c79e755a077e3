package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// What is wrong with a text, as far as a reader must tell it apart. All but [ErrIgnored] wrap [ErrMalformed].
var (
	// ErrMalformed marks a text that no peer that keeps to the protocol sends.
	ErrMalformed = errors.New("malformed message")

	ErrInvalidJSON     = fmt.Errorf("%w: not valid JSON", ErrMalformed)
	ErrInvalidUTF8     = fmt.Errorf("%w: not valid UTF-8", ErrMalformed)
	ErrNotObject       = fmt.Errorf("%w: not a JSON object", ErrMalformed)
	ErrTooDeep         = fmt.Errorf("%w: nested too deeply", ErrMalformed)
	ErrTooLarge        = fmt.Errorf("%w: too large", ErrMalformed)
	ErrDuplicateMember = fmt.Errorf("%w: a member comes twice", ErrMalformed)
	ErrInvalidField    = fmt.Errorf("%w: a member has the wrong type", ErrMalformed)

	// ErrIgnored marks a message that is valid JSON and means nothing to its reader. Strapi drops such messages silently.
	ErrIgnored = errors.New("message is of no known form")
)

// What a peer's [Error] or [HandshakeError] says, as far as a caller must tell it apart.
var (
	ErrUnauthorized = errors.New("token missing, unknown or expired")
	ErrForbidden    = errors.New("token does not permit this direction")
	ErrTokenExpired = errors.New("token expired")
	ErrTerminated   = errors.New("transfer has been terminated by the server")
	ErrInProgress   = errors.New("a transfer is in progress on this connection already")
	ErrNoTransfer   = errors.New("no transfer is in progress on this connection")
)

// errStopped ends a walk whose caller has seen enough.
var errStopped = errors.New("stopped")

// Codes and messages of errors that change what a peer has to do next. Strapi puts the name of a JavaScript error into the
// code, so most conditions can be told by their message only.
const (
	CodeError        = "Error"
	CodeUnauthorized = "UnauthorizedError"
	CodeForbidden    = "ForbiddenError"

	MessageTokenExpired = "Token expired"
	MessageTerminated   = "Transfer has been terminated"
	MessageInProgress   = "Transfer already in progress"
	MessageNoTransfer   = "Invalid Transfer Process"
	MessageMissingUUID  = "Missing uuid in message"
)

// Error is the error that a server answers a request with. Its memory is its own.
type Error struct {
	Code    string // a JavaScript error's name, hardly ever of use
	Message string // cut if it is very long
	Details ErrorDetails
}

// ErrorDetails says in which phase a server failed.
type ErrorDetails struct {
	Step    string          // "transfer", "validation", "initialization" or ""
	Details json.RawMessage // an object, or nil
}

// Steps of [ErrorDetails].
const (
	StepTransfer       = "transfer"
	StepValidation     = "validation"
	StepInitialization = "initialization"
)

// maxErrorText bounds what is kept of a peer's error text, and maxErrorDetails of its details, so that an error costs little to
// log, wrap and report.
const (
	maxErrorText    = 8 << 10
	maxErrorDetails = 64 << 10
)

func (e *Error) Error() string {
	switch {
	case e.Message != "":
		return e.Message
	case e.Code != "" && e.Code != CodeError:
		return e.Code
	default:
		return "the peer reported an error and did not say which"
	}
}

// Is reports whether the error is one of this package's sentinels.
func (e *Error) Is(target error) bool {
	if e == nil {
		return false
	}
	switch target {
	case ErrUnauthorized:
		return e.Code == CodeUnauthorized || e.Message == MessageTokenExpired
	case ErrForbidden:
		return e.Code == CodeForbidden
	case ErrTokenExpired:
		return e.Message == MessageTokenExpired
	case ErrTerminated:
		return e.Message == MessageTerminated
	case ErrInProgress:
		return e.Message == MessageInProgress
	case ErrNoTransfer:
		return e.Message == MessageNoTransfer
	default:
		return false
	}
}

// ErrorClass is the kind of error that Strapi's own client makes of an [Error].
type ErrorClass string

// The classes.
const (
	ClassTransfer       ErrorClass = "transfer"
	ClassValidation     ErrorClass = "validation"
	ClassInitialization ErrorClass = "initialization"
	ClassGeneric        ErrorClass = "generic"
)

// Class is the class that the error's step selects.
func (e *Error) Class() ErrorClass {
	switch e.Details.Step {
	case StepTransfer:
		return ClassTransfer
	case StepValidation:
		return ClassValidation
	case StepInitialization:
		return ClassInitialization
	default:
		return ClassGeneric
	}
}

// Severity says how serious an error or an error diagnostic is.
type Severity string

// The severities.
const (
	SeverityFatal Severity = "fatal"
	SeverityError Severity = "error"
	SeveritySilly Severity = "silly"
)

// Severity is how serious Strapi's own client takes the class to be.
func (c ErrorClass) Severity() Severity {
	switch c {
	case ClassTransfer, ClassInitialization:
		return SeverityFatal
	case ClassValidation:
		return SeveritySilly
	case ClassGeneric:
		return SeverityError
	default:
		return SeverityError
	}
}

// TransferError returns an error with the step that most of a server's errors have, and with details, which are {} when nil.
func TransferError(message string, details json.RawMessage) *Error {
	if details == nil {
		details = json.RawMessage("{}")
	}
	return transferError(message, details)
}

func transferError(message string, details json.RawMessage) *Error {
	return &Error{Code: CodeError, Message: message, Details: ErrorDetails{Step: StepTransfer, Details: details}}
}

// ParseError reads the value of a response's or frame's error member. It returns nil for what JavaScript takes to be false, and
// copes with everything else: {} is an error without a text.
func ParseError(raw json.RawMessage) *Error {
	if !Truthy(raw) {
		return nil
	}
	e := &Error{}
	s := scanner{text: bytes.TrimSpace(raw)}
	switch s.peek() {
	case '{':
	case '"':
		e.Message = asText(s.text, maxErrorText)
		return e
	default:
		e.Message = clip(strings.ToValidUTF8(string(s.text[:min(len(s.text), maxErrorText+1)]), ""), maxErrorText)
		return e
	}
	err := s.object(func(name []byte) error {
		value, err := s.value()
		switch string(name) {
		case "code":
			e.Code = asText(value, maxErrorText)
		case "message":
			e.Message = asText(value, maxErrorText)
		case "details":
			e.Details = parseErrorDetails(value)
		}
		return err
	})
	if err != nil {
		return &Error{Message: "the peer reported an error that is not readable"}
	}
	return e
}

func parseErrorDetails(raw json.RawMessage) (d ErrorDetails) {
	if len(raw) == 0 || raw[0] != '{' {
		return d
	}
	s := scanner{text: raw}
	err := s.object(func(name []byte) error {
		value, err := s.value()
		switch string(name) {
		case "step":
			d.Step = asText(value, maxErrorText)
		case "details":
			if len(value) <= maxErrorDetails && Truthy(value) {
				d.Details = append(json.RawMessage(nil), value...)
			}
		}
		return err
	})
	if err != nil {
		return ErrorDetails{}
	}
	return d
}

// Append appends the error as the wire carries it; a nil error is null. An answer to beforeTransfer whose step is [StepTransfer]
// must have Details: without, Strapi's client ends with an exception of its own. [TransferError] sees to it.
func (e *Error) Append(dst []byte) []byte {
	if e == nil {
		return append(dst, "null"...)
	}
	code := e.Code
	if code == "" {
		code = CodeError
	}
	dst = append(dst, `{"code":`...)
	dst = appendQuoted(dst, code)
	dst = append(dst, `,"message":`...)
	dst = appendQuoted(dst, e.Message)
	dst = append(dst, `,"details":{`...)
	if e.Details.Step != "" {
		dst = append(dst, `"step":`...)
		dst = appendQuoted(dst, e.Details.Step)
		if e.Details.Details != nil {
			dst = append(dst, `,"details":`...)
			dst = appendRaw(dst, e.Details.Details, "{}")
		}
	}
	return append(dst, "}}"...)
}

// ReasonToken is the reason with which our server closes the connection of a client whose token has been revoked or has expired meanwhile.
const ReasonToken = "the token is not good any more"
