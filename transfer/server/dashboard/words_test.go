package dashboard

import (
	"fmt"
	"math"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

func TestNumbersAreForPeople(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"0 B": bytesText(0), "1023 B": bytesText(1023), "1.0 KiB": bytesText(1024), "1.0 MiB": bytesText(1023_999), "8192.0 PiB": bytesText(math.MaxInt64),
		"999": countText(999), "1\u202f000": countText(1000), "-1\u202f234\u202f567": countText(-1_234_567),
		"": rateText(0), "2.0 KiB/s": rateText(2048),
		"< 1 s": spanText(999 * time.Millisecond), "59 s": spanText(59_900 * time.Millisecond), "1 min 5 s": spanText(65 * time.Second),
		"47 h 59 min": spanText(48*time.Hour - time.Second), "3 days": spanText(80 * time.Hour),
		"1 item": pluralText(1, "item", "items"), "0 items": pluralText(0, "item", "items"),
	} {
		require.Equal(t, want, got)
	}
	require.Empty(t, rateText(math.NaN())+rateText(math.Inf(1)))
	require.Equal(t, "< 1 s", spanText(-time.Hour), "a clock that was set makes no negative time")
}

func TestTimesAreDistances(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for want, d := range map[string]time.Duration{
		"now": -4 * time.Second, "30 s ago": 30 * time.Second, "in 2 min": -2 * time.Minute, "3 h ago": 3 * time.Hour, "1 day ago": 25 * time.Hour,
		"in 13 days": -13 * 24 * time.Hour, "2026-11-12": 14 * 24 * time.Hour,
	} {
		require.Equal(t, want, distance(now.Add(-d), now))
	}
	require.Empty(t, moment(time.Time{}, now))
	require.Equal(t, `<time datetime="2026-11-26T11:59:30Z" title="2026-11-26 11:59:30 UTC">30 s ago</time>`, string(moment(now.Add(-30*time.Second), now)))
}

func TestUsualSchedulesAreSaidInWords(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"30 2 * * *": "Every day at 02:30 UTC", "5 14 * * 1": "Every Monday at 14:05 UTC", "0 * * * *": "Every hour, 0 minutes past",
		"*/5 * * * *": "*/5 * * * * (UTC)", "0 0 1 * *": "0 0 1 * * (UTC)", "0 0 * * 9": "0 0 * * 9 (UTC)", "@daily": "@daily (UTC)", "": " (UTC)",
	} {
		require.Equal(t, want, cronWords(expression, ""))
	}
	require.Equal(t, "Every day at 02:30 Europe/Berlin", cronWords("30 2 * * *", "Europe/Berlin"))
}

// A shell reads the command that a page shows as the words that it was made of.
func TestTheCommandIsReadByAShellAsItIsMeant(t *testing.T) {
	t.Parallel()
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	words := []string{"plain", "a b", "it's", `"`, "$(touch /tmp/x)", "`id`", `\`, "*", "~", "a\nb", "", "-x", "ü"}
	out, err := exec.CommandContext(t.Context(), shell, "-c", "printf '%s\\0' "+quoted(words)).Output()
	require.NoError(t, err)
	require.Equal(t, strings.Join(words, "\x00")+"\x00", string(out))
	j := jobs.Job{Kind: jobs.KindSync, From: "production@1", To: "staging", Options: jobs.Settings{
		Only: []transfer.Group{"content", "files"}, ExcludeTypes: []string{"api::a.a"}, SchemaStrategy: "ignore", DryRun: true, MaxRate: 5,
	}}
	require.Equal(t, "transfer job start --from production@1 --to staging --only content,files --exclude-content-types api::a.a --schema-strategy ignore --max-rate 5 --dry-run", command(&j, ""))
	require.Empty(t, command(&jobs.Job{Kind: jobs.KindSession}, ""))
	prune := jobs.Job{Kind: jobs.KindPrune, Site: "blog", Options: jobs.Settings{Keep: &jobs.Keep{Last: 3, Weekly: 2}}}
	require.Equal(t, "transfer job start --server https://x --prune blog --keep-last 3 --keep-weekly 2", command(&prune, "https://x"))
}

func TestEveryStateSaysWhatBecameOfTheDestination(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, state := range jobs.States() {
		for _, kind := range []jobs.Kind{jobs.KindSync, jobs.KindSession, jobs.KindPrune} {
			for _, dry := range []bool{false, true} {
				j := jobs.Job{State: state, Kind: kind, From: "a", To: "b", Site: "b", Options: jobs.Settings{DryRun: dry}, Step: jobs.StepEntities, Result: &jobs.Result{}}
				require.NotEmpty(t, headline(&j), state)
				require.NotEmpty(t, stateWord(state))
				if !state.Ended() || state == jobs.StateCompleted || dry {
					require.NotEmpty(t, story(&j, "", now), fmt.Sprint(state, kind, dry))
				}
			}
		}
	}
	for _, state := range []transfer.State{
		transfer.StateUntouched, transfer.StateRolledBack, transfer.StateFilesGone, transfer.StateNewFiles, transfer.StateCommitted, transfer.StateUnknown, transfer.StateUncertain,
	} {
		require.NotEmpty(t, story(&jobs.Job{State: jobs.StateFailed, To: "b"}, state, now), state)
	}
}

func TestAPlanSaysWhatIsReplacedAndWhatIsKept(t *testing.T) {
	t.Parallel()
	const admin = "users, roles and tokens of the admin panel"
	for _, c := range []struct {
		name           string
		plan           plan
		replaced, kept string
	}{
		{"everything", plan{Stages: transfer.Stages(), Restore: transfer.Restore{Assets: true, Configuration: true}}, "entities and links of all content types, files and configuration", admin},
		{"files alone", plan{Stages: []transfer.Stage{transfer.StageAssets}, Restore: transfer.Restore{Include: []string{}, Assets: true}}, "files", admin + "; entities and links; configuration"},
		{"one type", plan{Stages: transfer.Stages(), Restore: transfer.Restore{Include: []string{"api::a.a"}}}, "entities and links of api::a.a", admin + "; those of all other content types; files; configuration"},
		{"all but one", plan{Stages: transfer.Stages(), Restore: transfer.Restore{Exclude: []string{"api::a.a"}, Assets: true}}, "entities and links of all content types and files", admin + "; entities of api::a.a; configuration"},
		{"nothing", plan{}, "nothing", admin + "; entities and links; files; configuration"},
	} {
		replaced, kept := consequences(&c.plan)
		require.Equal(t, c.replaced, replaced, c.name)
		require.Equal(t, c.kept, kept, c.name)
	}
}

func TestTheLogGrowsAtItsEndOrBeginsAnew(t *testing.T) {
	t.Parallel()
	line := func(n int) jobs.Diagnostic { return jobs.Diagnostic{Message: fmt.Sprint(n)} }
	lines := func(from, to int) (out []jobs.Diagnostic) {
		for n := from; n < to; n++ {
			out = append(out, line(n))
		}
		return out
	}
	for _, c := range []struct {
		name        string
		before, now []jobs.Diagnostic
		fresh       []jobs.Diagnostic
		ok          bool
	}{
		{"the first time all is new", nil, lines(0, 3), lines(0, 3), true},
		{"nothing is new", lines(0, 3), lines(0, 3), lines(0, 0), true},
		{"what is new is at the end", lines(0, 3), lines(0, 5), lines(3, 5), true},
		{"the oldest were forgotten", lines(0, 5), lines(2, 7), lines(5, 7), true},
		{"something came late, in between", lines(0, 3), append([]jobs.Diagnostic{line(0), line(9)}, lines(1, 4)...), nil, false},
		{"nothing is left", lines(0, 3), lines(7, 9), nil, false},
	} {
		fresh, ok := since(c.before, c.now)
		require.Equal(t, c.ok, ok, c.name)
		if ok {
			require.ElementsMatch(t, c.fresh, fresh, c.name)
		}
	}
}

func TestAJobsCourseIsInItsLog(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	j := jobs.Job{
		State: jobs.StateFailed, Who: "x", Created: at, Started: at.Add(time.Second), Finished: at.Add(9 * time.Second),
		Stages:      []jobs.Stage{{Stage: transfer.StageSchemas, Items: 2, Bytes: 10, Started: at.Add(2 * time.Second), Finished: at.Add(4 * time.Second)}},
		Diagnostics: []jobs.Diagnostic{{Time: at.Add(3 * time.Second), Level: transfer.NoteWarning, Message: "odd"}},
	}
	var said []string
	for _, line := range history(&j) {
		said = append(said, string(line.Level)+" "+string(line.Stage)+" "+line.Message)
	}
	require.Equal(t, []string{
		"info  created by x", "info  began", "info schemas began", "warning  odd", "info schemas done: 2 items, 10 B", "error  failed",
	}, said)
}

// What is not sealed with the key is never a session, whatever it looks like.
func FuzzSession(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	mine := &dashboard{Config: Config{Now: func() time.Time { return now }}.withDefaults(), key: []byte("mine")}
	other := &dashboard{Config: mine.Config, key: []byte("other")}
	good := session{Token: "t", Begun: now.Unix(), Active: now.Unix()}
	for _, d := range []*dashboard{mine, other} {
		text, err := d.seal(good)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add("e30.e30")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := mine.open(text)
		if err != nil {
			return
		}
		again, err := mine.seal(s)
		require.NoError(t, err)
		require.Equal(t, again, text, "only what we have written is read")
		_, err = other.open(text)
		require.ErrorIs(t, err, errNoSession)
	})
}
