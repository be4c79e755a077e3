package rows

import (
	"iter"
	"math"
	"math/bits"
)

// pageBits is how many ids one page of a [Set] holds.
const pageBits = 4096

// Set is a set of ids. Ids are dense, so it takes little more than a bit for each.
type Set struct {
	pages map[int64]*[pageBits / 64]uint64
	at    int64 // the number of the page in last
	last  *[pageBits / 64]uint64
	n     int64
}

// Add adds an id and reports whether it was not there.
func (s *Set) Add(id int64) bool {
	page := s.page(id, true)
	word, bit := &page[uint64(id)%pageBits/64], uint64(1)<<(uint64(id)%64) //nolint:gosec // the bits are what counts
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	s.n++
	return true
}

// Has reports whether the id is there.
func (s *Set) Has(id int64) bool {
	page := s.page(id, false)
	return page != nil && page[uint64(id)%pageBits/64]&(1<<(uint64(id)%64)) != 0 //nolint:gosec // the bits are what counts
}

// Len returns the number of ids.
func (s *Set) Len() int64 { return s.n }

func (s *Set) page(id int64, create bool) *[pageBits / 64]uint64 {
	number := id >> 12
	if s.last != nil && s.at == number {
		return s.last
	}
	page := s.pages[number]
	if page == nil {
		if !create {
			return nil
		}
		if s.pages == nil {
			s.pages = make(map[int64]*[pageBits / 64]uint64)
		}
		page = new([pageBits / 64]uint64)
		s.pages[number] = page
	}
	s.at, s.last = number, page
	return page
}

// IDs gives rows of one table their ids. A row keeps the id that it had at the source if the table was emptied; where rows stay
// behind, all ids are moved beyond theirs. Only what does not fit in there is remembered one by one.
type IDs struct {
	offset int64
	taken  Set             // ids at the destination
	seen   Set             // ids of the source
	moved  map[int64]int64 // source to destination, where it is not the offset
	top    int64           // the highest id, theirs and ours
}

// maxID is the highest id that every database's column takes.
const maxID = math.MaxInt32

// Keep says that rows up to this id stay in the table. It comes before the first Assign.
func (s *IDs) Keep(top int64) {
	s.offset, s.top = max(s.offset, top), max(s.top, top)
}

// Assign gives the row with this id at the source its id. A second row with the same id gets one of its own, which is the one
// that counts from then on.
func (s *IDs) Assign(old int64) int64 {
	id := old + s.offset
	if old <= 0 || id > maxID || !s.taken.Add(id) {
		id = s.free()
		s.move(old, id)
	} else if s.moved != nil {
		delete(s.moved, old)
	}
	s.seen.Add(old)
	s.top = max(s.top, id)
	return id
}

// New gives an id to a row that had none.
func (s *IDs) New() int64 {
	id := s.free()
	s.top = max(s.top, id)
	return id
}

// Alias says that a row of the source is one that the destination has.
func (s *IDs) Alias(old, id int64) {
	s.seen.Add(old)
	if id != old+s.offset {
		s.move(old, id)
	}
}

// Take says that a row of the destination has this id and keeps it. It comes before the first Assign.
func (s *IDs) Take(id int64) {
	s.taken.Add(id)
	s.top = max(s.top, id)
}

func (s *IDs) move(old, id int64) {
	if s.moved == nil {
		s.moved = make(map[int64]int64)
	}
	s.moved[old] = id
}

// headroom is left for the ids that are still to come, which shall not meet those that were given away.
const headroom = 1 << 20

func (s *IDs) free() int64 {
	id := s.top + 1
	if len(s.moved) == 0 && id+headroom < maxID {
		id += headroom
	}
	for !s.taken.Add(id) {
		id++
	}
	return id
}

// Of returns the id that a row of the source got.
func (s *IDs) Of(old int64) (int64, bool) {
	if !s.seen.Has(old) {
		return 0, false
	}
	if id, ok := s.moved[old]; ok {
		return id, true
	}
	return old + s.offset, true
}

// Top returns the highest id of the table.
func (s *IDs) Top() int64 { return s.top }

// All yields the ids in no order.
func (s *Set) All() iter.Seq[int64] {
	return func(yield func(int64) bool) {
		for number, page := range s.pages {
			for i, word := range page {
				for ; word != 0; word &= word - 1 {
					if !yield(number*pageBits + int64(i*64+bits.TrailingZeros64(word))) {
						return
					}
				}
			}
		}
	}
}
