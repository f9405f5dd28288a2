// Package replay answers what a team's burn-rate alerts would have done in a run. It
// writes the counts that the run recorded into a Prometheus in memory, as counters,
// behind a past in which the share of events failed that failed in the baseline, and
// evaluates the real alert expressions over them, at the pace of their rules.
//
// The past is derived, not recorded: a run does not know what the three days before it
// were like. The answer is what the run by itself would have set off.
package replay

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/probes/prom"
	"github.com/gameday-sh/gameday/internal/rules"
)

const (
	// step is the pace of the samples of the time after a run.
	step = 30 * time.Second
	// past is the pace of the samples of the time before: nothing changes in it.
	past = time.Minute
	// longest bounds one evaluation.
	longest = 30 * time.Second
)

// Names of the counters that stand for what an SLO counts.
const (
	badName   = "gameday_replayed_bad_total"
	totalName = "gameday_replayed_events_total"
)

// Recording is what a run recorded of an SLO.
type Recording struct {
	SLO *experiments.SLO
	// Result and Series are those of the SLO in the stored result.
	Result experiments.SLOResult
	Series *experiments.Series
	// Began is the start of the run, Injected the first injection.
	Began, Injected time.Time
}

// Pages evaluates the alerts of an SLO over a recording. The note says what the answer
// rests on, or why there is none.
func Pages(ctx context.Context, r Recording) (pages []experiments.Page, note string, err error) {
	if r.SLO.SLI == nil {
		return nil, "the alerts were not replayed: " + r.SLO.SeriesName() + " rests on a probe, and Prometheus has no rule for it", nil
	}
	alerts, _ := rules.Alerts(r.SLO)
	if len(alerts) == 0 {
		return nil, "no burn-rate alert can ever fire for this objective and period", nil
	}
	rate, usual := float64(r.Result.Rate), 0.0
	if a := r.Result.Account; a != nil && a.Usual.Known() {
		usual = float64(a.Usual)
	}
	if !(rate > 0) {
		return nil, "the alerts were not replayed: the baseline showed no rate of events to derive the time before from", nil
	}
	course, unread := increments(r)
	if len(course) == 0 {
		return nil, "the alerts were not replayed: the run recorded no count of the SLO", nil
	}
	back, after := time.Duration(0), time.Duration(0)
	for _, alert := range alerts {
		back = max(back, alert.Long+alert.Short)
		// Once the run is over only the short window, and the waiting, can still decide.
		after = max(after, alert.Short+alert.For+2*alert.Interval())
	}
	recorded := prom.NewRecorded(2*back+course[len(course)-1].at.Sub(r.Began)+experiments.Day, longest)
	end, err := fill(recorded, r, course, back, after, rate, usual)
	if err != nil {
		return nil, "", err
	}
	counted := *r.SLO
	counted.SLI = &prom.Events{Bad: "sum(rate(" + badName + "[$window]))", Total: "sum(rate(" + totalName + "[$window]))"}
	for _, alert := range alerts {
		interval := alert.Interval()
		alert.SLO = &counted
		page, err := evaluate(ctx, recorded, alert, interval, r.Injected, end)
		if err != nil {
			return nil, "", fmt.Errorf("replay %s of %s: %w", alert.Name, r.SLO.SeriesName(), err)
		}
		pages = append(pages, page)
	}
	note = fmt.Sprintf("the recorded counts, in the real alert rules; the time before is derived from the baseline: %s events a second, %s of them bad",
		short(rate), short(usual*100)+"%")
	if unread > 0 {
		note += fmt.Sprintf("; for %s nothing could be read, and nothing is assumed to have happened", experiments.FormatDuration(unread.Round(time.Second)))
	}
	return pages, note, nil
}

// evaluate does what Prometheus does with the rule of an alert. It begins half an
// interval after the injection, as nobody knows how the two fall together.
func evaluate(ctx context.Context, recorded *prom.Recorded, alert rules.Alert, interval time.Duration, injected, end time.Time) (experiments.Page, error) {
	page := experiments.Page{Alert: alert.Name, Severity: alert.Severity, Factor: alert.Factor, Long: alert.Long, Short: alert.Short, Peak: experiments.Float(math.NaN())}
	from := injected.Add(interval / 2)
	expr, err := alert.Expr(true)
	if err != nil {
		return page, err
	}
	active, err := recorded.Range(ctx, expr, from, end, interval)
	if err != nil {
		return page, err
	}
	var since, last time.Time
	for _, step := range active {
		if since.IsZero() || step.At.Sub(last) > interval {
			since = step.At
		}
		last = step.At
		if step.At.Sub(since) >= alert.For {
			page.Fired, page.After = true, step.At.Sub(injected)
			break
		}
	}
	both, err := lower(alert)
	if err != nil {
		return page, err
	}
	burns, err := recorded.Range(ctx, both, from, end, interval)
	if err != nil {
		return page, err
	}
	for _, step := range burns {
		if burn := step.Value / alert.SLO.Budget(); !(burn <= float64(page.Peak)) {
			page.Peak = experiments.Float(burn)
		}
	}
	return page, nil
}

// lower is PromQL for the lower of the shares over the two windows of an alert.
func lower(alert rules.Alert) (string, error) {
	counted, ok := alert.SLO.SLI.(prom.Counted)
	if !ok {
		return "", fmt.Errorf("%s is not counted by queries", alert.SLO.SeriesName())
	}
	long, err := counted.Events().Ratio(alert.Long)
	if err != nil {
		return "", err
	}
	brief, err := counted.Events().Ratio(alert.Short)
	if err != nil {
		return "", err
	}
	return "min((" + long + "\n) <= (" + brief + "\n) or (" + brief + "\n))", nil
}

// fill writes the counters: the past, the run, and as much of the time after it as any
// alert needs to be done with it. It gives the end of that.
func fill(recorded *prom.Recorded, r Recording, course []increment, back, after time.Duration, rate, usual float64) (end time.Time, err error) {
	w := writer{recorded: recorded}
	for at := r.Began.Add(-back); at.Before(course[0].at.Add(-course[0].over)); at = at.Add(past) {
		w.write(at)
		w.bad, w.total = w.bad+rate*usual*past.Seconds(), w.total+rate*past.Seconds()
	}
	from := course[0].at.Add(-course[0].over)
	w.sync(from, rate, usual)
	for _, i := range course {
		w.bad, w.total = w.bad+i.bad, w.total+i.total
		w.write(i.at)
	}
	end = course[len(course)-1].at.Add(after)
	for at := course[len(course)-1].at.Add(step); !at.After(end); at = at.Add(step) {
		w.bad, w.total = w.bad+rate*usual*step.Seconds(), w.total+rate*step.Seconds()
		w.write(at)
	}
	return end, w.err
}

// writer appends the two counters.
type writer struct {
	recorded   *prom.Recorded
	bad, total float64
	last       time.Time
	err        error
}

var (
	badSeries   = labels.FromStrings(model.MetricNameLabel, badName)
	totalSeries = labels.FromStrings(model.MetricNameLabel, totalName)
)

func (w *writer) write(at time.Time) {
	if !at.Truncate(time.Millisecond).After(w.last) || w.err != nil {
		return // two counts in a millisecond: the next sample has both
	}
	w.last = at.Truncate(time.Millisecond)
	w.err = w.recorded.Append([]prom.Sample{
		{Labels: badSeries, At: at.UnixMilli(), Float: w.bad},
		{Labels: totalSeries, At: at.UnixMilli(), Float: w.total},
	})
}

// sync goes back or forth from the end of the last step of the past to where the
// recording begins.
func (w *writer) sync(from time.Time, rate, usual float64) {
	over := w.last.Add(past).Sub(from).Seconds()
	w.bad, w.total = w.bad-rate*usual*over, w.total-rate*over
	w.write(from)
}

// increment is what happened in the time over that ends at at.
type increment struct {
	at         time.Time
	over       time.Duration
	bad, total float64
}

// increments makes of counts of windows that overlap what happened one after the other.
// In sum they are what the run counted from the injection on. Unread is how long nothing
// could be read.
func increments(r Recording) (list []increment, unread time.Duration) {
	s := r.Series
	if s == nil || s.Window <= 0 || len(s.Bad) != len(s.At) || len(s.Total) != len(s.At) {
		return nil, 0
	}
	var last time.Time // the end of what is known
	for i, offset := range s.At {
		if math.IsNaN(s.Bad[i]) || math.IsNaN(s.Total[i]) {
			continue
		}
		at := r.Began.Add(time.Duration(offset * float64(time.Second)))
		start := at.Add(-s.Window)
		over := s.Window
		scale := 1.0
		switch {
		case last.IsZero():
		case start.Before(last):
			// The windows overlap. The next one that begins where this ends is taken, or the
			// last of all, of which a part is new.
			if i+1 < len(s.At) && !math.IsNaN(s.Bad[i+1]) {
				continue
			}
			over = at.Sub(last)
			scale = over.Seconds() / s.Window.Seconds()
		case start.Sub(last) <= s.Window:
			// A little was missed between two windows: it was like the second.
			over = at.Sub(last)
			scale = over.Seconds() / s.Window.Seconds()
		default:
			unread += start.Sub(last)
			list = append(list, increment{at: start, over: start.Sub(last)})
		}
		if over <= 0 {
			continue
		}
		list = append(list, increment{at, over, s.Bad[i] * scale, s.Total[i] * scale})
		last = at
	}
	fit(list, r)
	return list, unread
}

// fit makes the increments since the injection sum up to what was counted since then in
// one window: the sum of many short ones is off by what each of them misses at its edges.
func fit(list []increment, r Recording) {
	bad, total := 0.0, 0.0
	for _, i := range list {
		if i.at.After(r.Injected) {
			bad, total = bad+i.bad, total+i.total
		}
	}
	for i := range list {
		if !list[i].at.After(r.Injected) {
			continue
		}
		if bad > 0 {
			list[i].bad *= r.Result.Bad / bad
		}
		if total > 0 && r.Result.Total > 0 {
			list[i].total *= r.Result.Total / total
		}
	}
}

// short writes a number with three digits.
func short(v float64) string {
	text := fmt.Sprintf("%.3g", v)
	if strings.Contains(text, "e") {
		text = fmt.Sprintf("%.0f", v)
		if math.Abs(v) < 1 {
			text = fmt.Sprintf("%.6f", v)
		}
	}
	return text
}
