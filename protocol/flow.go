package protocol

import (
	"fmt"
	"slices"
)

// Rules say how strictly a [Flow] takes the order of a session.
type Rules int

// The rules. All three are the same table of positions; protocol/README.md has them side by side.
const (
	// RulesServer is what a server of ours accepts: all that Strapi's client sends, however it fails, and nothing that would
	// lose content silently.
	RulesServer Rules = iota
	// RulesStrapi is what Strapi's server accepts, even where it should not.
	RulesStrapi
	// RulesClient is what a client may send to any server. Strapi's server hangs, or never answers again, after some of the rest.
	RulesClient
)

// Flow is the order of the messages of one connection, as a state machine without I/O. The zero value is a push under
// [RulesServer] before its init. A client asks it before it sends, a server before it acts.
type Flow struct {
	Rules     Rules
	Direction Direction // Push unless Pull

	// TransferID is the id that the answer to init named. Whoever sees it fills it in; an end with another id is refused.
	TransferID string

	// Schemas says that both sides have agreed on [ExtensionSchemas]. Whoever sees the answer to init sets it, too.
	Schemas bool

	active, bootstrapped, rolledBack, closed, terminal bool

	at     step   // last step that was entered
	locked bool   // at is a stage that has started and not ended
	open   stages // with a stream
}

// step is a place in the order of a push. The zero step is before the first.
type step struct {
	kind Kind // KindAction, or KindStep for a stage
	name string
}

// order returns the steps of a push, first to last. A step may be entered when no later one has been; a stage may also be
// entered again.
func order() [9]step {
	return [...]step{
		{KindAction, string(ActionBootstrap)},
		{KindAction, string(CommandInit)}, // has a place, and is no action that can be sent
		{KindAction, string(ActionBeforeTransfer)},
		{KindStep, string(StageSchemas)},
		{KindStep, string(StageEntities)},
		{KindStep, string(StageAssets)},
		{KindStep, string(StageLinks)},
		{KindStep, string(StageConfiguration)},
		{KindAction, string(ActionClose)},
	}
}

// position returns the step's place in the order, -1 for those that have none.
func (s step) position() int {
	steps := order()
	return slices.Index(steps[:], s)
}

func (f *Flow) can(s step) bool {
	if f.at == (step{}) {
		return true
	}
	ahead := s.position() - f.at.position()
	return ahead > 0 || ahead == 0 && s.kind == KindStep
}

// Terminate notes that a transfer has failed for good: whatever comes is refused from here on.
func (f *Flow) Terminate() { f.terminal = true }

// Terminated reports whether nothing but disconnecting is left.
func (f *Flow) Terminated() bool { return f.terminal }

// Active reports whether a transfer is between its init and its end.
func (f *Flow) Active() bool { return f.active }

// Closed reports whether the transfer's close has come: the push is committed, or rolled back if that came before.
func (f *Flow) Closed() bool { return f.closed }

// Open returns the stage that has started and not ended, "" when there is none.
func (f *Flow) Open() Stage {
	if f.locked {
		return Stage(f.at.name)
	}
	return ""
}

// Streaming reports whether stage has a stream that items can go to.
func (f *Flow) Streaming(stage Stage) bool { return f.open.has(stage) }

// Advance takes the next request. The error is an *[Error] with the text and details that Strapi answers with; where other rules
// than Strapi's refuse it, with a text of our own. As in Strapi, the state may have moved on although the request is refused,
// except under [RulesClient]. A server must ask for authorization before: a refused init does not count.
func (f *Flow) Advance(r Request) error {
	before := *f
	if err := f.advance(r); err != nil {
		if f.Rules == RulesClient {
			*f = before // what is refused here is never sent
		}
		return err
	}
	return nil
}

func (f *Flow) advance(r Request) *Error {
	if f.terminal {
		return transferError(MessageTerminated, nil)
	}
	switch r.Type {
	case TypeCommand:
		return f.command(r)
	case TypeTransfer:
	default:
		return plain("Bad Request")
	}
	if !f.active {
		return f.inactive(r)
	}
	switch r.Kind {
	case KindAction:
		return f.action(r.Action)
	case KindStep:
		return f.step(r.Verb, r.Stage)
	default:
		return f.unknown("kind", string(r.Kind))
	}
}

func (f *Flow) command(r Request) *Error {
	switch r.Command {
	case CommandStatus:
		return nil
	case CommandInit:
		if f.active {
			return plain(MessageInProgress)
		}
		*f = Flow{Rules: f.Rules, Direction: f.Direction, active: true}
		return nil
	case CommandEnd:
		if id := ParseEndParams(r.Params).TransferID; id != f.TransferID {
			return transferError("Bad transfer ID provided", nil)
		}
		if f.Rules == RulesClient && f.active && !f.closed {
			return refuse("end may come only after close: a server may keep its transaction open for ever")
		}
		*f = Flow{Rules: f.Rules, Direction: f.Direction}
		return nil
	default:
		return plain("Invalid transfer command")
	}
}

// inactive handles what comes without an init. Strapi's client sends rollback and close after an init that failed, and waits
// minutes for the answers.
func (f *Flow) inactive(r Request) *Error {
	if f.Rules == RulesServer && r.Kind == KindAction && (r.Action == ActionRollback || r.Action == ActionClose) {
		return nil
	}
	return plain(MessageNoTransfer)
}

func (f *Flow) action(a Action) *Error {
	valid := actions(f.Direction)
	if !slices.Contains(valid, a) {
		return invalidAction(a, len(valid))
	}
	if f.Direction == Pull {
		return f.pullAction(a)
	}
	if err := f.mayAct(a); err != nil {
		return err
	}
	s := step{KindAction, string(a)}
	if s.position() >= 0 {
		if a == ActionClose && f.closed && f.Rules == RulesServer {
			return nil
		}
		if !f.can(s) {
			return transferError(fmt.Sprintf("Invalid action %q found for the current flow ", a), details("action", string(a)))
		}
		f.at, f.locked = s, false
	}
	return f.act(a)
}

// act does what an action does to the state.
func (f *Flow) act(a Action) *Error {
	if !f.bootstrapped {
		switch a {
		case ActionGetMetadata, ActionGetSchemas:
			return notReady("Not able to get Schemas")
		case ActionBeforeTransfer:
			return plain("Strapi instance not found")
		case ActionBootstrap, ActionRollback, ActionClose:
		}
	}
	switch a {
	case ActionBootstrap:
		f.bootstrapped = true
	case ActionRollback:
		f.rolledBack = true
		f.open, f.locked = 0, false
	case ActionClose:
		f.closed = true
		f.open, f.locked = 0, false
	case ActionGetMetadata, ActionGetSchemas, ActionBeforeTransfer:
	}
	return nil
}

// mayAct refuses what Strapi takes and is the worse for.
func (f *Flow) mayAct(a Action) *Error {
	if f.Rules == RulesStrapi {
		return nil
	}
	client := f.Rules == RulesClient
	switch {
	case a == ActionRollback && f.rolledBack && client:
		return refuse("rollback may come only once")
	case a == ActionRollback && f.closed && client:
		return refuse("rollback after close is too late")
	case a == ActionRollback:
		return nil
	case a == ActionClose && f.locked && !f.rolledBack:
		return refuse(fmt.Sprintf("close while stage %s is open would commit a part of it", f.at.name))
	case a == ActionClose:
		return nil
	case f.rolledBack || f.closed && client:
		return refuse(fmt.Sprintf("%s after %s", a, f.last()))
	default:
		return nil
	}
}

// last names the action that ended the transfer.
func (f *Flow) last() Action {
	if f.closed {
		return ActionClose
	}
	return ActionRollback
}

func (f *Flow) pullAction(a Action) *Error {
	if f.Rules == RulesClient && f.closed {
		return refuse(fmt.Sprintf("%s after close", a))
	}
	switch a {
	case ActionBootstrap:
		f.bootstrapped = true
	case ActionClose:
		f.closed = true
	case ActionGetMetadata:
		if !f.bootstrapped {
			return notReady("")
		}
	case ActionGetSchemas:
		if !f.bootstrapped {
			return notReady("Not able to get Schemas")
		}
	case ActionBeforeTransfer, ActionRollback: // not valid on pull
	}
	return nil
}

// actions returns the actions that a direction has.
func actions(d Direction) []Action {
	if d == Pull {
		return []Action{ActionBootstrap, ActionClose, ActionGetMetadata, ActionGetSchemas}
	}
	return []Action{
		ActionBootstrap, ActionClose, ActionRollback, ActionBeforeTransfer, ActionGetMetadata, ActionGetSchemas,
	}
}

// unknown handles a kind or verb that does not exist. Strapi answers null.
func (f *Flow) unknown(what, name string) *Error {
	if f.Rules == RulesClient {
		return refuse(fmt.Sprintf("unknown %s %q", what, clip(name, maxID)))
	}
	return nil
}
