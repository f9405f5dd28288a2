package prom

import (
	"strings"
	"testing"
)

func TestTheUnitOfACountIsReadFromTheQuery(t *testing.T) {
	for query, want := range map[string]unit{
		`sum(rate(a_total[$window]))`:                                                                perSecond,
		`sum(increase(a_total{code=~"5.."}[$window]))`:                                               events,
		`sum(rate(a_total[$window])) or vector(0)`:                                                   perSecond,
		`sum(rate(a[$window])) + sum(rate(b[$window]))`:                                              perSecond,
		`sum(rate(a[$window]) > 0)`:                                                                  perSecond,
		`2 * sum(increase(a[$window]))`:                                                              events,
		`scalar(sum(rate(a[$window])))`:                                                              perSecond,
		`sum(count_over_time(up[$window])) - sum(sum_over_time(up[$window]))`:                        events,
		`sum(sum_over_time((latency > bool 0.5)[$window:1s]))`:                                       events,
		`histogram_count(sum(rate(h[$window])))`:                                                     perSecond,
		`histogram_fraction(0, 0.5, sum(rate(h[$window]))) * histogram_count(sum(rate(h[$window])))`: perSecond,
		`sum(rate(a[$window] offset 10s)) # the scrape is late`:                                      perSecond,
	} {
		e, err := parse(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if got, err := e.counts(); err != nil || got != want {
			t.Errorf("%s: %v (%v), want %v", query, got, err, want)
		}
	}
}

func TestWhatIsNotACountIsRefusedWithWhatToWrite(t *testing.T) {
	for query, want := range map[string]string{
		`sum(rate(a[5m]))`:                                               "write [$window] for the range",
		`sum(rate(a[5m])) + sum(rate(a[$window]))`:                       "counts over a range of its own; write [$window]",
		`sum(a) + sum(rate(a[$window]))`:                                 "since the process began, or a gauge",
		`sum(irate(a[$window]))`:                                         "last two samples only",
		`sum(rate(a[$window])) + sum(increase(a[$window]))`:              "use rate() on both sides, or increase() on both",
		`sum(rate(a[$window])) / sum(rate(b[$window]))`:                  "ratio or a plain number",
		`count(rate(a[$window]))`:                                        "write sum(...)",
		`histogram_quantile(0.9, sum by (le) (rate(a_bucket[$window])))`: "no error budget",
		`avg_over_time(a[$window])`:                                      "an average is not a count",
		`sum(rate(a[$window] @ 1600000000))`:                             "modifier @",
		`sum(rate(a[$window])) * sum(rate(a[$window]))`:                  "is not a count of events",
		`max_over_time(rate(a[$window])[5m:1s])`:                         "write rate(...[$window])",
		`sum(rate(a[$window])) > bool 1`:                                 "ratio or a plain number",
	} {
		e, err := parse(query)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		if _, err := e.counts(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant ...%s...", query, err, want)
		}
	}
}

func TestASyntaxErrorIsPlacedInTheQueryAsWritten(t *testing.T) {
	for query, want := range map[string]string{
		`sum(rat(a[$window]))`:    `at character 5, before "rat(a[$window]))": unknown function with name "rat"`,
		`sum(rate(a[$window])`:    "at its end: unclosed left parenthesis",
		`sum(rate(a[$window])) é`: "at character 23",
		`rate($window)`:           "$window",
	} {
		_, err := parse(query)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant ...%s...", query, err, want)
		}
	}
	if _, err := parse(strings.Repeat("(", maxQuery+1)); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("a query of %d characters: %v", maxQuery+1, err)
	}
}
