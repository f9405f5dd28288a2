package rules

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
)

// Severities of burn alerts: a page wakes somebody, a ticket is for working hours.
const (
	Page   = "page"
	Ticket = "ticket"
)

// Names of the alerts. Which SLO they speak of is their label "slo".
const (
	BurnAlert   = "SLOErrorBudgetBurn"
	BudgetAlert = "SLOErrorBudgetLow"
	NoDataAlert = "SLONoData"
)

// Alert fires while an error budget burns faster than Factor over two windows: over
// Long, so that it matters, and over Short, so that it is not over. All alerts of an SLO
// with the same severity are one rule in Prometheus.
type Alert struct {
	SLO      *experiments.SLO
	Name     string
	Severity string
	// Share of the budget that is spent when Factor is held for Long: 0.02 for 2%.
	Share       float64
	Factor      float64 // burn rate: 1 spends the budget in just its period
	Long, Short time.Duration
	// For is how long both windows must burn before the alert fires; 0 is at once, as the
	// long window is patient enough.
	For time.Duration
	// Why says, where the windows are not the usual ones, why.
	Why string
}

// Threshold is the share of bad events above which the alert fires: 0.0144 for 14.4
// times a budget of 0.1%.
func (a Alert) Threshold() float64 { return a.Factor * a.SLO.Budget() }

// After is how long a share of bad events must last until the alert fires, if nothing
// was bad for Long before and the traffic is steady: F*b*L/p. It is false where the
// alert never fires of it.
func (a Alert) After(share float64) (time.Duration, bool) {
	if !(share > a.Threshold()) {
		return 0, false
	}
	return time.Duration(math.Ceil(a.Threshold()*float64(a.Long)/share)) + a.For, true
}

// Expr is the condition in PromQL. With raw it reads the series that the SLO's own
// queries name and needs no recorded ones; else it reads those that [Generate] records.
//
// Where no traffic or no data is left in the short window, nothing shows that the harm is
// over. The recorded form, which is asked again and again, then goes on firing as long as
// the long window burns; the raw one, which knows nothing of before, does not fire.
func (a Alert) Expr(raw bool) (string, error) {
	threshold := number(a.Factor) + " * " + number(a.SLO.Budget())
	if !raw {
		firing := fmt.Sprintf("ALERTS{alertname=%q,alertstate=\"firing\",severity=%q,slo=%q}", a.Name, a.Severity, a.SLO.Name)
		return fmt.Sprintf("%s > %s\nand on(slo) (\n  %s > %s\n  or\n  %s\n  unless on(slo) %[3]s\n)", a.ratio(a.Long), threshold, a.ratio(a.Short), threshold, firing), nil
	}
	counted, ok := a.SLO.SLI.(prom.Counted)
	if !ok {
		return "", fmt.Errorf("%s rests on a probe: what it counts is not in Prometheus", a.SLO.SeriesName())
	}
	long, err := counted.Events().Ratio(a.Long)
	short, alsoErr := counted.Events().Ratio(a.Short)
	if err := errors.Join(err, alsoErr); err != nil {
		return "", fmt.Errorf("%s: %w", a.SLO.SeriesName(), err)
	}
	return fmt.Sprintf("(\n%s\n) > %s\nand\n(\n%s\n) > %s", long, threshold, short, threshold), nil
}

// pair is a share of the budget and the time in which it may not be spent.
type pair struct {
	share    float64
	long     time.Duration
	severity string
}

// pairs are those of the SRE workbook.
var pairs = [...]pair{
	{0.02, time.Hour, Page},
	{0.05, 6 * time.Hour, Page},
	{0.10, experiments.Day, Ticket},
	{0.10, 3 * experiments.Day, Ticket},
}

// longer are windows to go to where the usual one cannot do.
var longer = [...]time.Duration{
	2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour, 6 * time.Hour, 8 * time.Hour, 12 * time.Hour,
	experiments.Day, 2 * experiments.Day, 3 * experiments.Day, 4 * experiments.Day, 5 * experiments.Day, 7 * experiments.Day,
	10 * experiments.Day, 14 * experiments.Day, 28 * experiments.Day,
}

const (
	shortPart = 12 // the short window is so much shorter than the long one
	// A period shorter than this has its long windows shortened in proportion, as three
	// days are no part of one.
	shortestUsual = 7 * experiments.Day
	usualPeriod   = 30 * experiments.Day
	// A window that is chosen in place of a usual one fires when at most this share of
	// events is bad, so that more than a total outage can be seen.
	roomy = 0.75
	// A factor this far below 1 would fire on a course that keeps the objective.
	slowest = 0.9
)

// Alerts are the burn alerts of an SLO, pages first. Notes say what was left out and why,
// in words for a person. Alerts that could never fire are not among them.
func Alerts(slo *experiments.SLO) (alerts []Alert, notes []string) {
	for _, p := range pairs {
		alert, why := choose(slo, p)
		if why == "" {
			for _, other := range alerts {
				if other.Severity == alert.Severity && other.Factor <= alert.Factor && other.Long <= alert.Long {
					why = fmt.Sprintf("it would never fire before the one on %s", prom.InPromQL(other.Long))
				}
			}
		}
		if why != "" {
			notes = append(notes, fmt.Sprintf("no %s for %s of the budget: %s", p.severity, percent(p.share), why))
			continue
		}
		alerts = append(alerts, alert)
	}
	return alerts, notes
}

// choose finds the windows for a share of the budget: the usual ones, or the next longer
// that can do. Otherwise it says why there are none.
func choose(slo *experiments.SLO, p pair) (Alert, string) {
	usual := p.long
	if slo.Window < shortestUsual {
		usual = time.Duration(float64(p.long) * float64(slo.Window) / float64(usualPeriod)).Round(time.Second)
	}
	budget, shortest := slo.Budget(), shortestWindow(slo)
	why, moved := "", ""
	for _, long := range append([]time.Duration{usual}, longer[:]...) {
		if long < usual || long == usual && why != "" {
			continue
		}
		if long > slo.Window/2 {
			break
		}
		factor := round(p.share * float64(slo.Window) / float64(long))
		if long < 2*shortest {
			why = fmt.Sprintf("%s is too short for a query that needs %s", prom.InPromQL(long), prom.InPromQL(shortest))
			moved = why
			continue
		}
		if factor*budget >= 1 || moved != "" && factor*budget > roomy {
			if moved == "" {
				moved = fmt.Sprintf("a burn rate of %s over %s is more than all events failing", number(factor), prom.InPromQL(long))
			}
			why = moved
			continue
		}
		if factor < slowest {
			if p.severity == Page {
				return Alert{}, fmt.Sprintf("spending it within %s is a burn rate of %s, which keeps the objective", prom.InPromQL(long), number(factor))
			}
			factor = 1
			if budget > roomy {
				return Alert{}, fmt.Sprintf("an objective of %s is kept by nearly any share of bad events", slo.Objective)
			}
		}
		short := max((long / shortPart).Round(time.Second), shortest)
		if moved != "" {
			moved += fmt.Sprintf(", so that it is watched over %s at %s", prom.InPromQL(long), number(factor))
		}
		return Alert{SLO: slo, Name: BurnAlert, Severity: p.severity, Share: p.share, Factor: factor, Long: long, Short: short, Why: moved}, ""
	}
	if why == "" {
		why = fmt.Sprintf("%s is not much shorter than the period of %s", prom.InPromQL(usual), prom.InPromQL(slo.Window))
	}
	return Alert{}, why
}

// shortestWindow is the least that can be counted over.
func shortestWindow(slo *experiments.SLO) time.Duration {
	if slo.SLI == nil {
		return 4 * slo.Every
	}
	return slo.SLI.Shortest().Truncate(time.Second)
}

// round keeps four digits, so that what a rule shows is what it does: 0.9333.
func round(x float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 4, 64), 64)
	if err != nil {
		return x
	}
	return rounded
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// percent writes a share as "2%".
func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'g', 6, 64) + "%"
}

// ratio is the record of the share of bad events over a window.
func (a Alert) ratio(window time.Duration) string {
	return ratioName(window) + of(a.SLO)
}

func ratioName(window time.Duration) string { return "slo:errors:ratio_rate" + prom.InPromQL(window) }

// of selects the series of an SLO.
func of(slo *experiments.SLO) string { return fmt.Sprintf("{slo=%q}", slo.Name) }
