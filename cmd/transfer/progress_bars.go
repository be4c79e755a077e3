package main

import (
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/transfer-runner/runner/transfer"
)

// bars shows one bar a stage on a terminal.
type bars struct {
	console *console
	out     io.Writer
	now     func() time.Time
	options []mpb.ContainerOption // for tests, whose output is no terminal

	container *mpb.Progress
	bar       *mpb.Bar
	view      *stageView
}

func (b *bars) observe(task string, e transfer.Event) {
	switch e.Kind {
	case transfer.EventPhase:
		b.console.say("%s", titled(task, e.Item))
	case transfer.EventStageStarted:
		b.start(titled(task, string(e.Stage)), e)
	case transfer.EventStageProgress, transfer.EventStageFinished:
		if b.bar == nil {
			return
		}
		b.view.update(e)
		b.show(e.Kind == transfer.EventStageFinished)
	case transfer.EventNote:
		if e.Note != nil {
			b.console.say("%s", noteLine(*e.Note))
		}
	}
}

func (b *bars) start(title string, e transfer.Event) {
	if b.container == nil {
		b.container = mpb.New(append([]mpb.ContainerOption{mpb.WithOutput(b.out)}, b.options...)...)
		b.console.through(b.container)
	}
	b.drop()
	view := &stageView{name: string(e.Stage)}
	view.update(e)
	b.view = view
	b.bar = b.container.New(0, mpb.BarStyle().Lbound("").Rbound("").Filler("━").Tip("━").Padding("─"),
		mpb.PrependDecorators(decor.Name(title, decor.WC{W: 15, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return " " + view.text(b.now()) })),
		mpb.BarWidth(24),
	)
}

// show moves the bar to where the stage is. A bar without a total stays empty.
func (b *bars) show(finished bool) {
	current, total := b.view.amount()
	if finished {
		current = max(current, 1)
		b.bar.SetTotal(current, false)
		b.bar.SetCurrent(current)
		b.bar.SetTotal(current, true)
		b.bar = nil
		return
	}
	if total > current {
		b.bar.SetTotal(total, false)
		b.bar.SetCurrent(current)
	}
}

// drop leaves the bar of a stage that did not end where it is.
func (b *bars) drop() {
	if b.bar != nil {
		b.bar.Abort(false)
		b.bar = nil
	}
}

func (b *bars) stop() {
	if b.container == nil {
		return
	}
	b.drop()
	b.console.through(nil)
	b.container.Wait()
	b.container = nil
}
