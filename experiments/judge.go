package experiments

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unreadableShare is the share of measurements that may be unreadable before a
// judgement on the others is no judgement any more.
const unreadableShare = 0.05

// Statement says in words what h asks: "at least 99.5% of checkout's events are good".
func (h *Hypothesis) Statement() string {
	name := h.seriesName()
	switch h.Limit.Kind {
	case GoodRatio:
		return fmt.Sprintf("at least %s of the events of %s are good", h.Limit.Ratio, name)
	case QuantileAtMost:
		return fmt.Sprintf("p%s of %s is at most %s", trimFloat(h.Limit.Quantile*100), name, seconds(h.Limit.Value))
	case ValueAtMost:
		return fmt.Sprintf("%s is at most %s", name, h.number(h.Limit.Value))
	case ValueAtLeast:
		return fmt.Sprintf("%s is at least %s", name, h.number(h.Limit.Value))
	case ValueKeeps:
		return fmt.Sprintf("%s keeps at least %s of its mean in the baseline", name, h.Limit.Ratio)
	}
	return fmt.Sprintf("every measurement of %s is good", name)
}

func (h *Hypothesis) seriesName() string {
	if h.SLO != nil {
		return h.SLO.SeriesName()
	}
	return h.Probe.SeriesName()
}

// probe is the probe whose measurements h rests on; nil where it rests on queries.
func (h *Hypothesis) probe() *Probed {
	if h.SLO != nil {
		return h.SLO.Probe
	}
	return h.Probe
}

// measured names the series of the events that h rests on: those of an SLO on a
// probe are the probe's.
func (h *Hypothesis) measured() string {
	if h.SLO != nil && h.SLO.Probe != nil {
		return h.SLO.Probe.SeriesName()
	}
	return h.seriesName()
}

// event says how h stands.
func (h *Hypothesis) event(j *Judgement) Event {
	return Event{
		Type: EventJudgement, Name: h.Name, Series: h.measured(), Judgement: j,
		MayBreak: !h.During && j.Phase == PhaseDisrupt,
	}
}

// unit is the unit of the limit and of what is observed.
func (h *Hypothesis) unit() string {
	switch h.Limit.Kind {
	case GoodRatio, EverySample:
		return "ratio"
	case QuantileAtMost:
		return "s"
	}
	return h.Probe.Unit
}

func (h *Hypothesis) limit() float64 {
	switch h.Limit.Kind {
	case GoodRatio:
		return float64(h.Limit.Ratio)
	case EverySample:
		return 1
	case ValueKeeps: // known after the baseline, and then each judgement has it
		return math.NaN()
	}
	return h.Limit.Value
}

// number writes a value in the probe's unit; seconds as durations, and ratios as
// percents.
func (h *Hypothesis) number(v float64) string {
	text := trimFloat(v)
	switch {
	case h.Probe == nil || math.IsNaN(v) || math.IsInf(v, 0):
	case h.Probe.Unit == "s" && v >= 0:
		return seconds(v)
	case h.Probe.Unit == Traffic.Unit() && v >= 1000:
		text = wholeNumber(v)
	case h.Probe.Unit == Traffic.Unit():
		text = strconv.FormatFloat(v, 'g', 4, 64)
	case h.Probe.Unit == "ratio":
		return strconv.FormatFloat(v*100, 'g', 4, 64) + "%"
	}
	if h.Probe != nil && h.Probe.Unit != "" {
		text += " " + h.Probe.Unit
	}
	return text
}

// judgeCount judges a ratio hypothesis on counted events, by the exact one-sided
// binomial bound (Clopper-Pearson): held when the upper bound of the bad ratio is
// within what is allowed, refuted when the lower bound is beyond it. Events that were
// due and not asked may have been either: held must be so if all of them had been bad,
// refuted if all had been good. So must refuted be with those that could not be read;
// more of these than unreadableShare, and it is not held either.
func (h *Hypothesis) judgeCount(phase Phase, c Count) Judgement {
	j := Judgement{
		Phase: phase, From: c.At.Add(-c.Window), To: c.At, Unit: "ratio", Limit: Float(h.Limit.Ratio),
		Observed: Float(math.NaN()), Low: Float(math.NaN()), High: Float(math.NaN()),
		Bad: c.Bad, Total: c.Total, Verdict: Inconclusive,
	}
	allowed := h.Limit.Ratio.Rest()
	if c.Condition != OK {
		j.Text = string(c.Condition)
		if c.Why != "" {
			j.Text += ": " + c.Why
		}
		if c.Condition == TooEarly || c.Condition == NoData {
			j.Needs = EventsNeeded(0, 0, allowed, h.Confidence)
		}
		return j
	}
	_, high := BinomialBounds(c.Bad+c.Missed, c.Total+c.Missed, h.Confidence)
	low, _ := BinomialBounds(c.Bad, c.Total+c.Missed+c.Unread, h.Confidence)
	j.Observed, j.Low, j.High = Float(1-c.Ratio()), Float(1-high), Float(1-low)
	seen := fmt.Sprintf("%s of %s good", percentText(1-c.Ratio(), c.Total), events(c.Total))
	if c.Missed > 0 {
		seen += fmt.Sprintf(" (%s more could not be asked, as too many answers were late)", wholeNumber(c.Missed))
	}
	if c.Unread > 0 {
		seen += fmt.Sprintf(" (%s more could not be read)", wholeNumber(c.Unread))
	}
	blind := c.Unread > unreadableShare*(c.Total+c.Unread)
	switch {
	case blind && low <= allowed:
		j.Text = fmt.Sprintf("%s, at least %s asked; too many were not read to tell", seen, h.Limit.Ratio)
	case high <= allowed:
		j.Verdict = Held
		j.Text = fmt.Sprintf("%s, at least %s asked", seen, h.Limit.Ratio)
	case low > allowed:
		j.Verdict = Refuted
		j.Text = fmt.Sprintf("%s, at least %s asked", seen, h.Limit.Ratio)
	default:
		j.Needs = EventsNeeded(c.Bad+c.Missed, c.Total+c.Missed, allowed, h.Confidence)
		j.Text = fmt.Sprintf("%s, at least %s asked; too few to be %s sure, needs %s more good ones",
			seen, h.Limit.Ratio, h.Confidence, wholeNumber(j.Needs))
	}
	return j
}

// judgeSamples judges a hypothesis on the measurements of its probe.
func (h *Hypothesis) judgeSamples(phase Phase, from, to time.Time, track *Track) Judgement {
	j := Judgement{
		Phase: phase, From: from, To: to, Unit: h.unit(), Limit: Float(h.limit()),
		Observed: Float(math.NaN()), Low: Float(math.NaN()), High: Float(math.NaN()), Verdict: Inconclusive,
	}
	if h.Limit.Kind == GoodRatio {
		return h.judgeCount(phase, track.countBegun(from, to))
	}
	var values []float64
	missed, unreadable, lastWords := 0, 0, ""
	early := 0
	badWords := ""
	track.begun(from, to, func(i int) {
		s := track.At(i)
		value, readable := h.read(s)
		if s.Condition == NotAsked || phase != PhaseBaseline && h.Limit.Kind == ValueAtLeast && s.Condition.ended() {
			missed++ // no accident either: what is least is what is not there any more
		}
		if phase == PhaseBaseline && s.Condition == TooEarly {
			early++ // the window fills; nothing was missed
			return
		}
		if !readable {
			unreadable++
			lastWords = strings.TrimSuffix(string(s.Condition)+": "+s.Why, ": ")
			if s.Condition == OK {
				lastWords = "the measurement carries no number"
			}
			return
		}
		if s.Counted && !s.Good {
			j.Bad++
			if badWords == "" {
				badWords = s.Why
			}
		}
		values = append(values, value)
	})
	j.Total = float64(len(values))
	least := max(h.MinSamples, 1)
	if len(values) < least {
		j.Needs = float64(least - len(values))
		j.Text = fmt.Sprintf("%d of %s, needs %s more", len(values), plural(least, "measurement"), wholeNumber(j.Needs))
		if unreadable > 0 {
			j.Text = fmt.Sprintf("%s (%s could not be read: %s)", j.Text, plural(unreadable, "other"), lastWords)
		} else if early > 0 {
			j.Text += " (" + string(TooEarly) + " to be read)"
		}
		return j
	}
	h.compare(&j, values)
	// What was not read may have been good: what is refuted must be so all the same. It
	// may have been bad too, as far as it was no accident that it was not asked.
	best := append(slices.Repeat([]float64{h.bestValue()}, unreadable), values...)
	worst := append(slices.Repeat([]float64{h.worstValue()}, missed), values...)
	blind := float64(unreadable) > unreadableShare*float64(unreadable+len(values))
	if j.Verdict == Refuted && unreadable > 0 && h.within(best) || j.Verdict == Held && (blind || missed > 0 && !h.within(worst)) {
		j.Verdict = Inconclusive
		j.Text = fmt.Sprintf("%d of %s could not be read: %s", unreadable, plural(unreadable+len(values), "measurement"), lastWords)
		return j
	}
	if badWords != "" {
		j.Text += " (first failure: " + badWords + ")"
	}
	if unreadable > 0 {
		j.Text += fmt.Sprintf("; %s could not be read: %s", plural(unreadable, "other"), lastWords)
	}
	return j
}

// read takes from a sample the number the limit is about. A failed request counts
// as infinitely slow: failing fast is not being fast.
func (h *Hypothesis) read(s Sample) (value float64, readable bool) {
	if s.Condition != OK {
		return 0, false
	}
	switch h.Limit.Kind {
	case EverySample:
		if s.Good {
			return 1, s.Counted
		}
		return 0, s.Counted
	case QuantileAtMost:
		if !s.Counted {
			return 0, false
		}
		if !s.Good {
			return math.Inf(1), true
		}
		return s.Took.Seconds(), true
	}
	return s.Value, !math.IsNaN(s.Value)
}

// observed is the number of values that the limit is compared with: the share of good
// measurements, a quantile, or the value furthest out.
func (h *Hypothesis) observed(values []float64) float64 {
	switch h.Limit.Kind {
	case QuantileAtMost:
		sorted := slices.Sorted(slices.Values(values))
		// Nearest rank: the smallest value that at least this share is at or below.
		rank := int(math.Ceil(h.Limit.Quantile*float64(len(sorted)))) - 1
		return sorted[min(max(rank, 0), len(sorted)-1)]
	case ValueAtMost:
		return slices.Max(values)
	case ValueAtLeast:
		return slices.Min(values)
	}
	var good float64
	for _, value := range values {
		good += value
	}
	return good / float64(len(values))
}

// within tells whether values keep to the limit.
func (h *Hypothesis) within(values []float64) bool {
	observed := h.observed(values)
	switch h.Limit.Kind {
	case QuantileAtMost, ValueAtMost:
		return observed <= h.Limit.Value
	case ValueAtLeast:
		return observed >= h.Limit.Value
	}
	return observed == 1
}

// bestValue and worstValue are what a measurement could have given at best and at
// worst.
func (h *Hypothesis) bestValue() float64 {
	switch h.Limit.Kind {
	case QuantileAtMost, ValueAtMost:
		return math.Inf(-1)
	case ValueAtLeast:
		return math.Inf(1)
	}
	return 1
}

func (h *Hypothesis) worstValue() float64 {
	switch h.Limit.Kind {
	case QuantileAtMost, ValueAtMost:
		return math.Inf(1)
	case ValueAtLeast:
		return math.Inf(-1)
	}
	return 0
}

func (h *Hypothesis) compare(j *Judgement, values []float64) {
	count := plural(len(values), "measurement")
	observed := h.observed(values)
	j.Observed = Float(observed)
	j.Verdict = Refuted
	if h.within(values) {
		j.Verdict = Held
	}
	switch h.Limit.Kind {
	case EverySample:
		j.Text = fmt.Sprintf("all %s good", count)
		switch {
		case j.Verdict == Refuted:
			j.Text = fmt.Sprintf("%s of %s failed", wholeNumber(j.Bad), count)
		case len(values) == 1:
			j.Text = "the one measurement was good"
		}
	case QuantileAtMost:
		j.Text = fmt.Sprintf("p%s %s over %s, at most %s asked", trimFloat(h.Limit.Quantile*100), seconds(observed), count, seconds(h.Limit.Value))
	case ValueAtMost:
		j.Text = fmt.Sprintf("highest %s over %s, at most %s asked", h.number(observed), count, h.number(h.Limit.Value))
	case ValueAtLeast:
		j.Text = fmt.Sprintf("lowest %s over %s, at least %s asked%s", h.number(observed), count, h.number(h.Limit.Value), h.kept)
	}
}

func trimFloat(v float64) string {
	return strconv.FormatFloat(v, 'g', 6, 64)
}

func seconds(v float64) string {
	if math.IsInf(v, 1) {
		return "without a good answer"
	}
	d := time.Duration(v * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		d = d.Round(time.Millisecond)
	default:
		d = d.Round(10 * time.Microsecond)
	}
	return FormatDuration(d)
}

// percentText writes a ratio with as many digits as the number of events allows:
// 99.97% of 3,000, and never 100% where one event failed.
func percentText(ratio, total float64) string {
	digits := 2
	if total > 0 {
		digits = min(max(int(math.Ceil(math.Log10(total)))-2, 1), 6)
	}
	text := strconv.FormatFloat(ratio*100, 'f', digits, 64)
	if ratio < 1 && strings.HasPrefix(text, "100") {
		text = strconv.FormatFloat(math.Floor(ratio*1e6)/1e4, 'f', 4, 64)
	}
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + "%"
}

func events(total float64) string {
	if math.Round(total) == 1 {
		return "1 event"
	}
	return wholeNumber(total) + " events"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return wholeNumber(float64(n)) + " " + noun + "s"
}

// wholeNumber writes 12345.2 as "12,345".
func wholeNumber(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "unknown"
	}
	digits := strconv.FormatFloat(math.Round(v), 'f', 0, 64)
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "-", rest
	}
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return sign + digits
}
