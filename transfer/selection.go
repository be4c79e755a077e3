package transfer

// excludesLink reports whether the filter leaves the link out because of the types on its sides. Components are no content types:
// they come and go with the rows that hold them.
func (f Filter) excludesLink(l Link) bool {
	return f.excludesEnd(l.Left.Type) || f.excludesEnd(l.Right.Type)
}

func (f Filter) excludesEnd(uid string) bool {
	if Protected(uid) {
		return true
	}
	return f.partial() && isContentType(uid) && !f.HasType(uid)
}

// isContentType tells content types from components by their uids: only the former have a "::".
func isContentType(uid string) bool {
	for i := 1; i < len(uid); i++ {
		if uid[i] == ':' && uid[i-1] == ':' {
			return true
		}
	}
	return false
}
