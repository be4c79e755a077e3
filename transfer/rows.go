package transfer

// rowSet remembers which rows a transfer carries, so that links can be told from orphans. Row ids are small and dense, so each
// type costs about a bit per row.
type rowSet map[string]map[int64]uint64

func (s rowSet) add(uid string, ref Ref) {
	id, ok := ref.Int()
	if !ok {
		return
	}
	words := s[uid]
	if words == nil {
		words = make(map[int64]uint64)
		s[uid] = words
	}
	words[id>>6] |= 1 << (id & 63)
}

// has reports whether the row is there. A documentId stands for rows in several locales and states; destinations keep it as it
// is, so it always counts as there.
func (s rowSet) has(uid string, ref Ref) bool {
	id, ok := ref.Int()
	return !ok || s[uid][id>>6]&(1<<(id&63)) != 0
}
