package rows

import (
	"crypto/rand"

	"github.com/go-json-experiment/json/jsontext"
)

// quote returns text as a JSON string.
func quote(text string) string {
	out, err := jsontext.AppendQuote(nil, text)
	if err != nil { // invalid UTF-8, of which the valid part is written
		out, _ = jsontext.AppendQuote(nil, string([]rune(text)))
	}
	return string(out)
}

// quoteTwice returns text as a JSON string that holds a JSON string, which is what Strapi reads as text from a JSON column.
func quoteTwice(text string) string { return quote(quote(text)) }

// NewDocumentID returns an id such as Strapi makes for a document: 24 lower-case letters and digits, a letter first.
func NewDocumentID() string {
	const letters, all = 26, 36
	const alphabet = "abcdefghijklmnopqrstuvwxyz0123456789"
	out := make([]byte, 0, 24)
	var random [64]byte
	for len(out) < cap(out) {
		_, _ = rand.Read(random[:]) // never fails
		for _, b := range random {
			n := all
			if len(out) == 0 {
				n = letters
			}
			if int(b) < 256/n*n && len(out) < cap(out) {
				out = append(out, alphabet[int(b)%n])
			}
		}
	}
	return string(out)
}
