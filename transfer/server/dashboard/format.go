package dashboard

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// functions are what templates can call.
func (d *dashboard) functions() template.FuncMap {
	return template.FuncMap{
		"asset": d.path,
		"icon":  icon,
		"bytes": bytesText,
		"count": countText,
		"rate":  rateText,
		"span":  spanText,
		"ago":   func(t time.Time) template.HTML { return moment(t, d.Now()) },
		"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
		"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"plural": func(n any, one, many string) string {
			return pluralText(number(n), one, many)
		},
		"int64": func(n int) int64 { return int64(n) },
		"words": func(text string) []string { return strings.Split(text, " ") },
		"join":  strings.Join,
		"short": func(id any) string { return short(fmt.Sprint(id)) },
		"add":   func(a, b int) int { return a + b },
	}
}

func number(n any) int64 {
	switch n := n.(type) {
	case int:
		return int64(n)
	case int64:
		return n
	default:
		return 0
	}
}

// bytesText writes a size.
func bytesText(n int64) string {
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

// countText writes a number with groups of thousands, which do not break.
func countText(n int64) string {
	text := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(text) - 3; i > start; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

// rateText writes bytes a second; nothing when nothing moves.
func rateText(n float64) string {
	if n < 1 || math.IsNaN(n) || math.IsInf(n, 0) {
		return ""
	}
	return bytesText(int64(n)) + "/s"
}

// spanText writes a duration.
func spanText(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return "< 1 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}

func pluralText(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return countText(n) + " " + many
}

// short is what of an id is enough for people: the end, because the beginning of ours is the time.
func short(id string) string {
	if len(id) <= 8 {
		return id
	}
	return id[len(id)-8:]
}

// moment writes a time as its distance, with the exact one beside it. The script keeps the distance up to date.
func moment(t, now time.Time) template.HTML {
	if t.IsZero() {
		return ""
	}
	t = t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, //nolint:gosec // numbers and our own words
		t.Format(time.RFC3339), t.Format("2006-01-02 15:04:05 UTC"), distance(t, now)))
}

func distance(t, now time.Time) string {
	d, form := now.Sub(t), "%s ago"
	if d < 0 {
		d, form = -d, "in %s"
	}
	switch {
	case d < 5*time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf(form, fmt.Sprintf("%d s", int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf(form, fmt.Sprintf("%d min", int(d.Minutes())))
	case d < 24*time.Hour:
		return fmt.Sprintf(form, fmt.Sprintf("%d h", int(d.Hours())))
	case d < 14*24*time.Hour:
		return fmt.Sprintf(form, pluralText(int64(d.Hours()/24), "day", "days"))
	default:
		return t.Format(time.DateOnly)
	}
}

// icon draws one of a few pictures.
func icon(name string) template.HTML {
	var paths string
	switch name {
	case "jobs":
		paths = `<path d="M4 6h16M4 12h10M4 18h13"/>`
	case "sites":
		paths = `<ellipse cx="12" cy="6" rx="7" ry="3"/><path d="M5 6v12c0 1.7 3.1 3 7 3s7-1.3 7-3V6M5 12c0 1.7 3.1 3 7 3s7-1.3 7-3"/>`
	case "remotes":
		paths = `<circle cx="12" cy="12" r="9"/><path d="M3 12h18M12 3c2.5 2.6 3.8 5.6 3.8 9S14.5 18.4 12 21c-2.5-2.6-3.8-5.6-3.8-9S9.5 5.6 12 3z"/>`
	case "schedules":
		paths = `<circle cx="12" cy="12" r="9"/><path d="M12 7v5l3.5 2"/>`
	case "tokens":
		paths = `<circle cx="8" cy="15" r="4"/><path d="M11 12l9-9M16.5 6.500l3 3"/>`
	case "server":
		paths = `<path d="M3 12h4l3-8 4 16 3-8h4"/>`
	case "start":
		paths = `<path d="M12 5v14M5 12h14"/>`
	case "arrow":
		paths = `<path d="M5 12h14M13 6l6 6-6 6"/>`
	case "copy":
		paths = `<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15V6a2 2 0 0 1 2-2h9"/>`
	}
	return template.HTML(`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">` + paths + `</svg>`) //nolint:gosec // ours
}
