package socketio

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecodeMessage(t *testing.T) {
	event := func(m message) message {
		m.kind = kindEvent
		return m
	}
	for name, c := range map[string]struct {
		text string
		want message
		err  error
	}{
		"a connection":                {`0`, message{kind: kindConnect, namespace: "/", id: noID}, nil},
		"one with a payload":          {`0/admin,{"a":1}`, message{kind: kindConnect, namespace: "/admin", id: noID, data: []byte(`{"a":1}`)}, nil},
		"a namespace without a comma": {`0/admin`, message{kind: kindConnect, namespace: "/admin", id: noID}, nil},
		"a disconnection":             {`1/admin,`, message{kind: kindDisconnect, namespace: "/admin", id: noID}, nil},
		"an event":                    {`2["a",1]`, event(message{namespace: "/", id: noID, data: []byte(`["a",1]`)}), nil},
		"an event with an id":         {`2/x,12["a"]`, event(message{namespace: "/x", id: 12, data: []byte(`["a"]`)}), nil},
		"an event named by a number":  {`2[7]`, event(message{namespace: "/", id: noID, data: []byte(`[7]`)}), nil},
		"an acknowledgement":          {`30[]`, message{kind: kindAck, namespace: "/", id: 0, data: []byte(`[]`)}, nil},
		"a binary event": {
			`52-/x,3["a",{"_placeholder":true,"num":0}]`,
			message{kind: kindBinaryEvent, namespace: "/x", id: 3, attachments: 2, data: []byte(`["a",{"_placeholder":true,"num":0}]`)},
			nil,
		},
		"nothing":                              {``, message{}, errKind},
		"a type that there is not":             {`7`, message{}, errKind},
		"a type that is a letter":              {`a`, message{}, errKind},
		"a connection with an array":           {`0[]`, message{}, errPayload},
		"a disconnection with a payload":       {`1{}`, message{}, errPayload},
		"an event without a payload":           {`2`, message{}, errPayload},
		"an event with an object":              {`2{}`, message{}, errPayload},
		"an event without a name":              {`2[]`, message{}, errPayload},
		"an event named by null":               {`2[null]`, message{}, errPayload},
		"an event that is no JSON":             {`2["a"`, message{}, errPayload},
		"a reserved name":                      {`2["connect"]`, message{}, ErrReserved},
		"an acknowledgement without an id":     {`3[]`, message{}, errPayload},
		"an acknowledgement with an object":    {`31{}`, message{}, errPayload},
		"a refusal with a number":              {`47`, message{}, errPayload},
		"an id that JavaScript cannot hold":    {`21234567890123456["a"]`, message{}, errID},
		"no number of attachments":             {`5["a"]`, message{}, errAttachments},
		"no dash after it":                     {`51["a"]`, message{}, errAttachments},
		"no attachments":                       {`50-["a"]`, message{}, errAttachments},
		"too many attachments":                 {`511-["a"]`, message{}, errAttachments},
		"a number of attachments beyond reach": {`5` + strings.Repeat("9", 40) + `-["a"]`, message{}, errAttachments},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeMessage([]byte(c.text))
			require.ErrorIs(t, err, c.err)
			if c.err == nil {
				require.Equal(t, c.want, got)
			}
		})
	}
}

// What is decoded and encoded again means the same.
func FuzzDecodeMessage(f *testing.F) {
	for _, seed := range []string{`0`, `0/a,{"x":1}`, `1/a`, `2["a",1,{"b":[true]}]`, `2/x,99["é"]`, `33[1]`, `44{"message":"no"}`, `52-/b,7["x",{"_placeholder":true,"num":1}]`, `61-1[{}]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := decodeMessage(text)
		if err != nil {
			return
		}
		if m.attachments > maxAttachments {
			t.Fatalf("%d attachments", m.attachments)
		}
		if m.kind == kindEvent || m.kind == kindBinaryEvent {
			if name, _, err := m.event(); err != nil || reserved(name) {
				t.Fatalf("event %q: %v", name, err)
			}
		}
		again := m
		switch m.kind {
		case kindBinaryEvent:
			again.kind = kindEvent
		case kindBinaryAck:
			again.kind = kindAck
		case kindConnect, kindDisconnect, kindEvent, kindAck, kindConnectError:
		}
		frames := again.frames(make([][]byte, m.attachments), false)
		if len(frames) != 1+m.attachments || frames[0].data[0] != packetMessage {
			t.Fatalf("%d frames", len(frames))
		}
		back, err := decodeMessage(frames[0].data[1:])
		if err != nil || back.kind != m.kind || back.namespace != m.namespace || back.id != m.id || back.attachments != m.attachments ||
			!bytes.Equal(back.data, m.data) {
			t.Fatalf("%q became %q: %v", text, frames[0].data, err)
		}
	})
}

// A payload that is decoded reads the same when it is encoded again.
func FuzzDecodePayload(f *testing.F) {
	for _, seed := range []string{"4hello", "4a\x1ebAQIDBA==\x1e2probe", "", "\x1e", "b", "b!", "4\xff", "6\x1e5"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var frames []*frame
		for p, err := range decodePayload(body) {
			if err != nil {
				return
			}
			if p.binary {
				frames = append(frames, &frame{binary: true, data: p.data})
				continue
			}
			frames = append(frames, textFrame(string(p.kind)+string(p.data)))
		}
		var again []packet
		for p, err := range decodePayload(encodePayload(frames)) {
			if err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			again = append(again, p)
		}
		if len(again) != len(frames) {
			t.Fatalf("%d packets became %d", len(frames), len(again))
		}
		for i, p := range again {
			want := frames[i].data
			if !p.binary {
				want = want[1:]
			}
			if p.binary != frames[i].binary || !bytes.Equal(p.data, want) {
				t.Fatalf("packet %d changed", i)
			}
		}
	})
}

func TestBinaryDataKeepsItsPlace(t *testing.T) {
	args := []any{"name", []byte{1}, map[string]any{"deep": []any{[]byte{2}, "x"}}, 7}
	text, attachments, err := encodeArgs(args)
	require.NoError(t, err)
	require.JSONEq(t, `["name",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1},"x"]},7]`, string(text))
	require.Equal(t, [][]byte{{1}, {2}}, attachments)
	m := message{data: text}
	_, rest, err := m.event()
	require.NoError(t, err)
	values, err := (&Event{Args: rest, Attachments: attachments}).Values()
	require.NoError(t, err)
	require.Equal(t, []any{[]byte{1}, map[string]any{"deep": []any{[]byte{2}, "x"}}, json.Number("7")}, values)
}

func TestPlaceholdersThatPointNowhere(t *testing.T) {
	for _, text := range []string{`{"_placeholder":true,"num":1}`, `{"_placeholder":true,"num":-1}`, `{"_placeholder":true}`, `{"_placeholder":true,"num":"0"}`, `{"_placeholder":true,"num":1e99}`} {
		values, err := (&Event{Args: []json.RawMessage{json.RawMessage(text)}, Attachments: [][]byte{{1}}}).Values()
		require.NoError(t, err)
		require.Nil(t, values[0], text)
	}
}
