package protocol

import (
	"encoding/json"
	"iter"
)

// Items yields the elements of the data of a stream message or of a frame, as parts of it, byte for byte. What is not an array
// counts as one item, null and nothing at all as none: so do Strapi's readers. The text of each item is checked before it is
// yielded; the sequence ends after an error, which wraps [ErrMalformed].
func Items(data json.RawMessage) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		s, err := newScanner(data, MaxMessage)
		if err != nil {
			yield(nil, err)
			return
		}
		s.items(yield)
	}
}

func (s *scanner) items(yield func(json.RawMessage, error) bool) {
	if s.pos == len(s.text) {
		return
	}
	if s.peek() != '[' {
		item, err := s.value()
		if err == nil {
			err = s.end()
		}
		if err != nil {
			item = nil
		}
		if err != nil || string(item) != "null" {
			yield(item, err)
		}
		return
	}
	stopped := false
	err := s.array(func() error {
		item, err := s.value()
		if err != nil {
			return err
		}
		if !yield(item, nil) {
			stopped = true
			return errStopped
		}
		return nil
	})
	if stopped {
		return
	}
	if err == nil {
		err = s.end()
	}
	if err != nil {
		yield(nil, err)
	}
}
