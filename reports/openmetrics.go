package reports

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
)

// family is a metric family of the samples. One of increases is a counter; another is a
// gauge.
type family struct {
	name, unit, help string
	of               string // the kind of series it is about
	increases        bool
	// value gives what a measurement adds to the counter, or the gauge shows; NaN for
	// nothing.
	value func(*sample) float64
}

func metricFamilies() []family {
	number := func(c column) func(*sample) float64 { return func(s *sample) float64 { return s.row[c] } }
	return []family{
		{"gameday_probe_latency_seconds", "seconds", "How long the measurement took.", "probe", false, number(columnLatency)},
		{"gameday_probe_value", "", "The number that the probe read, in the unit of the label unit.", "probe", false, number(columnValue)},
		{"gameday_probe_events", "", "Measurements that count as an event, good or bad, since the phase began.", "probe", true, number(columnTotal)},
		{"gameday_probe_bad_events", "", "Measurements that count as a bad event, since the phase began.", "probe", true, number(columnBad)},
		{"gameday_slo_window_events", "", "Events in the window that ends here.", "slo", false, number(columnTotal)},
		{"gameday_slo_window_bad_events", "", "Bad events in the window that ends here.", "slo", false, number(columnBad)},
		{"gameday_slo_good_ratio", "", "Share of good events in the window that ends here.", "slo", false, func(s *sample) float64 {
			if !(s.row[columnTotal] > 0) {
				return math.NaN()
			}
			return s.good() / s.row[columnTotal]
		}},
	}
}

// writeOpenMetrics writes the samples in the text format of OpenMetrics 1.0 with their
// times, for `promtool tsdb create-blocks-from openmetrics`. Prometheus keeps
// milliseconds and one sample at each: of several in the same one, a gauge shows the
// last, and a counter counts all.
func writeOpenMetrics(w io.Writer, s *Stored) error {
	m := &metrics{out: bufio.NewWriterSize(w, 64<<10), r: s.Result, series: s.series}
	m.names()
	for _, f := range metricFamilies() {
		m.head(f.name, f.increases, f.unit, f.help)
		for i := range m.series {
			if m.series[i].head.Kind == f.of {
				m.write(f, i, "")
			}
		}
	}
	const unread = "gameday_unreadable_measurements"
	m.head(unread, true, "", "Measurements that could not be read, since the phase began; the label condition says why.")
	for i := range m.series {
		// The samples of one set of labels stand together, so each condition is a pass.
		for _, condition := range conditionsOf(m.series[i].head) {
			m.write(family{name: unread, increases: true, value: func(s *sample) float64 {
				if s.condition != condition {
					return math.NaN()
				}
				return 1
			}}, i, condition)
		}
	}
	m.faults()
	o := outliner{r: s.Result, d: detail{text: csvText}}
	fmt.Fprintf(m.out, "# TYPE gameday_run info\n# HELP gameday_run The run, at its end.\ngameday_run_info{run=%s,scenario=%s,verdict=%s,seed=\"%d\",digest=%s,version=%s} 1 %s\n# EOF\n",
		m.label(s.Result.Run), m.label(s.Result.Scenario), m.label(string(s.Result.Verdict)), s.Result.Seed, m.label(s.Result.Digest), m.label(s.Result.Version), m.at(o.since(o.ended())))
	if err := cmp.Or(m.err, m.out.Flush()); err != nil {
		return fmt.Errorf("writing the samples of run %s as OpenMetrics: %w", s.Result.Run, err)
	}
	return nil
}

type metrics struct {
	out    *bufio.Writer // it keeps its first error
	r      *experiments.Result
	series []track
	labels []string // run, scenario and series of each series
	err    error
}

// names makes the labels of each series. Names that are the same once they are cut are
// told apart by a number.
func (m *metrics) names() {
	seen := map[string]int{}
	for _, s := range m.series {
		name := clean(s.head.Name, csvText)
		if seen[name]++; seen[name] > 1 {
			name += " #" + strconv.Itoa(seen[name])
		}
		labels := "run=" + m.label(m.r.Run) + ",scenario=" + m.label(m.r.Scenario) + ",series=" + m.label(name)
		if s.head.Window > 0 {
			labels += ",window=" + m.label(sayDuration(s.head.Window))
		}
		m.labels = append(m.labels, labels)
	}
}

func (m *metrics) head(name string, increases bool, unit, help string) {
	kind := "gauge"
	if increases {
		kind = "counter"
	}
	fmt.Fprintf(m.out, "# TYPE %s %s\n", name, kind)
	if unit != "" {
		fmt.Fprintf(m.out, "# UNIT %s %s\n", name, unit)
	}
	fmt.Fprintf(m.out, "# HELP %s %s\n", name, help)
}

// label quotes the value of a label: a backslash, a quote and a line feed are escaped,
// and clean leaves no line feed.
func (m *metrics) label(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(clean(text, csvText)) + `"`
}

// milliseconds is a time since the run began as Prometheus keeps it.
func (m *metrics) milliseconds(at float64) int64 {
	return m.r.Began.UnixMilli() + int64(math.Round(at*1000))
}

func (m *metrics) at(seconds float64) string { return timestamp(m.milliseconds(seconds)) }

// timestamp is in seconds, as OpenMetrics has it.
func timestamp(milliseconds int64) string {
	return strconv.FormatFloat(float64(milliseconds)/1000, 'f', 3, 64)
}

// write writes one family of one series. A phase is a label, so its samples have an end.
func (m *metrics) write(f family, i int, condition string) {
	if m.err != nil {
		return
	}
	s := m.series[i]
	name := f.name
	if f.increases {
		name += "_total"
	}
	labels := m.labels[i]
	if f.name == "gameday_probe_value" && s.head.Unit != "" {
		labels += ",unit=" + m.label(s.head.Unit)
	}
	if condition != "" {
		labels += ",condition=" + m.label(condition)
	}
	// The newest sample waits until it is known that none of the same millisecond follows.
	phase, prefix := "", name+"{"+labels+"} "
	sum, value, pending, newest := 0.0, 0.0, false, int64(math.MinInt64)
	flush := func() {
		if pending {
			m.out.WriteString(prefix)
			m.out.Write(strconv.AppendFloat(m.out.AvailableBuffer(), value, 'g', -1, 64))
			m.out.WriteByte(' ')
			m.out.WriteString(timestamp(newest))
			m.out.WriteByte('\n')
		}
		pending = false
	}
	m.err = s.samples(m.r, func(one *sample) bool {
		number := f.value(one)
		if math.IsNaN(number) || math.IsInf(number, 0) || math.IsNaN(one.row[columnAt]) {
			return true
		}
		if one.phase != phase {
			flush()
			phase, sum, newest = one.phase, 0, math.MinInt64
			prefix = name + "{" + labels + ",phase=" + m.label(phase) + "} "
		}
		if f.increases {
			// What is below nothing was never counted, and a counter only rises.
			sum += max(number, 0)
			number = sum
		}
		at := m.milliseconds(one.row[columnAt])
		switch {
		case at > newest:
			flush()
			newest, value, pending = at, number, true
		case at == newest || f.increases:
			value = number
		}
		return true
	})
	flush()
}

func conditionsOf(s *experiments.Series) []string {
	list := []string{"unknown"}
	for _, gap := range s.Gaps {
		if text := string(gap.Condition); !slices.Contains(list, text) && len(list) < 20 {
			list = append(list, text)
		}
	}
	return list
}

// faultPace is the time between two samples of a fault that goes on. Prometheus forgets
// what it has not seen for five minutes.
const faultPace = 60.0

// faults writes how many hits of each fault were in the world: when it changed, and now
// and then in between.
func (m *metrics) faults() {
	m.head("gameday_fault_hits", false, "", "Hits of the fault that are in the world.")
	o := outliner{r: m.r, d: detail{text: csvText}}
	seen := map[string]bool{}
	for i := range m.r.Faults {
		f := &m.r.Faults[i]
		name := m.label(f.Name)
		if seen[name] {
			continue
		}
		seen[name] = true
		changes := map[int64]int{}
		for j := range m.r.Hits {
			h := &m.r.Hits[j]
			if h.Fault != f.Name || h.Injected.IsZero() {
				continue
			}
			changes[m.milliseconds(o.since(h.Injected))]++
			if !h.Verified.IsZero() {
				changes[m.milliseconds(o.since(h.Verified))]--
			}
		}
		var times []int64
		for at := range changes {
			times = append(times, at)
		}
		slices.Sort(times)
		count := 0
		prefix := "gameday_fault_hits{run=" + m.label(m.r.Run) + ",scenario=" + m.label(m.r.Scenario) + ",fault=" + name + ",kind=" + m.label(f.Kind) + "} "
		for n, at := range times {
			count += changes[at]
			end := m.milliseconds(o.since(o.ended()))
			if n+1 < len(times) {
				end = times[n+1]
			}
			for ; ; at += faultPace * 1000 {
				fmt.Fprintf(m.out, "%s%d %s\n", prefix, count, timestamp(at))
				if count <= 0 || at+faultPace*1000 >= end {
					break
				}
			}
		}
	}
}
