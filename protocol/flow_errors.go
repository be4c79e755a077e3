package protocol

import (
	"encoding/json"
	"fmt"
	"strings"
)

// plain returns an error of which nothing but the text says what is wrong.
func plain(message string) *Error { return &Error{Code: CodeError, Message: message} }

// refuse returns an error that Strapi does not have.
func refuse(message string) *Error { return TransferError(message, nil) }

// notReady returns what Strapi says before bootstrap.
func notReady(what string) *Error {
	return &Error{
		Code: CodeError, Message: what + ". Strapi instance not found.",
		Details: ErrorDetails{Step: StepInitialization},
	}
}

func invalidAction(a Action, valid int) *Error {
	// Strapi lists the indices of its actions where it means to list their names.
	d := append([]byte(`{"action":`), appendQuoted(nil, string(a))...)
	d = append(d, `,"validActions":[`...)
	for i := range valid {
		if i > 0 {
			d = append(d, ',')
		}
		d = fmt.Appendf(d, `"%d"`, i)
	}
	d = append(d, "]}"...)
	return transferError(`Invalid action provided: "`+strings.ToValidUTF8(string(a), "\ufffd")+`"`, d)
}

// details returns the object {name: value}.
func details(name, value string) json.RawMessage {
	d := append(appendQuoted([]byte{'{'}, name), ':')
	return append(appendQuoted(d, value), '}')
}

// notImported returns what Strapi says when a stage starts before bootstrap.
func notImported(stage Stage) *Error {
	switch stage {
	case StageEntities:
		return notReady("Not able to import entities")
	case StageAssets:
		return notReady("Not able to stream Assets")
	case StageConfiguration:
		return notReady("Not able to stream Configurations")
	case StageLinks:
		return plain("Not able to stream links. Strapi instance not found")
	case StageSchemas:
		return notReady("")
	default:
		return notReady("")
	}
}

// invalidStage returns the error of a stage that is out of order; text stands for the stage in the message.
func invalidStage(text string, stage Stage) *Error {
	d := append([]byte(`{"step":{"kind":"transfer","stage":`), appendQuoted(nil, string(stage))...)
	return transferError(fmt.Sprintf("Invalid stage (%s) provided for the current flow", text), append(d, "}}"...))
}
