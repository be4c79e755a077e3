package model

import "strings"

// snake writes a name in snake case as lodash does, whose words are not what one would expect: digits are words of their own
// unless they form an English ordinal, and of a run of capitals the last belongs to the small letters after it.
func snake(name string) string {
	text := []rune(strings.NewReplacer("'", "", "\u2019", "").Replace(deburr(name)))
	var words []string
	for i := 0; i < len(text); {
		n := word(text[i:])
		if n == 0 {
			i++
			continue
		}
		words = append(words, strings.ToLower(string(text[i:i+n])))
		i += n
	}
	return strings.Join(words, "_")
}

// word returns the length of the word that text begins with, 0 when it begins with none. The cases are in the order in which
// lodash tries them.
func word(text []rune) int {
	capital := boolean(isUpper(text[0]))
	if n := capital + run(text[capital:], isLower); n > capital && (n == len(text) || isBreak(text[n]) || isUpper(text[n])) {
		return n
	}
	for n := run(text, isUpperOrOther); n > 0; n-- {
		if n == len(text) || isBreak(text[n]) || isUpper(text[n]) && n+1 < len(text) && isLowerOrOther(text[n+1]) {
			return n
		}
	}
	if n := run(text[capital:], isLowerOrOther); n > 0 {
		return capital + n
	}
	if n := run(text, isUpper); n > 0 {
		return n
	}
	digits := run(text, isDigit)
	if digits == 0 {
		return boolean(isSymbol(text[0]))
	}
	if ordinal(text[digits-1], text[digits:]) {
		return digits + 2
	}
	return digits
}

// ordinal reports whether rest, which follows a number with the given last digit, makes an ordinal of it.
func ordinal(last rune, rest []rune) bool {
	if len(rest) < 2 {
		return false
	}
	suffix, ends := "th", func(r rune) bool { return !isWord(r) || isUpper(r) || r == '_' }
	switch last {
	case '1':
		suffix = "st"
	case '2':
		suffix = "nd"
	case '3':
		suffix = "rd"
	}
	got := string(rest[:2])
	if got == strings.ToUpper(suffix) {
		suffix, ends = got, func(r rune) bool { return !isWord(r) || isLower(r) || r == '_' }
	}
	return got == suffix && (len(rest) == 2 || ends(rest[2]))
}

func run(text []rune, is func(rune) bool) int {
	for i, r := range text {
		if !is(r) {
			return i
		}
	}
	return len(text)
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func isLower(r rune) bool { return r >= 'a' && r <= 'z' }
func isUpper(r rune) bool { return r >= 'A' && r <= 'Z' }
func isDigit(r rune) bool { return r >= '0' && r <= '9' }
func isWord(r rune) bool  { return isLower(r) || isUpper(r) || isDigit(r) || r == '_' }

// isSymbol reports a character that is a word by itself.
func isSymbol(r rune) bool { return r >= 0x2700 && r <= 0x27bf || r > 0xffff }

// isBreak reports a character that belongs to no word.
func isBreak(r rune) bool {
	switch {
	case r < 0xc0:
		return !isLower(r) && !isUpper(r) && !isDigit(r)
	case r == 0xd7, r == 0xf7, r == 0x1680, r == 0x180e, r >= 0x2000 && r <= 0x206f, r == 0x3000, r == 0xfeff:
		return true
	}
	return false
}

// isOther reports a letter of a script that has no accents to strip.
func isOther(r rune) bool {
	return r >= 0xc0 && !isBreak(r) && !isSymbol(r)
}

func isLowerOrOther(r rune) bool { return isLower(r) || isOther(r) }
func isUpperOrOther(r rune) bool { return isUpper(r) || isOther(r) }

// Camel writes a name in camel case as lodash does.
func Camel(name string) string {
	words := strings.Split(snake(name), "_")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}
