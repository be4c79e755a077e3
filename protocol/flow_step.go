package protocol

import "fmt"

// stages is a set of stages.
type stages uint8

func (s stages) has(stage Stage) bool { return s&bit(stage) != 0 }

// bit returns the stage's bit, 0 for one that has no stream.
func bit(stage Stage) stages {
	switch stage {
	case StageEntities:
		return 1
	case StageAssets:
		return 2
	case StageLinks:
		return 4
	case StageConfiguration:
		return 8
	case StageSchemas:
		return 16
	default:
		return 0
	}
}

// streams reports whether the stage has a stream.
func (f *Flow) streams(stage Stage) bool {
	return bit(stage) != 0 && (stage != StageSchemas || f.Schemas && f.Direction != Pull)
}

// step handles a step's start, stream or end.
func (f *Flow) step(v Verb, stage Stage) *Error {
	if f.Rules != RulesStrapi && (f.rolledBack || f.closed && f.Direction != Pull || f.closed && f.Rules == RulesClient) {
		return refuse(fmt.Sprintf("%s of %s after %s", v, clip(string(stage), maxID), f.last()))
	}
	if f.Direction == Pull {
		return f.pullStep(v, stage)
	}
	switch v {
	case VerbStart:
		return f.start(stage)
	case VerbStream:
		return f.stream(stage)
	case VerbEnd:
		return f.end(stage)
	default:
		return f.unknown("verb", string(v))
	}
}

func (f *Flow) start(stage Stage) *Error {
	if f.locked {
		return transferError(fmt.Sprintf("It's not possible to start a new transfer stage (%s) while another one is in progress (%s)",
			stage, f.at.name), nil)
	}
	s := step{KindStep, string(stage)}
	if !f.can(s) {
		return invalidStage(string(stage), stage)
	}
	if f.Rules == RulesClient && s == f.at {
		return refuse(fmt.Sprintf("stage %s has ended and may not start again", stage))
	}
	f.at, f.locked = s, true
	switch {
	case f.open.has(stage):
		return plain("Stream already created, something went wrong")
	case !f.streams(stage):
		return plain("Invalid transfer step, impossible to create a stream")
	case !f.bootstrapped:
		return notImported(stage)
	}
	f.open |= bit(stage)
	return nil
}

func (f *Flow) stream(stage Stage) *Error {
	s := step{KindStep, string(stage)}
	switch {
	case f.at.kind == KindStep && !f.locked:
		return transferError(fmt.Sprintf("You need to initialize the transfer stage (%s) before starting to stream data", objectText), nil)
	case !f.can(s):
		return invalidStage(objectText, stage)
	case !f.open.has(stage):
		return plain("You need to init first")
	default:
		return nil
	}
}

// objectText is what JavaScript makes of an object in a text; Strapi writes a step where it means to write the step's stage.
const objectText = "[object Object]"

func (f *Flow) end(stage Stage) *Error {
	s := step{KindStep, string(stage)}
	lone := !f.locked && !f.open.has(stage)
	switch {
	case lone && f.Rules == RulesClient:
		return refuse(fmt.Sprintf("end of stage %s, which has not started", stage))
	case lone && f.Rules == RulesServer && f.can(s) && f.streams(stage):
		// Strapi's client ends every stage, also those that it had nothing for.
		f.at = s
		return nil
	case f.at.kind == KindStep && !f.locked:
		return transferError(fmt.Sprintf("You need to initialize the transfer stage (%s) before ending it", stage), nil)
	case !f.can(s):
		return invalidStage(string(stage), stage)
	case f.Rules != RulesStrapi && f.locked && f.at != s:
		return refuse(fmt.Sprintf("end of stage %s while stage %s is open", stage, f.at.name))
	}
	f.at, f.locked = s, false
	f.open &^= bit(stage)
	return nil
}

func (f *Flow) pullStep(v Verb, stage Stage) *Error {
	switch v {
	case VerbStart:
		return f.pullStart(stage)
	case VerbEnd:
		if f.Rules == RulesClient && !f.open.has(stage) {
			return refuse(fmt.Sprintf("end of stage %s, which has not started", stage))
		}
		f.open &^= bit(stage)
		return nil
	case VerbStream:
		return f.unknown("verb", string(v))
	default:
		return f.unknown("verb", string(v))
	}
}

func (f *Flow) pullStart(stage Stage) *Error {
	switch {
	case f.open.has(stage):
		return plain("Stream already created, something went wrong")
	case !f.streams(stage):
		return plain("Invalid transfer step, impossible to create a stream")
	case !f.bootstrapped:
		return notReady("Not able to stream " + string(stage))
	}
	f.open |= bit(stage)
	return nil
}
