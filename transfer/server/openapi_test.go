package server

import (
	"encoding/json"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

type parameter struct {
	Name string `json:"name"`
	In   string `json:"in"`
}

// document is as much of the OpenAPI document as the tests look at.
type document struct {
	Paths map[string]map[string]struct {
		OperationID string                     `json:"operationId"`
		Responses   map[string]json.RawMessage `json:"responses"`
		Security    *[]any                     `json:"security"`
		Parameters  []parameter                `json:"parameters"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]struct {
				Enum []string `json:"enum"`
			} `json:"properties"`
			Required []string `json:"required"`
		} `json:"schemas"`
		Responses map[string]json.RawMessage `json:"responses"`
	} `json:"components"`
}

func openDocument(t *testing.T) (d document) {
	t.Helper()
	require.NoError(t, json.Unmarshal(openAPIDocument, &d))
	return d
}

func TestTheDocumentNamesTheRoutesAndNoOthers(t *testing.T) {
	t.Parallel()
	d := openDocument(t)
	var said, done []string
	ids := map[string]bool{}
	for path, operations := range d.Paths {
		for method, o := range operations {
			said = append(said, strings.ToUpper(method)+" "+path)
			require.False(t, ids[o.OperationID], o.OperationID)
			ids[o.OperationID] = true
			for part := range strings.SplitSeq(path, "/") {
				if name, ok := strings.CutPrefix(part, "{"); ok {
					want := parameter{Name: strings.TrimSuffix(name, "}"), In: "path"}
					require.Contains(t, o.Parameters, want, path)
				}
			}
			if o.Security == nil {
				require.Contains(t, o.Responses, "401", path)
			}
		}
	}
	for _, r := range (&Server{}).routes() {
		done = append(done, r.method+" "+r.path)
	}
	slices.Sort(said)
	slices.Sort(done)
	require.Equal(t, done, said)
}

func TestTheDocumentDescribesWhatIsSent(t *testing.T) {
	t.Parallel()
	d := openDocument(t)
	for name, value := range map[string]any{
		"Job": jobs.Job{}, "Stage": jobs.Stage{}, "Diagnostic": jobs.Diagnostic{}, "Result": jobs.Result{}, "Failure": jobs.Failure{},
		"Settings": jobs.Settings{}, "Keep": jobs.Keep{}, "Schedule": jobs.Schedule{}, "ScheduleRequest": scheduleRequest{},
		"Start": startRequest{}, "Started": started{}, "Endpoint": Endpoint{}, "Snapshot": Snapshot{}, "Count": transfer.Count{},
		"Examination": Examination{}, "Diagnosis": Diagnosis{}, "Pagination": pagination{},
	} {
		schema, ok := d.Components.Schemas[name]
		require.True(t, ok, name)
		var have, want []string
		for property := range schema.Properties {
			have = append(have, property)
		}
		kind := reflect.TypeOf(value)
		for field := range kind.Fields() {
			tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if tag == "-" {
				continue
			}
			want = append(want, tag)
			if slices.Contains(schema.Required, tag) && name != "ScheduleRequest" {
				require.NotContains(t, options, "omit", "%s.%s is required", name, tag)
			}
		}
		slices.Sort(have)
		slices.Sort(want)
		require.Equal(t, want, have, name)
	}
	states := make([]string, 0, len(jobs.States()))
	for _, s := range jobs.States() {
		states = append(states, string(s))
	}
	require.Equal(t, states, d.Components.Schemas["Job"].Properties["state"].Enum)
	steps := make([]string, 0, len(jobs.Steps()))
	for _, s := range jobs.Steps() {
		steps = append(steps, string(s))
	}
	require.Equal(t, steps, d.Components.Schemas["Job"].Properties["step"].Enum)
}

func TestTheDocumentRefersToWhatItHas(t *testing.T) {
	t.Parallel()
	d := openDocument(t)
	found := regexp.MustCompile(`"#/components/(\w+)/(\w+)"`).FindAllStringSubmatch(string(openAPIDocument), -1)
	require.NotEmpty(t, found)
	used := map[string]bool{}
	for _, m := range found {
		used[m[2]] = true
		if m[1] == "schemas" {
			require.Contains(t, d.Components.Schemas, m[2])
			continue
		}
		require.Contains(t, d.Components.Responses, m[2])
	}
	for name := range d.Components.Schemas {
		require.True(t, used[name], "%s is never used", name)
	}
}
