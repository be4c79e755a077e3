package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/transfer-runner/runner/transfer"
)

// byteRate is a flag for bytes a second, such as 5MiB/s.
type byteRate int64

func (r *byteRate) String() string {
	if *r == 0 {
		return ""
	}
	return formatBytes(int64(*r)) + "/s"
}

func (*byteRate) Type() string { return "rate" }

func (r *byteRate) Set(text string) error {
	n, err := parseBytes(strings.TrimSuffix(strings.TrimSpace(text), "/s"))
	if err != nil {
		return fmt.Errorf("%q is not a rate such as 5MiB/s", text)
	}
	*r = byteRate(n)
	return nil
}

// parseBytes reads a positive size: a number and B, k, kB, KiB, M, MB, MiB, G, GB or GiB. Letters alone count in 1024.
func parseBytes(text string) (int64, error) {
	text = strings.TrimSpace(text)
	at := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if at < 0 {
		at = len(text)
	}
	n, err := strconv.ParseFloat(text[:at], 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %q is not a size", transfer.ErrUsage, text)
	}
	var factor float64
	switch strings.ToLower(strings.TrimSpace(text[at:])) {
	case "", "b":
		factor = 1
	case "k", "kib":
		factor = 1 << 10
	case "kb":
		factor = 1e3
	case "m", "mib":
		factor = 1 << 20
	case "mb":
		factor = 1e6
	case "g", "gib":
		factor = 1 << 30
	case "gb":
		factor = 1e9
	default:
		return 0, fmt.Errorf("%w: %q is not a size", transfer.ErrUsage, text)
	}
	if n *= factor; n < 1 || n > math.MaxInt64/2 {
		return 0, fmt.Errorf("%w: %q is out of range", transfer.ErrUsage, text)
	}
	return int64(n), nil
}

// span is a flag for a duration. A bare number is milliseconds, as with Strapi's own options.
type span time.Duration

func (s *span) String() string {
	if *s == 0 {
		return ""
	}
	return time.Duration(*s).String()
}

func (*span) Type() string { return "duration" }

func (s *span) Set(text string) error {
	text = strings.TrimSpace(text)
	if strings.Trim(text, "0123456789") == "" {
		text += "ms"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is not a duration such as 90s or 5m; a bare number is milliseconds", text)
	}
	*s = span(d)
	return nil
}

// formatBytes writes a size for people.
func formatBytes(n int64) string {
	const unit = 1024
	if n < unit {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, exp := float64(n)/unit, 0
	for value >= 999.95 && exp < 4 {
		value /= unit
		exp++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[exp])
}

// formatCount writes a number with groups of thousands.
func formatCount(n int64) string {
	text := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(text) - 3; i > start; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// formatElapsed writes a duration for people: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min.
func formatElapsed(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// plural writes a number with its noun.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return formatCount(n) + " " + many
}

func (s *span) duration() time.Duration { return time.Duration(*s) }
