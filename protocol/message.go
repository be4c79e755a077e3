package protocol

import "encoding/json"

// Type is the kind of a client's message.
type Type string

// The types of a client's message. A message of any other type is ignored by a server.
const (
	TypeCommand  Type = "command"
	TypeTransfer Type = "transfer"
)

// Command is what a message of [TypeCommand] asks for.
type Command string

// The commands.
const (
	CommandInit   Command = "init"
	CommandEnd    Command = "end"
	CommandStatus Command = "status"
)

// Kind divides messages of [TypeTransfer].
type Kind string

// The kinds.
const (
	KindAction Kind = "action"
	KindStep   Kind = "step"
)

// Action is what a message of [KindAction] asks for.
type Action string

// The actions.
const (
	ActionBootstrap      Action = "bootstrap"
	ActionGetMetadata    Action = "getMetadata"
	ActionBeforeTransfer Action = "beforeTransfer"
	ActionGetSchemas     Action = "getSchemas"
	ActionRollback       Action = "rollback"
	ActionClose          Action = "close"
)

// Verb is what a message of [KindStep] does with a stage. It travels in the field "action".
type Verb string

// The verbs.
const (
	VerbStart  Verb = "start"
	VerbStream Verb = "stream"
	VerbEnd    Verb = "end"
)

// Stage is a step's stage.
type Stage string

// The stages. Schemas have a place in the order but travel as a step only between servers and clients that agreed on
// [ExtensionSchemas].
const (
	StageSchemas       Stage = "schemas"
	StageEntities      Stage = "entities"
	StageAssets        Stage = "assets"
	StageLinks         Stage = "links"
	StageConfiguration Stage = "configuration"
)

// Direction is the path that a connection was opened on.
type Direction string

// The directions, as seen from the client.
const (
	Push Direction = "push"
	Pull Direction = "pull"
)

// Request is a message from client to server that wants one [Response]. Which fields count depends on Type and Kind.
type Request struct {
	UUID       string
	Type       Type
	Command    Command         // of TypeCommand
	Params     json.RawMessage // of TypeCommand; absent when nil
	Kind       Kind            // of TypeTransfer
	Action     Action          // of KindAction
	Verb       Verb            // of KindStep
	Stage      Stage           // of KindStep
	Data       json.RawMessage // of VerbStream: an array, or null
	TransferID string          // of TypeTransfer; absent when ""
	Payload    []byte          // of VerbStream under [ExtensionBinaryAssets]: the bytes that items of Data announce
	Seq        int64           // of VerbStream under [ExtensionWindow]: 1 for the first of its stage; absent when 0
}

// Response answers the request with the same UUID.
type Response struct {
	UUID  string
	Data  json.RawMessage // nil and null are the same
	Error *Error
}

// Diagnostic is something that a server tells and nobody answers.
type Diagnostic struct {
	UUID    string
	Kind    DiagnosticKind
	Details DiagnosticDetails
}

// DiagnosticKind says how serious a [Diagnostic] is.
type DiagnosticKind string

// The kinds of diagnostics.
const (
	DiagnosticInfo    DiagnosticKind = "info"
	DiagnosticWarning DiagnosticKind = "warning"
	DiagnosticError   DiagnosticKind = "error"
)

// DiagnosticDetails is the body of a [Diagnostic].
type DiagnosticDetails struct {
	CreatedAt string          `json:"createdAt,omitempty"` // ISO 8601
	Message   string          `json:"message"`
	Origin    string          `json:"origin,omitempty"`   // of info and warning
	Params    json.RawMessage `json:"params,omitempty"`   // of info
	Severity  string          `json:"severity,omitempty"` // of error: fatal, error or silly
	Name      string          `json:"name,omitempty"`     // of error
	Error     json.RawMessage `json:"error,omitempty"`    // of error
}

// Frame is a piece of a pulled stage, sent by the server and acknowledged by an [AppendAck] with its UUID.
type Frame struct {
	UUID    string
	Stream  string          // the id that the answer to start named
	Data    json.RawMessage // an array of items; for assets an array that holds one array of asset items
	Payload []byte          // under [ExtensionBinaryAssets]: the bytes that items of Data announce
	Ended   bool
	Error   json.RawMessage // truthy when the stage failed; often {} because Strapi serialises an exception
}

// ServerMessage is what a client reads: exactly one of the fields is set. Data of a response or frame, and Error of a frame, are
// parts of the text that [ParseServerMessage] was given, and live as long as it does; all else owns its memory.
type ServerMessage struct {
	Response   *Response
	Diagnostic *Diagnostic
	Frame      *Frame
}
