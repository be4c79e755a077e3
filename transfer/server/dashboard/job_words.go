package dashboard

import (
	"fmt"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
	"github.com/transfer-runner/runner/transfer/jobs"
)

// stateWord is a state for people.
func stateWord(s jobs.State) string {
	switch s {
	case jobs.StatePending:
		return "Waiting"
	case jobs.StateProcessing:
		return "Running"
	case jobs.StateCompleted:
		return "Completed"
	case jobs.StateFailed:
		return "Failed"
	case jobs.StateCancelled:
		return "Cancelled"
	case jobs.StateInterrupted:
		return "Interrupted"
	default:
		return string(s)
	}
}

// headline says in a few words where a job is.
func headline(j *jobs.Job) string {
	switch j.State {
	case jobs.StatePending:
		if j.Attempt > 0 {
			return "Waiting to try again"
		}
		return "Waiting to start"
	case jobs.StateProcessing:
		if j.Cancelling {
			return "Stopping"
		}
		return stepWords(j)
	case jobs.StateCompleted:
		if j.Options.DryRun {
			return "Checked: this can be done"
		}
		return "Completed"
	case jobs.StateFailed:
		if j.Options.DryRun {
			return "Checked: this cannot be done"
		}
		return "Failed"
	case jobs.StateCancelled:
		return "Cancelled"
	case jobs.StateInterrupted:
		return "Interrupted"
	default:
		return string(j.State)
	}
}

func stepWords(j *jobs.Job) string {
	switch {
	case strings.HasPrefix(j.Phase, "committing"):
		return "Making the new content visible"
	case strings.HasPrefix(j.Phase, "preparing"):
		return "Preparing the destination"
	case j.Kind == jobs.KindPrune:
		return "Deleting snapshots"
	}
	switch j.Step {
	case jobs.StepCreated, jobs.StepConnecting:
		return "Connecting"
	case jobs.StepChecking:
		return "Comparing schemas and versions"
	case jobs.StepSchemas:
		return "Moving schemas"
	case jobs.StepEntities:
		return "Moving entities"
	case jobs.StepAssets:
		return "Moving files"
	case jobs.StepLinks:
		return "Moving links"
	case jobs.StepConfiguration:
		return "Moving configuration"
	case jobs.StepCompleted:
		return "Finishing"
	default:
		return "Running"
	}
}

// story says in a sentence or two what that means.
func story(j *jobs.Job, state transfer.State, now time.Time) string {
	to := j.To
	if to == "" {
		to = j.Site
	}
	switch j.State {
	case jobs.StatePending:
		if j.Attempt > 0 {
			return fmt.Sprintf("Attempt %d did not succeed; the next one follows %s. Nothing at %s is lost by that.", j.Attempt, distance(j.Due, now), to)
		}
		return "It starts as soon as a worker is free and nothing else writes to " + to + "."
	case jobs.StateProcessing:
		switch {
		case j.Cancelling:
			return "What was written so far is being undone."
		case j.Options.DryRun:
			return "Nothing is changed: this only finds out what would happen."
		case j.Kind == jobs.KindPrune:
			return "Snapshots that no rule keeps are deleted."
		case j.Kind == jobs.KindSession && j.Direction == "pull":
			return "A client reads the content of " + to + "."
		default:
			return to + " keeps its old content until everything has arrived."
		}
	case jobs.StateCompleted:
		return success(j, to)
	case jobs.StateFailed, jobs.StateCancelled, jobs.StateInterrupted:
		return strings.TrimSpace(aftermath(state, to, j))
	default:
		return ""
	}
}

func success(j *jobs.Job, to string) string {
	switch {
	case j.Options.DryRun:
		return "Nothing was changed. Below is what a transfer would do."
	case j.Kind == jobs.KindPrune:
		if j.Result != nil {
			return pluralText(int64(len(j.Result.Removed)), "snapshot was", "snapshots were") + " deleted."
		}
		return ""
	case j.Kind == jobs.KindSession && j.Direction == "pull":
		return "A client has read the content of " + to + "."
	case j.Result != nil && j.Result.Skipped > 0:
		return to + " has the new content, except for " + pluralText(j.Result.Skipped, "record that was", "records that were") + " skipped."
	default:
		return to + " has the new content. Everything is accounted for."
	}
}

// aftermath says what the destination holds after a transfer that did not complete.
func aftermath(state transfer.State, to string, j *jobs.Job) string {
	if j.Options.DryRun {
		return "Nothing was changed."
	}
	switch state {
	case transfer.StateUntouched:
		return to + " was not touched."
	case transfer.StateRolledBack:
		return to + " has its old content: what was written was undone."
	case transfer.StateFilesGone:
		return to + " has its old entries, but uploaded files were moved away or deleted: run the transfer again, or restore a snapshot."
	case transfer.StateNewFiles:
		return to + " has its old entries with the new files: run the transfer again, or restore a snapshot."
	case transfer.StateCommitted:
		return to + " has the new content all the same."
	case transfer.StateUnknown:
		return "It is not known whether " + to + " has the old or the new content: look before you run it again."
	case transfer.StateUncertain:
		return "The connection broke. " + to + " goes back to its old content by itself."
	}
	if j.State == jobs.StateInterrupted {
		return "The server stopped while this ran. Nothing that was half written is visible."
	}
	return ""
}

// advice is what to do next about a failure, with the label of a link.
type advice struct {
	Text, Link, Label string
}

func adviceFor(j *jobs.Job, remotes map[string]bool) advice {
	if j.Error == nil || j.State == jobs.StateCancelled {
		return advice{}
	}
	doctor := advice{Link: "/remotes", Label: "Examine the remotes"}
	for _, end := range []string{j.To, j.From} {
		if remotes[end] {
			doctor = advice{Link: "/remotes#" + end, Label: "Examine " + end}
			break
		}
	}
	switch j.Error.Code {
	case "auth":
		doctor.Text = "A remote did not accept the token that this server has for it."
		return doctor
	case "connection", "stalled", "timeout":
		doctor.Text = "Find out where the way to the other server ends."
		return doctor
	case "incompatible":
		return advice{Text: "Bring both sides to the same schemas and the same version of Strapi, or choose what may differ when you start it again."}
	case "damaged":
		return advice{Text: "The source is damaged or incomplete. Its log below names what is missing."}
	case "unwritable":
		return advice{Text: "The destination could not be written: it is full, read-only or locked."}
	case "outcome_unknown":
		return advice{Text: "Compare both sides before you run it again."}
	default:
		return advice{}
	}
}

// stageWords is what a stage is called.
func stageWords(s transfer.Stage) string {
	switch s {
	case transfer.StageSchemas:
		return "Schemas"
	case transfer.StageEntities:
		return "Entities"
	case transfer.StageAssets:
		return "Files"
	case transfer.StageLinks:
		return "Links"
	case transfer.StageConfiguration:
		return "Configuration"
	default:
		return string(s)
	}
}
