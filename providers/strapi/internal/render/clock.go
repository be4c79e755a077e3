package render

import "time"

// clock turns wall clock time into instants. It remembers the offset of the last one: rows written together share theirs.
type clock struct {
	from, until int64 // wall clock seconds between which offset is known to hold
	offset      int64
}

const day = 24 * 60 * 60

// instant returns the instant at which the clocks of zone show wall, which counts seconds as if they were in UTC. Of two such
// instants, when the clocks are put back, it is the first; a time that the clocks skip is read as if they had not. So does
// JavaScript.
func (c *clock) instant(wall int64, zone *time.Location) int64 {
	if zone == nil {
		zone = time.Local
	}
	if zone == time.UTC {
		return wall
	}
	if wall >= c.from && wall < c.until {
		return wall - c.offset
	}
	before, after := offsetAt(wall-day, zone), offsetAt(wall+day, zone)
	if before == after {
		c.from, c.until, c.offset = wall-day/2, wall+day/2, before
		if offsetAt(wall-day/2-before, zone) != before || offsetAt(wall+day/2-before, zone) != before {
			c.until = c.from
		}
		return wall - before
	}
	if offsetAt(wall-before, zone) == before || offsetAt(wall-after, zone) != after {
		return wall - before
	}
	return wall - after
}

func offsetAt(seconds int64, zone *time.Location) int64 {
	_, offset := time.Unix(seconds, 0).In(zone).Zone()
	return int64(offset)
}
