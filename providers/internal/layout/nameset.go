package layout

import (
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/transfer-runner/runner/transfer"
)

// nameSet remembers which file names were there, by 64 bits of each: two of a million names meet by chance once in tens of
// millions of exports, and then the second try has another seed.
type nameSet struct {
	seed maphash.Seed
	fold bool
	seen map[uint64]struct{}
}

func newNameSet(fold bool) *nameSet {
	return &nameSet{seed: maphash.MakeSeed(), fold: fold, seen: make(map[uint64]struct{})}
}

// add returns an error if the name was there before.
func (n *nameSet) add(name string) error {
	key := name
	if n.fold {
		key = strings.ToLower(strings.ToUpper(name))
	}
	h := maphash.String(n.seed, key)
	if _, twice := n.seen[h]; twice && n.fold {
		return fmt.Errorf("%w: two files are called %q, apart from upper and lower case; an archive can hold both", transfer.ErrDamaged, shorten(name))
	} else if twice {
		return fmt.Errorf("%w: two files are called %q", transfer.ErrDamaged, shorten(name))
	}
	n.seen[h] = struct{}{}
	return nil
}
