package socketio

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// past is what a namespace remembers: events, and clients that may come back to them. The lock of the namespace guards it.
type past struct {
	boot string
	keep time.Duration // zero remembers nothing

	next   uint64 // number of the next event
	events []bygone
	bytes  int
	lost   map[string]former // by pid
	order  []string          // pids, oldest first
}

// bygone is an event and who got it.
type bygone struct {
	number uint64
	at     time.Time
	target target
	frames []*frame
}

// former is a socket that has lost its connection.
type former struct {
	id    string
	rooms []string
	data  any
	at    time.Time
}

// offset returns the name by which the next event will be known. That of another server, or of this one before it was started
// again, is not taken for it.
func (p *past) offset() string { return p.boot + "-" + strconv.FormatUint(p.next, 36) }

// number is the opposite of offset, for events that are still remembered.
func (p *past) number(offset string) (uint64, bool) {
	digits, ok := strings.CutPrefix(offset, p.boot+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 36, 64)
	if err != nil || len(p.events) == 0 || n < p.events[0].number || n >= p.next {
		return 0, false
	}
	return n, true
}

// remember keeps an event that goes by the current offset.
func (p *past) remember(t target, frames []*frame, now time.Time) {
	size := 0
	for _, f := range frames {
		size += len(f.data)
	}
	p.events = append(p.events, bygone{number: p.next, at: now, target: t, frames: frames})
	p.bytes += size
	p.next++
	drop := 0
	for drop < len(p.events)-1 && (now.Sub(p.events[drop].at) > p.keep || len(p.events)-drop > maxRemembered || p.bytes > maxRememberedBytes) {
		for _, f := range p.events[drop].frames {
			p.bytes -= len(f.data)
		}
		drop++
	}
	p.events = slices.Delete(p.events, 0, drop)
}

// lose keeps the state of a socket.
func (p *past) lose(s *Socket, now time.Time) {
	if p.lost == nil {
		p.lost = make(map[string]former)
	}
	for len(p.order) > 0 && (len(p.order) >= maxLost || p.stale(p.order[0], now)) {
		delete(p.lost, p.order[0])
		p.order = p.order[1:]
	}
	p.lost[s.pid] = former{id: s.id, rooms: slices.Clone(s.rooms), data: s.data, at: now}
	p.order = append(p.order, s.pid)
}

func (p *past) stale(pid string, now time.Time) bool {
	f, ok := p.lost[pid]
	return !ok || now.Sub(f.at) > p.keep
}

// find returns a socket that may come back, and was last told of the event at offset.
func (p *past) find(pid, offset string, now time.Time) (former, bool) {
	f, ok := p.lost[pid]
	if !ok || p.stale(pid, now) {
		return former{}, false
	}
	_, ok = p.number(offset)
	return f, ok
}

func (p *past) forget(pid string) { delete(p.lost, pid) }

// after returns the events after offset that were for whom within says.
func (p *past) after(offset string, within func(target) bool) [][]*frame {
	n, ok := p.number(offset)
	if !ok {
		return nil
	}
	var missed [][]*frame
	for _, e := range p.events[n-p.events[0].number+1:] {
		if within(e.target) {
			missed = append(missed, e.frames)
		}
	}
	return missed
}
