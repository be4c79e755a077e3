package protocol_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/protocol"
)

// request reads the short form in which the tests write messages: "init", "end", "close", "start links", "banana links".
func request(text string) protocol.Request {
	word, stage, isStep := strings.Cut(text, " ")
	r := protocol.Request{UUID: text, Type: protocol.TypeTransfer}
	switch {
	case isStep:
		r.Kind, r.Verb, r.Stage = protocol.KindStep, protocol.Verb(word), protocol.Stage(stage)
	case word == "init", word == "status", word == "destroy":
		r.Type, r.Command = protocol.TypeCommand, protocol.Command(word)
	case word == "end":
		r.Type, r.Command, r.Params = protocol.TypeCommand, protocol.CommandEnd, json.RawMessage(`{"transferID":"t"}`)
	case word == "badend":
		r.Type, r.Command, r.Params = protocol.TypeCommand, protocol.CommandEnd, json.RawMessage(`{"transferID":"x"}`)
	default:
		r.Kind, r.Action = protocol.KindAction, protocol.Action(word)
	}
	return r
}

// walk sends requests, separated by commas, and returns the first refusal.
func walk(f *protocol.Flow, requests string) *protocol.Error {
	for text := range strings.SplitSeq(requests, ", ") {
		err := f.Advance(request(text))
		if text == "init" && err == nil {
			f.TransferID = "t"
		}
		if refusal, ok := errors.AsType[*protocol.Error](err); ok {
			return refusal
		}
	}
	return nil
}

const wholePush = "init, bootstrap, getMetadata, getMetadata, getSchemas, beforeTransfer, start entities, stream entities, end entities, " +
	"start assets, stream assets, stream assets, end assets, start links, end links, start configuration, stream configuration, " +
	"end configuration, close, end"

func TestFlowsThatAllRulesAccept(t *testing.T) {
	t.Parallel()
	flows := map[string]string{
		"a whole push":                wholePush,
		"two transfers on one line":   wholePush + ", " + wholePush,
		"files left out":              "init, bootstrap, getSchemas, beforeTransfer, start entities, end entities, start links, end links, close, end",
		"a look at the server":        "init, bootstrap, getMetadata, getSchemas, close, end",
		"a failure in a stage":        "init, bootstrap, beforeTransfer, start entities, stream entities, rollback, close, end",
		"a failure before anything":   "init, rollback, close, end",
		"nothing deleted":             "init, bootstrap, start links, stream links, end links, close, end",
		"questions about the state":   "status, init, status, bootstrap, status, close, status, end, status",
		"metadata between the stages": "init, bootstrap, start links, end links, getMetadata, getSchemas, close, end",
	}
	for name, requests := range flows {
		for _, rules := range []protocol.Rules{protocol.RulesServer, protocol.RulesStrapi, protocol.RulesClient} {
			f := protocol.Flow{Rules: rules}
			require.Nil(t, walk(&f, requests), "%s, rules %d", name, rules)
			require.False(t, f.Active(), name)
		}
	}
	pull := "init, bootstrap, getMetadata, getSchemas, start assets, start entities, end entities, end assets, start entities, end entities, close, end"
	for _, rules := range []protocol.Rules{protocol.RulesServer, protocol.RulesStrapi, protocol.RulesClient} {
		f := protocol.Flow{Rules: rules, Direction: protocol.Pull}
		require.Nil(t, walk(&f, pull), "pull, rules %d", rules)
	}
}

func TestFlowsThatStrapiRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ requests, want string }{
		"an action before init": {"bootstrap", `{"code":"Error","message":"Invalid Transfer Process","details":{}}`},
		"an action after end":   {"init, bootstrap, close, end, getMetadata", `{"code":"Error","message":"Invalid Transfer Process","details":{}}`},
		"a second init":         {"init, init", `{"code":"Error","message":"Transfer already in progress","details":{}}`},
		"an unknown command":    {"destroy", `{"code":"Error","message":"Invalid transfer command","details":{}}`},
		"an end of another transfer": {
			"init, badend", `{"code":"Error","message":"Bad transfer ID provided","details":{"step":"transfer"}}`,
		},
		"an unknown action": {
			"init, jump", `{"code":"Error","message":"Invalid action provided: \"jump\"","details":{"step":"transfer","details":` +
				`{"action":"jump","validActions":["0","1","2","3","4","5"]}}}`,
		},
		"an action too late": {
			"init, bootstrap, start links, end links, beforeTransfer",
			`{"code":"Error","message":"Invalid action \"beforeTransfer\" found for the current flow ","details":{"step":"transfer",` +
				`"details":{"action":"beforeTransfer"}}}`,
		},
		"bootstrap twice": {
			"init, bootstrap, bootstrap", `{"code":"Error","message":"Invalid action \"bootstrap\" found for the current flow ",` +
				`"details":{"step":"transfer","details":{"action":"bootstrap"}}}`,
		},
		"a stage within a stage": {
			"init, bootstrap, start entities, start links", `{"code":"Error","message":"It's not possible to start a new transfer stage ` +
				`(links) while another one is in progress (entities)","details":{"step":"transfer"}}`,
		},
		"a stage too late": {
			"init, bootstrap, start links, end links, start assets", `{"code":"Error","message":"Invalid stage (assets) provided for the ` +
				`current flow","details":{"step":"transfer","details":{"step":{"kind":"transfer","stage":"assets"}}}}`,
		},
		"an unknown stage": {
			"init, bootstrap, start moon", `{"code":"Error","message":"Invalid stage (moon) provided for the current flow",` +
				`"details":{"step":"transfer","details":{"step":{"kind":"transfer","stage":"moon"}}}}`,
		},
		"a stage without a stream": {
			"init, bootstrap, start schemas", `{"code":"Error","message":"Invalid transfer step, impossible to create a stream","details":{}}`,
		},
		"items of a stage too late": {
			"init, bootstrap, start links, stream entities", `{"code":"Error","message":"Invalid stage ([object Object]) provided for the ` +
				`current flow","details":{"step":"transfer","details":{"step":{"kind":"transfer","stage":"entities"}}}}`,
		},
		"items after the end": {
			"init, bootstrap, start links, end links, stream links", `{"code":"Error","message":"You need to initialize the transfer stage ` +
				`([object Object]) before starting to stream data","details":{"step":"transfer"}}`,
		},
		"items before the start": {"init, bootstrap, stream links", `{"code":"Error","message":"You need to init first","details":{}}`},
		"a stage before bootstrap": {
			"init, start entities", `{"code":"Error","message":"Not able to import entities. Strapi instance not found.",` +
				`"details":{"step":"initialization"}}`,
		},
		"schemas before bootstrap": {
			"init, getSchemas", `{"code":"Error","message":"Not able to get Schemas. Strapi instance not found.",` +
				`"details":{"step":"initialization"}}`,
		},
		"beforeTransfer before bootstrap": {
			"init, beforeTransfer", `{"code":"Error","message":"Strapi instance not found","details":{}}`,
		},
	}
	for name, test := range tests {
		for _, rules := range []protocol.Rules{protocol.RulesStrapi, protocol.RulesServer, protocol.RulesClient} {
			f := protocol.Flow{Rules: rules}
			refusal := walk(&f, test.requests)
			require.NotNil(t, refusal, "%s, rules %d", name, rules)
			require.Equal(t, test.want, string(refusal.Append(nil)), "%s, rules %d", name, rules)
		}
	}
}

// TestFlowsThatTheRulesJudgeDifferently is the table in README.md: what Strapi takes and should not, or refuses and need not.
func TestFlowsThatTheRulesJudgeDifferently(t *testing.T) {
	t.Parallel()
	const yes, no = true, false
	tests := map[string]struct {
		requests               string
		strapi, server, client bool
	}{
		"end of a first stage that never started":   {"init, bootstrap, end links", yes, yes, no},
		"end of a later stage that never started":   {"init, bootstrap, start entities, end entities, end links", no, yes, no},
		"end of every stage, all empty":             {"init, bootstrap, end entities, end assets, end links, end configuration, close, end", no, yes, no},
		"end of another stage than the open one":    {"init, bootstrap, start entities, end links", yes, no, no},
		"a stage once more":                         {"init, bootstrap, start links, end links, start links", yes, yes, no},
		"close while a stage is open":               {"init, bootstrap, start links, close", yes, no, no},
		"close twice":                               {"init, bootstrap, close, close", no, yes, no},
		"rollback twice":                            {"init, bootstrap, rollback, rollback", yes, yes, no},
		"rollback after close":                      {"init, bootstrap, close, rollback", yes, yes, no},
		"a stage after rollback":                    {"init, bootstrap, rollback, start links", yes, no, no},
		"a question after rollback":                 {"init, bootstrap, rollback, getMetadata", yes, no, no},
		"end without close":                         {"init, bootstrap, end", yes, yes, no},
		"end before init":                           {"badend", no, no, no},
		"rollback and close after a refused init":   {"rollback, close", no, yes, no},
		"an unknown verb":                           {"init, bootstrap, jump links", yes, yes, no},
		"rollback, close and end when a stage open": {"init, bootstrap, start links, rollback, close, end", yes, yes, yes},
	}
	for name, test := range tests {
		for rules, want := range map[protocol.Rules]bool{
			protocol.RulesStrapi: test.strapi, protocol.RulesServer: test.server, protocol.RulesClient: test.client,
		} {
			f := protocol.Flow{Rules: rules}
			refusal := walk(&f, test.requests)
			require.Equal(t, want, refusal == nil, "%s, rules %d: %v", name, rules, refusal)
		}
	}
}

func TestStateAfterARefusal(t *testing.T) {
	t.Parallel()
	// Strapi takes up an unknown stage before it finds that there is none; bootstrap is the way out.
	f := protocol.Flow{Rules: protocol.RulesStrapi}
	require.EqualError(t, walk(&f, "init, start moon"), "Invalid transfer step, impossible to create a stream")
	require.Equal(t, protocol.Stage("moon"), f.Open())
	require.Nil(t, walk(&f, "bootstrap"))
	require.Empty(t, f.Open())
	require.Nil(t, walk(&f, "start entities"))

	// What a client does not send changes nothing.
	f = protocol.Flow{Rules: protocol.RulesClient}
	require.NotNil(t, walk(&f, "init, start links"))
	require.Empty(t, f.Open())
	require.Nil(t, walk(&f, "bootstrap, beforeTransfer, start entities"))
}

func TestPullFlow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ requests, want string }{
		"a push's action":     {"init, bootstrap, beforeTransfer", `Invalid action provided: "beforeTransfer"`},
		"start twice":         {"init, bootstrap, start links, start links", "Stream already created, something went wrong"},
		"an unknown stage":    {"init, bootstrap, start moon", "Invalid transfer step, impossible to create a stream"},
		"before bootstrap":    {"init, start links", "Not able to stream links. Strapi instance not found."},
		"metadata too early":  {"init, getMetadata", ". Strapi instance not found."},
		"end of nothing":      {"init, bootstrap, end links", ""},
		"actions after close": {"init, bootstrap, close, getMetadata, start links", ""},
		"an unknown verb":     {"init, bootstrap, stream links", ""},
	}
	for name, test := range tests {
		f := protocol.Flow{Rules: protocol.RulesStrapi, Direction: protocol.Pull}
		got := walk(&f, test.requests)
		if test.want == "" {
			require.Nil(t, got, name)
		} else {
			require.EqualError(t, got, test.want, name)
		}
	}
	for _, requests := range []string{
		"init, bootstrap, end links", "init, bootstrap, close, getMetadata", "init, bootstrap, close, start links", "init, bootstrap, stream links",
		"init, bootstrap, end",
	} {
		f := protocol.Flow{Rules: protocol.RulesClient, Direction: protocol.Pull}
		require.NotNil(t, walk(&f, requests), requests)
	}
}

func TestFlowAfterATerminalFailure(t *testing.T) {
	t.Parallel()
	f := protocol.Flow{Rules: protocol.RulesStrapi}
	require.Nil(t, walk(&f, "init, bootstrap, start entities"))
	require.Equal(t, protocol.StageEntities, f.Open())
	require.True(t, f.Streaming(protocol.StageEntities))
	f.Terminate()
	require.True(t, f.Terminated())
	for _, text := range []string{"status", "init", "rollback", "close", "end", "stream entities"} {
		require.ErrorIs(t, walk(&f, text), protocol.ErrTerminated, text)
	}
}

// TestServerRulesAcceptStrapisClient replays what Strapi's client really sent, failures included.
func TestServerRulesAcceptStrapisClient(t *testing.T) {
	t.Parallel()
	for name, lines := range transcripts(t) {
		if !recordedFromStock(name) {
			continue
		}
		f := protocol.Flow{}
		if strings.HasPrefix(name, "pull") {
			f.Direction = protocol.Pull
		}
		for _, l := range lines {
			if l.Dir != "c2s" || !l.message() {
				continue
			}
			r, err := protocol.ParseRequest(l.Frame)
			if err != nil {
				continue
			}
			if r.Type == protocol.TypeTransfer {
				f.TransferID = r.TransferID
			}
			require.NoError(t, f.Advance(r), "%s: %s", name, l.Frame)
		}
	}
}
