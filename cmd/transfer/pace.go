package main

import "time"

// pace measures speed over a moving window, so that an estimate follows the network instead of the average since the start.
type pace struct {
	samples []mark
}

type mark struct {
	at    time.Time
	value int64
}

const (
	paceWindow = 10 * time.Second
	paceStep   = 250 * time.Millisecond // closer samples replace each other, which bounds their number
)

// add notes that value was reached at a time. Values never fall.
func (p *pace) add(at time.Time, value int64) {
	if n := len(p.samples); n > 1 && at.Sub(p.samples[n-2].at) < paceStep {
		p.samples[n-1] = mark{at, value}
	} else {
		p.samples = append(p.samples, mark{at, value})
	}
	for len(p.samples) > 2 && at.Sub(p.samples[1].at) >= paceWindow {
		p.samples = p.samples[1:]
	}
}

// perSecond is the speed at a time; 0 as long as it cannot be told.
func (p *pace) perSecond(at time.Time) float64 {
	if len(p.samples) < 2 {
		return 0
	}
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	elapsed := at.Sub(first.at).Seconds()
	if elapsed < paceStep.Seconds() {
		return 0
	}
	return float64(last.value-first.value) / elapsed
}

// left estimates how long it takes to reach total; false if that cannot be told.
func (p *pace) left(at time.Time, total int64) (time.Duration, bool) {
	speed := p.perSecond(at)
	if speed <= 0 || len(p.samples) == 0 {
		return 0, false
	}
	missing := total - p.samples[len(p.samples)-1].value
	if missing < 0 {
		return 0, false
	}
	seconds := float64(missing) / speed
	if seconds > (100 * time.Hour).Seconds() {
		return 0, false
	}
	return time.Duration(seconds * float64(time.Second)), true
}
