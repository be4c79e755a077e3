package main

import (
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// plainLines shows progress in lines: for logs, pipes and terminals that cannot draw.
type plainLines struct {
	console *console
	now     func() time.Time
	every   time.Duration

	view *stageView
	last time.Time
}

func (p *plainLines) observe(task string, e transfer.Event) {
	switch e.Kind {
	case transfer.EventPhase:
		p.console.say("%s", titled(task, e.Item))
	case transfer.EventStageStarted:
		p.view, p.last = &stageView{name: string(e.Stage)}, e.Time
		p.view.update(e)
	case transfer.EventStageProgress:
		if p.view == nil {
			return
		}
		p.view.update(e)
		if e.Time.Sub(p.last) >= p.every {
			p.last = e.Time
			p.console.say("%-14s %s", titled(task, p.view.name), p.view.text(e.Time))
		}
	case transfer.EventStageFinished:
		if p.view == nil {
			return
		}
		p.view.update(e)
		p.console.say("%-14s %s", titled(task, p.view.name), p.view.text(e.Time))
		p.view = nil
	case transfer.EventNote:
		if e.Note != nil {
			p.console.say("%s", noteLine(*e.Note))
		}
	}
}

func (*plainLines) stop() {}
