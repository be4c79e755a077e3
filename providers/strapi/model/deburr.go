package model

import "strings"

// accented lists the Latin letters that lodash strips of their accents, behind the letter that it leaves of them.
const accented = "AÀÁÂÃÄÅĀĂĄ CÇĆĈĊČ DÐĎĐ EÈÉÊËĒĔĖĘĚ GĜĞĠĢ HĤĦ IÌÍÎÏĨĪĬĮİ JĴ KĶ LĹĻĽĿŁ NÑŃŅŇŊ OÒÓÔÕÖØŌŎŐ RŔŖŘ SŚŜŞŠ TŢŤŦ UÙÚÛÜŨŪŬŮŰŲ WŴ YÝŶŸ ZŹŻŽ " +
	"aàáâãäåāăą cçćĉċč dðďđ eèéêëēĕėęě gĝğġģ hĥħ iìíîïĩīĭįı jĵ kķĸ lĺļľŀł nñńņňŉŋ oòóôõöøōŏő rŕŗř sśŝşšſ tţťŧ uùúûüũūŭůűų wŵ yýÿŷ zźżž"

// deburr strips Latin letters of their accents, and text of combining marks.
func deburr(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0 {
		return s
	}
	s = strings.NewReplacer("Æ", "Ae", "Þ", "Th", "ß", "ss", "æ", "ae", "þ", "th", "Ĳ", "IJ", "ĳ", "ij", "Œ", "Oe", "œ", "oe").Replace(s)
	return strings.Map(func(r rune) rune {
		if r < 0xc0 {
			return r
		}
		if isCombining(r) {
			return -1
		}
		if at := strings.IndexRune(accented, r); at >= 0 {
			return rune(accented[strings.LastIndexByte(accented[:at], ' ')+1])
		}
		return r
	}, s)
}

func isCombining(r rune) bool {
	return r >= 0x300 && r <= 0x36f || r >= 0xfe20 && r <= 0xfe2f || r >= 0x20d0 && r <= 0x20ff
}
