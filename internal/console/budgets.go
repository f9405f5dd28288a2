package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/guards/budgets"
)

// Budgets shows error budgets to a person.
type Budgets struct {
	States []*budgets.State
	// All has the states of their dependencies too.
	All    map[*experiments.SLO]*budgets.State
	Colour bool
}

// Lines gives a table of all budgets, or all there is to say of a single one, in so many
// columns. Where height is above 0 and there is not room for all rows, the worst off are
// shown.
func (b Budgets) Lines(width, height int) []string {
	lines := b.lines(width, height, newPalette(b.Colour))
	for i := range lines {
		lines[i] = cut(lines[i], width) // a word may be wider than all there is
	}
	return lines
}

func (b Budgets) lines(width, height int, p palette) []string {
	if len(b.States) == 1 {
		return b.card(b.States[0], width, p)
	}
	var lines []string
	for i, group := range b.groups() {
		if i > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, b.table(group, width, p)...)
	}
	notes := b.notes(width, p)
	if height > 0 && len(lines)+len(notes) > height {
		lines = b.worst(width, max(height-len(notes), height/2), p)
		notes = notes[:max(min(len(notes), height-len(lines)), 0)]
	}
	return append(lines, notes...)
}

// groups are the states that are looked at over the same windows, in their order.
func (b Budgets) groups() [][]*budgets.State {
	var groups [][]*budgets.State
	for _, s := range b.States {
		i := slices.IndexFunc(groups, func(g []*budgets.State) bool {
			return slices.Equal(budgets.Windows(g[0].SLO), budgets.Windows(s.SLO))
		})
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], s)
	}
	return groups
}

// worst is a table of those with the least left, in so many lines.
func (b Budgets) worst(width, room int, p palette) []string {
	sorted := slices.Clone(b.States)
	left := func(s *budgets.State) float64 {
		if !s.Known() {
			return math.Inf(-1)
		}
		return s.Remaining()
	}
	slices.SortStableFunc(sorted, func(a, b *budgets.State) int { return cmp.Compare(left(a), left(b)) })
	shown := min(max(room-2, 1), len(sorted))
	lines := Budgets{States: sorted[:shown], All: b.All, Colour: b.Colour}.table(sorted[:shown], width, p)
	if hidden := len(sorted) - shown; hidden > 0 {
		lines = append(lines, p.faint(fmt.Sprintf("+%d more, with more left", hidden)))
	}
	return lines
}

// budgetColumn is a column of the table. Those of the lowest rank go first where there is
// no room.
type budgetColumn struct {
	title string
	rank  int
	left  bool // aligned
	cell  func(*budgets.State) (text string, paint func(string) string)
}

func (b Budgets) columns(group []*budgets.State, p palette) []budgetColumn {
	plain := func(f func(*budgets.State) string) func(*budgets.State) (string, func(string) string) {
		return func(s *budgets.State) (string, func(string) string) {
			return f(s), func(text string) string { return text }
		}
	}
	columns := []budgetColumn{
		{"SLO", 99, true, plain(func(s *budgets.State) string { return s.SLO.Name })},
		{"SLI", 60, false, plain(func(s *budgets.State) string { return shareText(s.SLI(), s.SLO.Objective) })},
		{"OBJECTIVE", 30, false, func(s *budgets.State) (string, func(string) string) { return s.SLO.Objective.String(), p.faint }},
		{"BAD", 15, false, plain(func(s *budgets.State) string { return eventsText(s, s.Period.Bad) })},
		{"EVENTS", 10, false, plain(func(s *budgets.State) string { return eventsText(s, s.Period.Total) })},
		{"", 20, true, func(s *budgets.State) (string, func(string) string) {
			if !s.Known() {
				return "", p.faint
			}
			full, empty := gauge(s.Remaining(), 8)
			return full + empty, b.tone(s, p)
		}},
		{"LEFT", 98, false, func(s *budgets.State) (string, func(string) string) {
			if !s.Known() {
				return "unknown", p.warn
			}
			return leftText(s.Remaining()), b.tone(s, p)
		}},
	}
	for i, window := range budgets.Windows(group[0].SLO) {
		title, rank := windowText(window), []int{80, 40, 70, 35}[min(i, 3)]
		columns = append(columns, budgetColumn{title, rank, false, func(s *budgets.State) (string, func(string) string) {
			burn := s.Burn(window)
			return burnText(burn), b.burnTone(s, burn, window, p)
		}})
	}
	columns = append(columns, budgetColumn{"PERIOD", 25, false, func(s *budgets.State) (string, func(string) string) {
		return burnText(s.Burn(0)), b.burnTone(s, s.Burn(0), s.Period.Window, p)
	}})
	columns = append(columns,
		budgetColumn{"LASTS", 50, false, plain(func(s *budgets.State) string { return lastsText(s) })},
		budgetColumn{"BAND", 90, true, func(s *budgets.State) (string, func(string) string) {
			band, ok := s.Band()
			if !ok {
				return "–", p.faint
			}
			return band.Name, b.tone(s, p)
		}})
	return columns
}

// table lays out one group.
func (b Budgets) table(group []*budgets.State, width int, p palette) []string {
	columns := b.columns(group, p)
	widths := func() []int {
		list := make([]int, len(columns))
		for i, c := range columns {
			list[i] = ansi.StringWidth(c.title)
			for _, s := range group {
				text, _ := c.cell(s)
				list[i] = max(list[i], ansi.StringWidth(text))
			}
		}
		return list
	}
	needs := func(list []int) int {
		sum := 2 * (len(list) - 1)
		for _, w := range list {
			sum += w
		}
		return sum
	}
	wide := widths()
	const shortestName = 12
	// The name may give way a little before a column does.
	for len(columns) > 3 && needs(wide)-max(wide[0]-20, 0) > width {
		lowest := 0
		for i := range columns {
			if columns[i].rank < columns[lowest].rank {
				lowest = i
			}
		}
		columns = slices.Delete(columns, lowest, lowest+1)
		wide = widths()
	}
	if over := needs(wide) - width; over > 0 {
		wide[0] = max(wide[0]-over, min(wide[0], shortestName))
	}
	place := func(i int, text string) string {
		if columns[i].left {
			return column(text, wide[i])
		}
		return columnRight(text, wide[i])
	}
	var lines []string
	row := func(cell func(i int) string) {
		parts := make([]string, len(columns))
		for i := range columns {
			parts[i] = cell(i)
		}
		lines = append(lines, cut(strings.TrimRight(strings.Join(parts, "  "), " "), width))
	}
	row(func(i int) string { return p.faint(place(i, columns[i].title)) })
	for _, s := range group {
		row(func(i int) string {
			text, paint := columns[i].cell(s)
			return paint(place(i, text))
		})
	}
	return lines
}

// tone is the colour of a budget: by where its band stands in the policy, and without
// one by what is left.
func (b Budgets) tone(s *budgets.State, p palette) func(string) string {
	if !s.Known() {
		return p.warn
	}
	if s.Policy != nil && len(s.Policy.Bands) > 1 {
		band, _ := s.Band()
		switch band.Name {
		case s.Policy.Bands[0].Name:
			return p.good
		case s.Policy.Bands[len(s.Policy.Bands)-1].Name:
			return p.bad
		}
		return p.warn
	}
	switch left := s.Remaining(); {
	case left <= 0:
		return p.bad
	case left < 0.1:
		return p.warn
	}
	return p.good
}

// burnTone marks a burn rate that spends a share of the budget worth an alert: 2% over
// the first window, 5% over the second, 10% over longer ones, as in the SRE workbook;
// and of the whole period, more than there is.
func (b Budgets) burnTone(s *budgets.State, burn float64, window time.Duration, p palette) func(string) string {
	worth := 1.0
	for i, w := range budgets.Windows(s.SLO) {
		if w == window {
			worth = []float64{0.02, 0.05, 0.1, 0.1}[min(i, 3)]
		}
	}
	switch spent := s.Spent(burn, window); {
	case math.IsNaN(burn):
		return p.faint
	case spent >= worth*(1-1e-9) && worth < 1, burn > 1 && worth == 1:
		return p.bad
	case burn > 1:
		return p.warn
	}
	return func(text string) string { return text }
}

// shareText writes an SLI with two digits more than its objective, rounded down, so that
// what misses the objective never looks like it.
func shareText(sli float64, objective experiments.Percent) string {
	if math.IsNaN(sli) {
		return "–"
	}
	_, fraction, _ := strings.Cut(strings.TrimSuffix(objective.String(), "%"), ".")
	digits := max(len(fraction)+2, 3)
	scale := math.Pow(10, float64(digits))
	return strconv.FormatFloat(math.Floor(sli*100*scale+1e-7)/scale, 'f', digits, 64) + "%"
}

func leftText(left float64) string {
	digits := 1
	if math.Abs(left) >= 10 {
		digits = 0
	}
	text := strconv.FormatFloat(left*100, 'f', digits, 64)
	if left < 0 && strings.Trim(text, "-0.") == "" || left > 0 && strings.Trim(text, "0.") == "" {
		// Not quite nothing; on which side of it is what matters.
		return map[bool]string{true: "-0.1%", false: "0.1%"}[left < 0]
	}
	return text + "%"
}

func burnText(burn float64) string {
	switch {
	case math.IsNaN(burn):
		return "–"
	case burn >= 99.95:
		return strconv.FormatFloat(burn, 'f', 0, 64)
	case burn >= 9.995:
		return strconv.FormatFloat(burn, 'f', 1, 64)
	case burn > 0 && burn < 0.005:
		return "<.01"
	}
	return strconv.FormatFloat(burn, 'f', 2, 64)
}

func eventsText(s *budgets.State, n float64) string {
	if !s.Known() {
		return "–"
	}
	switch {
	case n >= 9.995e8:
		return strconv.FormatFloat(n/1e9, 'f', 2, 64) + "G"
	case n >= 9.995e5:
		return strconv.FormatFloat(n/1e6, 'f', 2, 64) + "M"
	case n >= 9.9995e4:
		return strconv.FormatFloat(n/1e3, 'f', 1, 64) + "k"
	case n > 0 && n < 0.95:
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return strconv.FormatFloat(n, 'f', 0, 64)
}

// lastsText says how long the budget lasts at the present burn rate.
func lastsText(s *budgets.State) string {
	burn, _ := s.Present()
	lasts, known := s.Exhaustion(burn)
	switch {
	case !known:
		return "–"
	case lasts == 0:
		return "spent"
	case lasts == budgets.Forever:
		return ">" + spanText(s.To.Sub(s.At)+rolls(s))
	}
	return spanText(lasts)
}

// rolls is what a rolling period has ahead: another one.
func rolls(s *budgets.State) time.Duration {
	if s.SLO.Calendar == nil {
		return s.SLO.Window
	}
	return 0
}

// spanText writes a duration in its two largest units.
func spanText(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= 10*time.Minute {
		d = d.Round(time.Minute)
	}
	days, hours, minutes, secs := int(d/experiments.Day), int(d/time.Hour)%24, int(d/time.Minute)%60, int(d/time.Second)%60
	switch {
	case days > 0 && hours > 0 && days < 100:
		return fmt.Sprintf("%dd%dh", days, hours)
	case days > 0:
		return fmt.Sprintf("%dd", days)
	case hours > 0 && minutes > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case hours > 0:
		return fmt.Sprintf("%dh", hours)
	case minutes > 0 && secs > 0:
		return fmt.Sprintf("%dm%ds", minutes, secs)
	case minutes > 0:
		return fmt.Sprintf("%dm", minutes)
	}
	return fmt.Sprintf("%ds", secs)
}

// windowText is a window as the title of a column: 1h, 144m.
func windowText(d time.Duration) string {
	text := experiments.FormatDuration(d)
	if len(text) > 6 {
		return spanText(d)
	}
	return text
}
