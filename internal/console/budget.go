package console

import (
	"fmt"
	"math"

	"github.com/charmbracelet/x/ansi"

	"github.com/gameday-sh/gameday/experiments"
)

// liveBudget is how the error budget of an SLO stands.
type liveBudget struct {
	name string
	left experiments.BudgetLeft
}

func (r *liveRun) budget(name string, left experiments.BudgetLeft) {
	left.Period = clean(left.Period)
	for _, b := range r.budgets {
		if b.name == name {
			b.left = left
			return
		}
	}
	r.budgets = append(r.budgets, &liveBudget{name, left})
}

// budgets shows each error budget as money left: first what the run may still spend, then
// what there is at all.
func (s screen) budgets(run *liveRun) section {
	name := 0
	for _, b := range run.budgets {
		name = max(name, ansi.StringWidth(b.name))
	}
	name, bar, rest := s.barred(name, 7)
	out := section{title: s.palette.bold("Error budget left"), noun: "budgets"}
	for _, b := range run.budgets {
		word, paint, rank := s.budgetWord(b.left)
		line := " " + paint(column(word, statusWidth)) + " " + column(b.name, name) + " "
		if bar > 0 {
			full, empty := gauge(b.share(), bar)
			line += paint(full) + s.palette.faint(empty) + " "
		}
		out.rows = append(out.rows, row{text: line + cut(b.text(), max(rest-name-bar, 0)), word: word, rank: rank})
	}
	return out
}

func (s screen) budgetWord(left experiments.BudgetLeft) (word string, paint func(string) string, rank int) {
	used := float64(left.Spent / left.Allowance)
	switch {
	case !left.Spent.Known():
		return "unknown", s.palette.warn, 1
	case used >= 1 || left.Remaining-left.Spent < 0: // false for what is not known
		return "overspent", s.palette.bad, 0
	case left.Spent <= 0:
		return "untouched", s.palette.good, 2
	case used >= 0.5:
		return "spending", s.palette.warn, 1
	}
	return "spending", s.palette.good, 2
}

// share is what the bar shows, 1 while nothing is spent: of what the run may spend, else
// of what there is.
func (b *liveBudget) share() float64 {
	spent := float64(b.left.Spent)
	switch {
	case math.IsNaN(spent):
		return 0
	case b.left.Allowance > 0:
		return 1 - spent/float64(b.left.Allowance)
	case b.left.Remaining.Known():
		return float64(b.left.Remaining) - spent
	}
	return 1 - spent
}

func (b *liveBudget) text() string {
	l := b.left
	if !l.Spent.Known() {
		return "what is spent cannot be told"
	}
	whole := ""
	if l.Remaining.Known() {
		whole = money(float64(l.Remaining-l.Spent)) + " of " + l.Period + " budget"
	}
	if !l.Allowance.Known() {
		if whole == "" {
			return money(float64(l.Spent)) + " of the " + l.Period + " budget spent"
		}
		return whole
	}
	text := fmt.Sprintf("%s of %s", money(float64(max(l.Allowance-l.Spent, 0))), money(float64(l.Allowance)))
	if whole == "" {
		return text + " allowed of the " + l.Period + " budget"
	}
	return text + " allowed, " + whole
}

// money writes a share of a budget with digits that move while it is spent.
func money(share float64) string {
	percent := share * 100
	digits := 2
	if abs := math.Abs(percent); abs > 0 && abs < 0.1 {
		digits = min(3-int(math.Floor(math.Log10(abs))), 6)
	}
	if percent == math.Trunc(percent) {
		digits = 0
	}
	return fmt.Sprintf("%.*f%%", digits, percent)
}
