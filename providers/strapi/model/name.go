package model

import (
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const (
	maxName    = 55 // characters of any name in the database
	hashLength = 5
	minToken   = 3 // characters of a token that must be left before its hash
)

// token is a part of a name. Fixed tokens are written as they are, the others are shortened when the name gets too long.
type token struct {
	text  string
	fixed bool
}

func free(text string) token  { return token{text: text} }
func fixed(text string) token { return token{text: text, fixed: true} }

var errLongName = errors.New("too long a name even when it is shortened")

// join makes a name of tokens. The room is shared evenly; what short tokens leave goes to the long ones, a character at a time.
func join(tokens ...token) (string, error) {
	name, room, count := "", maxName+1, 0
	for i, t := range tokens {
		if i > 0 {
			name += "_"
		}
		name += t.text
		room-- // for the separator
		if t.fixed {
			room -= length(t.text)
		} else {
			count++
		}
	}
	if length(name) <= maxName {
		return name, nil
	}
	if count == 0 || room/count < minToken {
		return "", fmt.Errorf("%q: %w", name, errLongName)
	}
	lengths := share(tokens, room, count)
	parts := make([]string, len(tokens))
	for i, t := range tokens {
		parts[i] = t.text
		if !t.fixed && length(t.text) > lengths[i] {
			if lengths[i] < minToken+hashLength {
				return "", fmt.Errorf("%q: %w", name, errLongName)
			}
			parts[i] = cut(t.text, lengths[i]-hashLength) + hash(t.text)
		}
	}
	return strings.Join(parts, "_"), nil
}

// share says how long each of count free tokens may be.
func share(tokens []token, room, count int) []int {
	each, surplus := room/count, room%count
	lengths := make([]int, len(tokens))
	var short []int // tokens that want more
	for i, t := range tokens {
		switch {
		case t.fixed:
		case length(t.text) < each:
			lengths[i] = length(t.text)
			surplus += each - lengths[i]
		default:
			lengths[i] = each
			short = append(short, i)
		}
	}
	for surplus > 0 && len(short) > 0 {
		var next []int
		for _, i := range short {
			if lengths[i] < length(tokens[i].text) && surplus > 0 {
				lengths[i]++
				surplus--
				if lengths[i] < length(tokens[i].text) {
					next = append(next, i)
				}
			}
		}
		short = next
	}
	return lengths
}

func hash(text string) string {
	return hex.EncodeToString(sha3.SumSHAKE256([]byte(text), (hashLength+1)/2))[:hashLength]
}

// length counts as JavaScript does, in UTF-16 units.
func length(text string) int {
	n := 0
	for _, r := range text {
		n += units(r)
	}
	return n
}

// cut returns the first n units of text.
func cut(text string, n int) string {
	for i, r := range text {
		if n -= units(r); n < 0 {
			return text[:i]
		}
	}
	return text
}

func units(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}
