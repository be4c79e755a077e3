package jobs

import (
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// shareOf is the progress at which a step begins, of 100. Entities and files take nearly all of the time.
func shareOf(step Step) float64 {
	switch step {
	case StepCreated:
		return 0
	case StepConnecting:
		return 1
	case StepChecking:
		return 3
	case StepSchemas:
		return 5
	case StepEntities:
		return 7
	case StepAssets:
		return 45
	case StepLinks:
		return 85
	case StepConfiguration:
		return 95
	case StepCompleted:
		return 100
	default:
		return 0
	}
}

// stepAfter is the step whose share ends that of a stage.
func stepAfter(stage transfer.Stage) Step {
	steps := Steps()
	for i, s := range steps {
		if s == Step(stage) && i+1 < len(steps) {
			return steps[i+1]
		}
	}
	return StepCompleted
}

// almost is what is left for the commit: only a job that has completed is at 100.
const almost = 99

// advance moves the job's progress, never back.
func (j *Job) advance(to float64) {
	j.Progress = max(j.Progress, min(to, almost))
}

// stepOf is the step of a phase, as the engine calls them.
func stepOf(phase string) Step {
	switch {
	case strings.HasPrefix(phase, "connecting"):
		return StepConnecting
	case strings.HasPrefix(phase, "checking"):
		return StepChecking
	default:
		return ""
	}
}

// observe takes over an event of the engine. It reports whether the step has changed.
func (j *Job) observe(e transfer.Event) (changed bool) {
	switch e.Kind {
	case transfer.EventPhase:
		j.Phase = e.Item
		if step := stepOf(e.Item); step != "" && j.Step != step {
			j.Step = step
			j.advance(shareOf(step))
			return true
		}
		return false
	case transfer.EventStageStarted, transfer.EventStageProgress, transfer.EventStageFinished:
		s, began := j.stage(e.Stage)
		if began {
			s.Started = e.Time
			j.Step, j.Phase = Step(e.Stage), ""
			j.advance(shareOf(j.Step))
		}
		s.take(e)
		j.advance(shareOf(Step(e.Stage)) + s.fraction()*(shareOf(stepAfter(e.Stage))-shareOf(Step(e.Stage))))
		return began
	case transfer.EventNote:
	}
	return false
}

// stage is the job's account of a stage, which is made if there is none. Stages that come again, such as those of a client that starts
// anew on one connection, go on.
func (j *Job) stage(name transfer.Stage) (s *Stage, began bool) {
	for i := range j.Stages {
		if j.Stages[i].Stage == name {
			return &j.Stages[i], false
		}
	}
	j.Stages = append(j.Stages, Stage{Stage: name})
	return &j.Stages[len(j.Stages)-1], true
}

func (s *Stage) take(e transfer.Event) {
	s.Items, s.Bytes = max(s.Items, e.Records), max(s.Bytes, e.Bytes)
	if e.Total != nil {
		s.TotalItems, s.TotalBytes = e.Total.Records, e.Total.Bytes
	}
	s.Item = e.Item
	if e.Kind == transfer.EventStageFinished {
		s.Finished, s.Item, s.ETA = e.Time, "", nil
		if seconds := e.Time.Sub(s.Started).Seconds(); seconds > 0 {
			s.Rate, s.ItemRate = float64(s.Bytes)/seconds, float64(s.Items)/seconds
		}
	}
}

// fraction is how much of the stage is done.
func (s *Stage) fraction() float64 {
	switch {
	case !s.Finished.IsZero():
		return 1
	case s.Stage == transfer.StageAssets && s.TotalBytes > 0:
		return min(1, float64(s.Bytes)/float64(s.TotalBytes))
	case s.TotalItems > 0:
		return min(1, float64(s.Items)/float64(s.TotalItems))
	default:
		// Nobody knows how much is to come. What has come moves the bar on all the same, ever less, and never to the end.
		return 0.9 * float64(s.Items) / (float64(s.Items) + unknownTotal)
	}
}

// unknownTotal is the number of items that half of the way is taken for, where the total is not known.
const unknownTotal = 1000

// pace turns counts into rates that do not jump.
type pace struct {
	at    time.Time // monotonic
	stage transfer.Stage
	items int64
	bytes int64
	begun time.Time
}

const (
	paceEvery  = 500 * time.Millisecond
	paceMemory = 5.0 // seconds over which a rate is an average, roughly
	etaAfter   = 2 * time.Second
)

// update sets the rates of the stage that is under way.
func (p *pace) update(j *Job, now time.Time) {
	if len(j.Stages) == 0 {
		return
	}
	s := &j.Stages[len(j.Stages)-1]
	if !s.Finished.IsZero() {
		return
	}
	if p.stage != s.Stage {
		*p = pace{at: now, stage: s.Stage, begun: now}
		return
	}
	seconds := now.Sub(p.at).Seconds()
	if seconds < paceEvery.Seconds() {
		return
	}
	weight := min(1, seconds/paceMemory)
	if now.Sub(p.begun) < etaAfter || s.Rate == 0 && s.ItemRate == 0 {
		weight = 1
	}
	s.Rate += weight * (float64(s.Bytes-p.bytes)/seconds - s.Rate)
	s.ItemRate += weight * (float64(s.Items-p.items)/seconds - s.ItemRate)
	p.at, p.items, p.bytes = now, s.Items, s.Bytes
	s.ETA = nil
	if now.Sub(p.begun) < etaAfter {
		return
	}
	switch {
	case s.TotalBytes > s.Bytes && s.Rate > 0 && s.Stage == transfer.StageAssets:
		eta := float64(s.TotalBytes-s.Bytes) / s.Rate
		s.ETA = &eta
	case s.TotalItems > s.Items && s.ItemRate > 0:
		eta := float64(s.TotalItems-s.Items) / s.ItemRate
		s.ETA = &eta
	}
}
