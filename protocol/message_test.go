package protocol_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

func TestRequestsAreWrittenAsStrapisClientDoes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		request protocol.Request
		want    string
	}{
		"a command with params": {
			protocol.Request{UUID: "u", Type: protocol.TypeCommand, Command: protocol.CommandEnd, Params: json.RawMessage(`{"transferID":"t"}`)},
			`{"type":"command","command":"end","params":{"transferID":"t"},"uuid":"u"}`,
		},
		"a command without": {
			protocol.Request{UUID: "u", Type: protocol.TypeCommand, Command: protocol.CommandStatus, TransferID: "t"},
			`{"type":"command","command":"status","uuid":"u"}`,
		},
		"an action": {
			protocol.Request{UUID: "u", Type: protocol.TypeTransfer, Kind: protocol.KindAction, Action: protocol.ActionClose, TransferID: "t"},
			`{"type":"transfer","kind":"action","action":"close","uuid":"u","transferID":"t"}`,
		},
		"an action without a transfer": {
			protocol.Request{UUID: "u", Type: protocol.TypeTransfer, Kind: protocol.KindAction, Action: protocol.ActionRollback},
			`{"type":"transfer","kind":"action","action":"rollback","uuid":"u"}`,
		},
		"a step": {
			protocol.Request{
				UUID: "u", Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: protocol.VerbStart, Stage: protocol.StageLinks,
				TransferID: "t",
			},
			`{"type":"transfer","kind":"step","action":"start","step":"links","uuid":"u","transferID":"t"}`,
		},
		"a step with data": {
			protocol.Request{
				UUID: "u", Type: protocol.TypeTransfer, Kind: protocol.KindStep, Verb: protocol.VerbStream, Stage: protocol.StageAssets,
				Data: json.RawMessage(`[{"a" : 1e400}]`), TransferID: "t",
			},
			`{"type":"transfer","kind":"step","action":"stream","step":"assets","data":[{"a" : 1e400}],"uuid":"u","transferID":"t"}`,
		},
	}
	for name, test := range tests {
		require.Equal(t, test.want, string(test.request.Append(nil)), name)
		got, err := protocol.ParseRequest([]byte(test.want))
		require.NoError(t, err, name)
		if test.request.Type == protocol.TypeCommand {
			test.request.TransferID = ""
		}
		require.Equal(t, test.request, got, name)
	}
	require.Equal(t, `{"uuid":"a\"b"}`, string(protocol.AppendAck(nil, `a"b`)))
}

func TestContentPassesThroughByteForByte(t *testing.T) {
	t.Parallel()
	items := []string{
		`{"n":9007199254740993,"f":1e400,"d":0.123456789012345678901234567890,"z":-0.0,"e":1.0e+2}`,
		`{"s":"\ud83d","t":"\u0000","u":"\/\u00e9é","html":"<b>&"}`,
		`{"b":1,"a":2,"b":3}`,
		"{ \"spaced\" :\t[ 1 , 2 ] }",
		`[[["nested"]]]`, `"text"`, `17`, `null`, `true`,
	}
	data := "[" + strings.Join(items, ",") + "]"
	frame := `{"uuid":"u","data":{"type":"transfer","data":` + data + `,"ended":false,"error":null,"id":"s"}}`
	m, err := protocol.ParseServerMessage([]byte(frame))
	require.NoError(t, err)
	require.Equal(t, data, string(m.Frame.Data))
	require.Equal(t, frame, string(m.Frame.Append(nil)))

	var got []string
	for item, err := range protocol.Items(m.Frame.Data) {
		require.NoError(t, err)
		got = append(got, string(item))
	}
	require.Equal(t, items, got)

	response := `{"uuid":"u","data":` + data + `,"error":null}`
	m, err = protocol.ParseServerMessage([]byte(response))
	require.NoError(t, err)
	require.Equal(t, response, string(m.Response.Append(nil)))
}

func TestServerMessages(t *testing.T) {
	t.Parallel()
	type want = protocol.ServerMessage
	tests := map[string]struct {
		text string
		want want
	}{
		"a response": {
			`{"uuid":"u","data":{"ok":true},"error":null}`,
			want{Response: &protocol.Response{UUID: "u", Data: json.RawMessage(`{"ok":true}`)}},
		},
		"a response with nothing but a uuid": {`{"uuid":"u"}`, want{Response: &protocol.Response{UUID: "u"}}},
		"false and 0 are no errors": {
			`{"uuid":"u","error":false,"data":0}`, want{Response: &protocol.Response{UUID: "u", Data: json.RawMessage("0")}},
		},
		"an empty object is an error": {
			`{"uuid":"u","error":{}}`, want{Response: &protocol.Response{UUID: "u", Error: &protocol.Error{}}},
		},
		"an error of a stage": {
			`{"error":{"details":{"step":"transfer","details":{"action":"x"}},"message":"m","code":"Error"},"data":null,"uuid":"u"}`,
			want{Response: &protocol.Response{UUID: "u", Data: json.RawMessage("null"), Error: &protocol.Error{
				Code: "Error", Message: "m",
				Details: protocol.ErrorDetails{Step: "transfer", Details: json.RawMessage(`{"action":"x"}`)},
			}}},
		},
		"the answer to an empty uuid": {
			`{"data":null,"error":{"code":"Error","message":"Missing uuid in message","details":{}}}`,
			want{Response: &protocol.Response{
				Data: json.RawMessage("null"), Error: &protocol.Error{Code: "Error", Message: "Missing uuid in message"},
			}},
		},
		"schemas that look a little like a frame": {
			`{"uuid":"u","data":{"id":"x","data":1,"data":2,"type":"other"},"error":null}`,
			want{Response: &protocol.Response{UUID: "u", Data: json.RawMessage(`{"id":"x","data":1,"data":2,"type":"other"}`)}},
		},
		"a frame": {
			`{"uuid":"u","data":{"type":"transfer","data":[1],"ended":false,"error":null,"id":"s"}}`,
			want{Frame: &protocol.Frame{UUID: "u", Stream: "s", Data: json.RawMessage("[1]"), Error: json.RawMessage("null")}},
		},
		"a frame in another order, with escapes in its names and an error member outside": {
			`{"error":null,"d\u0061ta":{"id":"s","ended":1,"\u0074ype":"transfer"},"uuid":"\u0075"}`,
			want{Frame: &protocol.Frame{UUID: "u", Stream: "s", Ended: true}},
		},
		"an error frame": {
			`{"uuid":"u","data":{"type":"transfer","data":null,"ended":true,"error":{},"id":"s"}}`,
			want{Frame: &protocol.Frame{
				UUID: "u", Stream: "s", Data: json.RawMessage("null"), Ended: true, Error: json.RawMessage("{}"),
			}},
		},
		"an error beside what looks like a frame": {
			`{"uuid":"u","data":{"type":"transfer"},"error":"no"}`,
			want{Response: &protocol.Response{
				UUID: "u", Data: json.RawMessage(`{"type":"transfer"}`), Error: &protocol.Error{Message: "no"},
			}},
		},
		"a diagnostic": {
			`{"diagnostic":{"kind":"error","details":{"message":"m","severity":"fatal","name":"Error","error":{"a":1},"createdAt":"2026"}},"uuid":"d"}`,
			want{Diagnostic: &protocol.Diagnostic{UUID: "d", Kind: protocol.DiagnosticError, Details: protocol.DiagnosticDetails{
				CreatedAt: "2026", Message: "m", Severity: "fatal", Name: "Error", Error: json.RawMessage(`{"a":1}`),
			}}},
		},
		"a diagnostic with fields of odd types": {
			`{"diagnostic":{"kind":7,"details":{"message":"m","createdAt":5,"origin":{},"params":[1]}}}`,
			want{Diagnostic: &protocol.Diagnostic{Details: protocol.DiagnosticDetails{Message: "m", Params: json.RawMessage("[1]")}}},
		},
		"unknown members, even twice": {
			`{"x":1,"x":2,"uuid":"u","data":null}`, want{Response: &protocol.Response{UUID: "u", Data: json.RawMessage("null")}},
		},
	}
	for name, test := range tests {
		got, err := protocol.ParseServerMessage([]byte(test.text))
		require.NoError(t, err, name)
		require.Equal(t, test.want, got, name)
	}
}

func TestServerMessagesThatAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("u", 2000)
	tests := map[string]struct {
		text string
		want error
	}{
		"nothing":                      {``, protocol.ErrNotObject},
		"an HTML page":                 {`<!doctype html>`, protocol.ErrNotObject},
		"an array":                     {`[{"uuid":"u"}]`, protocol.ErrNotObject},
		"a string":                     {`"uuid"`, protocol.ErrNotObject},
		"null":                         {`null`, protocol.ErrNotObject},
		"cut text":                     {`{"uuid":"u","data":{"a":`, protocol.ErrInvalidJSON},
		"two objects":                  {`{"uuid":"u"}{"uuid":"v"}`, protocol.ErrInvalidJSON},
		"bad JSON deep inside":         {`{"uuid":"u","data":{"a":[1,{"b":01}]}}`, protocol.ErrInvalidJSON},
		"bad UTF-8 deep inside":        {"{\"uuid\":\"u\",\"data\":{\"a\":[\"\xff\"]}}", protocol.ErrInvalidUTF8},
		"nesting without end":          {`{"data":` + strings.Repeat("[", 20_000), protocol.ErrTooDeep},
		"uuid twice":                   {`{"uuid":"u","uuid":"v","data":null}`, protocol.ErrDuplicateMember},
		"uuid twice, once escaped":     {`{"uuid":"u","\u0075uid":"v"}`, protocol.ErrDuplicateMember},
		"data twice":                   {`{"uuid":"u","data":1,"data":2}`, protocol.ErrDuplicateMember},
		"error twice":                  {`{"uuid":"u","error":null,"error":{}}`, protocol.ErrDuplicateMember},
		"data of a frame twice":        {`{"uuid":"u","data":{"type":"transfer","data":[1],"data":[2],"id":"s"}}`, protocol.ErrDuplicateMember},
		"a frame that nobody can ack":  {`{"data":{"type":"transfer","data":[1],"id":"s"}}`, protocol.ErrInvalidField},
		"a uuid that is a book":        {`{"uuid":"` + long + `"}`, protocol.ErrTooLarge},
		"no uuid":                      {`{}`, protocol.ErrIgnored},
		"a uuid that is a number":      {`{"uuid":5,"data":null,"error":null}`, protocol.ErrIgnored},
		"a diagnostic without message": {`{"diagnostic":{"kind":"info","details":{}},"uuid":"u"}`, protocol.ErrIgnored},
		"a diagnostic that is a text":  {`{"diagnostic":"info","uuid":"u"}`, protocol.ErrIgnored},
	}
	for name, test := range tests {
		_, err := protocol.ParseServerMessage([]byte(test.text))
		require.ErrorIs(t, err, test.want, name)
		require.Less(t, len(err.Error()), 300, name)
	}
}

func TestClientMessagesThatAreRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want error
	}{
		"an array":                 {`[]`, protocol.ErrNotObject},
		"cut text":                 {`{"uuid":"u"`, protocol.ErrInvalidJSON},
		"bad UTF-8":                {"{\"uuid\":\"u\xff\"}", protocol.ErrInvalidUTF8},
		"type twice":               {`{"uuid":"u","type":"command","type":"transfer"}`, protocol.ErrDuplicateMember},
		"an action that is a book": {`{"uuid":"u","type":"transfer","action":"` + strings.Repeat("a", 5000) + `"}`, protocol.ErrTooLarge},
		"no uuid":                  {`{"type":"command","command":"init"}`, protocol.ErrIgnored},
		"a uuid that is null":      {`{"uuid":null,"type":"command"}`, protocol.ErrIgnored},
		"an unknown type":          {`{"uuid":"u","type":"query"}`, protocol.ErrIgnored},
		"a type that is a number":  {`{"uuid":"u","type":1}`, protocol.ErrIgnored},
		"an ack of nothing":        {`{"uuid":""}`, protocol.ErrIgnored},
	}
	for name, test := range tests {
		_, err := protocol.ParseClientMessage([]byte(test.text))
		require.ErrorIs(t, err, test.want, name)
	}
	_, err := protocol.ParseRequest([]byte(`{"uuid":"u"}`))
	require.ErrorIs(t, err, protocol.ErrIgnored, "an acknowledgement is no request")

	m, err := protocol.ParseClientMessage([]byte(`{"uuid":"","type":"command","command":7}`))
	require.NoError(t, err)
	require.Equal(t, &protocol.Request{Type: protocol.TypeCommand}, m.Request, "to be answered with MessageMissingUUID")
	m, err = protocol.ParseClientMessage([]byte(`{"uuid":"u","type":"transfer","kind":"banana","action":"x"}`))
	require.NoError(t, err)
	require.Equal(t, protocol.Kind("banana"), m.Request.Kind)
}

func TestItems(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		data string
		want []string
	}{
		"nothing":                {``, nil},
		"null":                   {`null`, nil},
		"an empty array":         {` [ ] `, nil},
		"what is not an array":   {`{"a":1}`, []string{`{"a":1}`}},
		"a nested array":         {`[[1,2],[3]]`, []string{`[1,2]`, `[3]`}},
		"an item that is null":   {`[null]`, []string{`null`}},
		"white space all around": {" [ 1 ,\n{ } ] ", []string{`1`, `{ }`}},
	}
	for name, test := range tests {
		var got []string
		for item, err := range protocol.Items(json.RawMessage(test.data)) {
			require.NoError(t, err, name)
			got = append(got, string(item))
		}
		require.Equal(t, test.want, got, name)
	}
	for _, data := range []string{`[1,]`, `[1`, `[1] 2`, `{"a":1`, `{} {}`, `[1,02]`, "[\"\xff\"]"} {
		var last error
		for item, err := range protocol.Items(json.RawMessage(data)) {
			require.NoError(t, last, "%q goes on after an error", data)
			require.Equal(t, err != nil, item == nil, data)
			last = err
		}
		require.ErrorIs(t, last, protocol.ErrMalformed, data)
	}
	for _, err := range protocol.Items(json.RawMessage(`[1,2,bad]`)) {
		require.NoError(t, err)
		break // looks no further
	}
}

func TestTruthy(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{``, `null`, `false`, `0`, `-0`, `0.0`, `0e5`, `-0.0e-7`, `1e-400`, `""`, ` null `} {
		require.False(t, protocol.Truthy(json.RawMessage(raw)), raw)
	}
	for _, raw := range []string{`true`, `1`, `-1`, `0.1`, `1e400`, `"0"`, `" "`, `{}`, `[]`, ` {} `, `5e-324`} {
		require.True(t, protocol.Truthy(json.RawMessage(raw)), raw)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	parse := func(text string) *protocol.Error { return protocol.ParseError(json.RawMessage(text)) }
	for _, text := range []string{``, `null`, `false`, `0`, `""`} {
		require.Nil(t, parse(text), text)
	}
	tests := map[string]struct {
		text, message string
		class         protocol.ErrorClass
		severity      protocol.Severity
		is            error
	}{
		"a transfer error": {
			`{"code":"Error","message":"m","details":{"step":"transfer"}}`, "m", protocol.ClassTransfer, protocol.SeverityFatal, nil,
		},
		"a validation error":       {`{"message":"m","details":{"step":"validation"}}`, "m", protocol.ClassValidation, protocol.SeveritySilly, nil},
		"an initialization error":  {`{"message":"m","details":{"step":"initialization"}}`, "m", protocol.ClassInitialization, protocol.SeverityFatal, nil},
		"an error of unknown step": {`{"message":"m","details":{"step":"other"}}`, "m", protocol.ClassGeneric, protocol.SeverityError, nil},
		"details that are a text":  {`{"message":"m","details":"transfer"}`, "m", protocol.ClassGeneric, protocol.SeverityError, nil},
		"a text":                   {`"gone"`, "gone", protocol.ClassGeneric, protocol.SeverityError, nil},
		"a number":                 {`17`, "17", protocol.ClassGeneric, protocol.SeverityError, nil},
		"an empty object": {
			`{}`, "the peer reported an error and did not say which", protocol.ClassGeneric, protocol.SeverityError, nil,
		},
		"a code only":        {`{"code":"ERR_STREAM_PREMATURE_CLOSE"}`, "ERR_STREAM_PREMATURE_CLOSE", protocol.ClassGeneric, protocol.SeverityError, nil},
		"an expired token":   {`{"code":"UnauthorizedError","message":"Token expired","details":{}}`, "Token expired", protocol.ClassGeneric, protocol.SeverityError, protocol.ErrTokenExpired},
		"an unknown token":   {`{"code":"UnauthorizedError","message":"x"}`, "x", protocol.ClassGeneric, protocol.SeverityError, protocol.ErrUnauthorized},
		"a forbidden action": {`{"code":"ForbiddenError","message":"Forbidden"}`, "Forbidden", protocol.ClassGeneric, protocol.SeverityError, protocol.ErrForbidden},
		"a terminated transfer": {
			`{"message":"Transfer has been terminated","details":{"step":"transfer"}}`, "Transfer has been terminated",
			protocol.ClassTransfer, protocol.SeverityFatal, protocol.ErrTerminated,
		},
	}
	for name, test := range tests {
		e := parse(test.text)
		require.EqualError(t, e, test.message, name)
		require.Equal(t, test.class, e.Class(), name)
		require.Equal(t, test.severity, e.Class().Severity(), name)
		if test.is != nil {
			require.ErrorIs(t, e, test.is, name)
		} else {
			require.NotErrorIs(t, e, protocol.ErrTerminated, name)
		}
	}
	require.Less(t, len(parse(`{"message":"`+strings.Repeat("é", 1<<20)+`"}`).Error()), 9000)
	for _, unit := range []string{"a", "é", `\n`, `\\`, `\u00e9`, `\ud83d\ude00`} {
		for shift := range 12 {
			text := parse(`{"message":"` + strings.Repeat("x", shift) + strings.Repeat(unit, 20_000) + `"}`).Error()
			require.True(t, utf8.ValidString(text), "%d %s", shift, unit)
			require.Greater(t, len(text), 1000)
			require.Less(t, len(text), 9000)
			require.NotContains(t, text[len(text)-8:], "u", "half an escape, shifted by %d", shift)
		}
	}
	require.JSONEq(t, `{"code":"Error","message":"m","details":{"step":"transfer","details":{}}}`,
		string(protocol.TransferError("m", nil).Append(nil)))
	require.Equal(t, `null`, string((*protocol.Error)(nil).Append(nil)))
}

func TestResultsDoNotOutliveTheirText(t *testing.T) {
	t.Parallel()
	text := []byte(`{"uuid":"u","error":{"code":"C","message":"m","details":{"step":"transfer","details":{"a":1}}}}`)
	m, err := protocol.ParseServerMessage(text)
	require.NoError(t, err)
	clear(text)
	require.Equal(t, `{"uuid":"u","data":null,"error":{"code":"C","message":"m","details":{"step":"transfer","details":{"a":1}}}}`,
		string(m.Response.Append(nil)), "errors and ids own their memory")
}
