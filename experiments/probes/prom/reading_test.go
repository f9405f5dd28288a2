package prom

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/promtest"
)

const month = 30 * experiments.Day

var (
	noon  = time.Date(2026, time.March, 20, 12, 0, 0, 0, time.UTC)
	begin = noon.Add(-month)
)

// served is a series of a job, told apart by what labels it has besides.
func served(job, labels string, value promtest.Sample) promtest.Series {
	return promtest.Series{Name: fmt.Sprintf("http_requests_total{job=%q,%s}", job, labels), Value: value}
}

// process is a counter from one time to another.
func process(from, to time.Time, rate func(time.Time) float64) promtest.Sample {
	return promtest.Counter(from, to, time.Minute, rate)
}

// inTurn is a series that several processes keep one after the other: it restarts at 0.
func inTurn(samples ...promtest.Sample) promtest.Sample {
	return func(at time.Time) (float64, bool) {
		for _, s := range samples {
			if value, there := s(at); there {
				return value, true
			}
		}
		return 0, false
	}
}

func months() promtest.History {
	early := begin.Add(-experiments.Day)
	third := func(n int) time.Time { return begin.Add(time.Duration(n) * 10 * experiments.Day) }
	by := func(perSecond float64) promtest.Sample { return process(early, noon, promtest.Steady(perSecond)) }
	outage := promtest.Between(noon.Add(-5*experiments.Day), noon.Add(-5*experiments.Day+time.Hour), 10)
	office := func(perSecond float64) func(time.Time) float64 {
		return func(at time.Time) float64 {
			if at.Hour() < 8 || at.Hour() >= 20 {
				return 0
			}
			return perSecond
		}
	}
	return promtest.History{From: early, To: noon, Step: time.Minute, Series: []promtest.Series{
		served("clean", `code="200"`, by(9.99)), served("clean", `code="500"`, by(0.01)),
		served("outage", `code="200"`, by(10)), served("outage", `code="500"`, process(early, noon, outage)),
		served("resets", `code="200"`, inTurn(process(early, third(1), promtest.Steady(10)), process(third(1).Add(time.Minute), third(2), promtest.Steady(10)), process(third(2).Add(time.Minute), noon, promtest.Steady(10)))),
		served("resets", `code="500"`, inTurn(process(early, third(1), promtest.Steady(0.1)), process(third(1).Add(time.Minute), third(2), promtest.Steady(0.1)), process(third(2).Add(time.Minute), noon, promtest.Steady(0.1)))),
		served("pods", `code="200",pod="a"`, process(early, third(1), promtest.Steady(10))), served("pods", `code="500",pod="a"`, process(early, third(1), promtest.Steady(0.2))),
		served("pods", `code="200",pod="b"`, process(third(1), third(2), promtest.Steady(10))), served("pods", `code="500",pod="b"`, process(third(1), third(2), promtest.Steady(0))),
		served("pods", `code="200",pod="c"`, process(third(2), noon, promtest.Steady(10))),
		// The nights are quiet, and the few requests of one of them all fail.
		served("nights", `code="200"`, process(early, noon, office(100))), served("nights", `code="500"`, process(early, noon, promtest.Between(third(1).Add(10*time.Hour), third(1).Add(14*time.Hour), 0.01))),
		served("spotless", `code="200"`, by(5)),
		served("broken", `code="503"`, by(5)),
		served("young", `code="200"`, process(noon.Add(-12*experiments.Day), noon, promtest.Steady(9.9))), served("young", `code="500"`, process(noon.Add(-12*experiments.Day), noon, promtest.Steady(0.1))),
		served("gone", `code="200"`, process(early, noon.Add(-2*experiments.Day), promtest.Steady(10))),
		served("idle", `code="200"`, process(early, noon, promtest.Between(early, noon.Add(-3*experiments.Day), 10))), served("idle", `code="500"`, process(early, noon, promtest.Between(early, noon.Add(-3*experiments.Day), 0.1))),
		served("never", `code="200"`, by(0)),
		{Name: `mails_total`, Value: by(1)}, {Name: `mail_errors_total{pod="a"}`, Value: process(early, third(1), promtest.Steady(0.01))},
		{Name: `took_seconds_bucket{le="0.5"}`, Value: by(9)}, {Name: `took_seconds_bucket{le="+Inf"}`, Value: by(10)}, {Name: `took_seconds_count`, Value: by(10)},
		{Name: `queue_length`, Value: func(at time.Time) (float64, bool) {
			if at.After(noon.Add(-3 * time.Hour)) {
				return 200, true
			}
			return 10, true
		}},
	}}
}

func TestEventsOfAMonthAreCounted(t *testing.T) {
	t.Parallel()
	p := dial(t, &Prometheus{URL: promtest.Start(t, months()), ScrapeInterval: minutes(1)})
	of := func(job string) *Events {
		return &Events{Prometheus: p, Bad: fmt.Sprintf(`sum(rate(http_requests_total{job=%q,code=~"5.."}[$window]))`, job), Total: fmt.Sprintf(`sum(rate(http_requests_total{job=%q}[$window]))`, job)}
	}
	goodOf := func(job string) *Events {
		return &Events{Prometheus: p, Good: fmt.Sprintf(`sum(increase(http_requests_total{job=%q,code!~"5.."}[$window]))`, job), Total: fmt.Sprintf(`sum(increase(http_requests_total{job=%q}[$window]))`, job)}
	}
	// Every slice in which mails failed had 1% of them fail.
	slices := func(metric string) *TimeSlice {
		return &TimeSlice{Prometheus: p, Bad: "sum(rate(" + metric + "[$slice]))", Total: "sum(rate(mails_total[$slice]))", SliceObjective: pointerTo(experiments.Percent(0.995)), Slice: 10 * time.Minute}
	}
	most := 100.0
	day := experiments.Day.Seconds()
	cases := []struct {
		name       string
		sli        experiments.SLI
		bad, total float64
		condition  experiments.Condition
		why        string
		// of the last hour and the last day
		hour, day experiments.Condition
		oldest    time.Time
	}{
		{name: "clean", sli: of("clean"), bad: 0.01 * 30 * day, total: 10 * 30 * day},
		{name: "clean, by good events", sli: goodOf("clean"), bad: 0.01 * 30 * day, total: 10 * 30 * day},
		{name: "an outage", sli: of("outage"), bad: 36000, total: 10*30*day + 36000},
		{name: "restarts of the process", sli: of("resets"), bad: 0.1 * 30 * day, total: 10.1 * 30 * day},
		{name: "pods that come and go", sli: of("pods"), bad: 0.2 * 10 * day, total: 10*30*day + 0.2*10*day},
		{name: "quiet nights", sli: of("nights"), bad: 0.01 * 4 * 3600, total: 100 * 30 * day / 2},
		{name: "no series of bad events", sli: of("spotless"), bad: 0, total: 5 * 30 * day},
		{name: "nothing but errors", sli: of("broken"), bad: 5 * 30 * day, total: 5 * 30 * day},
		{name: "nothing but errors, by good events", sli: goodOf("broken"), bad: 5 * 30 * day, total: 5 * 30 * day},
		{name: "less history than the window", sli: of("young"), bad: 0.1 * 12 * day, total: 10 * 12 * day, oldest: noon.Add(-12 * experiments.Day)},
		{name: "no traffic for three days", sli: of("idle"), bad: 0.1 * 27 * day, total: 10.1 * 27 * day, hour: experiments.NoTraffic, day: experiments.NoTraffic},
		{name: "no traffic at all", sli: of("never"), condition: experiments.NoTraffic, why: "no event in the last 30d", hour: experiments.NoTraffic, day: experiments.NoTraffic},
		{name: "a service that is gone", sli: of("gone"), condition: experiments.Stale, why: "ended", hour: experiments.Stale, day: experiments.Stale},
		{name: "a job that is not there", sli: of("chekout"), condition: experiments.NoData, why: "matched no series", hour: experiments.NoData, day: experiments.NoData},
		{name: "a label that is not there", sli: &Events{Prometheus: p, Bad: `sum(rate(http_requests_total{status=~"5.."}[$window]))`, Total: `sum(rate(http_requests_total[$window]))`}, condition: experiments.NoData, why: `the label "status"`, hour: experiments.NoData, day: experiments.NoData},
		{name: "errors that a pod took along", sli: &Events{Prometheus: p, Bad: `sum(rate(mail_errors_total[$window]))`, Total: `sum(rate(mails_total[$window]))`}, bad: 0.01 * 10 * day, total: 30 * day},
		{name: "a metric of errors that never was", sli: &Events{Prometheus: p, Bad: `sum(rate(mail_erors_total[$window]))`, Total: `sum(rate(mails_total[$window]))`}, condition: experiments.NoData, why: "typing error", hour: experiments.NoData, day: experiments.NoData},
		{name: "requests within a bound", sli: &Latency{Prometheus: p, Histogram: "took_seconds", Within: 500 * time.Millisecond}, bad: 30 * day, total: 10 * 30 * day},
		{name: "a bucket that is not there", sli: &Latency{Prometheus: p, Histogram: "took_seconds", Within: 300 * time.Millisecond}, condition: experiments.NoData, why: "has no bucket", hour: experiments.NoData, day: experiments.NoData},
		{name: "time slices", sli: &TimeSlice{Prometheus: p, Query: "max(queue_length)", AtMost: &most, Slice: 10 * time.Minute}, bad: 18, total: 30 * 144},
		{name: "time slices by events", sli: slices("mail_errors_total"), bad: 10 * 144, total: 30 * 144},
		{name: "time slices by a metric that never was", sli: slices("mail_erors_total"), condition: experiments.NoData, why: "typing error", hour: experiments.NoData, day: experiments.NoData},
		{name: "time slices by a label that is not there", sli: &TimeSlice{Prometheus: p, Bad: `sum(rate(http_requests_total{status=~"5.."}[$slice]))`, Total: `sum(rate(http_requests_total[$slice]))`, SliceObjective: pointerTo(experiments.Percent(0.995)), Slice: 10 * time.Minute}, condition: experiments.NoData, why: `the label "status"`, hour: experiments.NoData, day: experiments.NoData},
		{name: "a floor of traffic", sli: &Throughput{Prometheus: p, Query: `sum(rate(http_requests_total{job="idle"}[$slice]))`, AtLeast: 1, Slice: 10 * time.Minute}, bad: 3 * 144, total: 30 * 144},
		{name: "the built-in Prometheus", sli: &Events{Bad: of("clean").Bad, Total: of("clean").Total}, condition: experiments.NoData, why: "no history beside a run", hour: experiments.NoData, day: experiments.NoData},
		{name: "several series", sli: &Events{Prometheus: p, Bad: `rate(http_requests_total{code="500"}[$window])`, Total: `sum(rate(http_requests_total[$window]))`}, condition: experiments.ManySeries, why: "sum(...)", hour: experiments.ManySeries, day: experiments.ManySeries},
		{name: "what the server refuses", sli: &Events{Prometheus: p, Bad: `sum(rate(http_requests_total{job="pods"}[$window]) / ignoring(pod, code) rate(http_requests_total{job="pods"}[$window]) * ignoring(pod, code) rate(http_requests_total{job="pods"}[$window]))`, Total: of("pods").Total}, condition: experiments.Refused, why: "many-to-many", hour: experiments.Refused, day: experiments.Refused},
	}
	var wants []Want
	for _, c := range cases {
		wants = append(wants, Want{SLI: c.sli, From: begin, Windows: []time.Duration{time.Hour, experiments.Day}, Step: 2 * time.Hour})
	}
	asked := 0
	told := Read(t.Context(), noon, wants, func(done, of int) {
		if asked++; done != asked || done > of {
			t.Errorf("%d of %d are done after %d", done, of, asked)
		}
	})
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := told[i]
			about := func(what string, got, want float64) {
				if math.Abs(got-want) > 0.002*want+0.5 {
					t.Errorf("%s is %v, want about %v", what, got, want)
				}
			}
			if got.Period.Condition != c.condition || !strings.Contains(got.Period.Why, c.why) {
				t.Fatalf("the period is %q (%s), want %q (%s)", got.Period.Condition, got.Period.Why, c.condition, c.why)
			}
			about("bad", got.Period.Bad, c.bad)
			about("total", got.Period.Total, c.total)
			if got.Period.Window != month || len(got.Windows) != 2 || got.Windows[0].Window != time.Hour {
				t.Fatalf("windows are %v", got.Windows)
			}
			if got.Windows[0].Condition != c.hour || got.Windows[1].Condition != c.day {
				t.Errorf("the last hour is %q, the last day %q; want %q and %q (%s)", got.Windows[0].Condition, got.Windows[1].Condition, c.hour, c.day, got.Windows[0].Why)
			}
			if (got.Oldest.Sub(c.oldest)).Abs() > 2*time.Hour {
				t.Errorf("the oldest sample is of %v, want %v", got.Oldest, c.oldest)
			}
			if c.condition != experiments.OK && c.condition != experiments.NoTraffic {
				if got.Course != nil {
					t.Error("an unknown state has a course")
				}
				return
			}
			if len(got.Course) != 360 || !got.Course[359].At.Equal(noon) || got.Course[0].Window != 2*time.Hour {
				t.Fatalf("the course has %d stretches", len(got.Course))
			}
			// The stretches add up to the whole.
			var bad, total float64
			for _, s := range got.Course {
				bad, total = bad+s.Bad, total+s.Total
			}
			if !strings.HasPrefix(c.name, "time slices") && c.name != "a floor of traffic" { // a range is closed at both ends
				about("sum of bad", bad, c.bad)
				about("sum of total", total, c.total)
			}
		})
	}
	// What must not be repeated: an average of ratios counts the one quiet night with its
	// four failed hours as much as thirty busy days.
	nights := told[5]
	var ratios float64
	var n int
	for _, s := range nights.Course {
		if ratio := s.Ratio(); !math.IsNaN(ratio) {
			ratios, n = ratios+ratio, n+1
		}
	}
	if average, counted := ratios/float64(n), nights.Period.Ratio(); average < 1000*counted {
		t.Errorf("the average of ratios is %v and the ratio of sums %v: the history does not tell them apart", average, counted)
	}
}

func TestACourseInPiecesIsWhole(t *testing.T) {
	h := promtest.History{From: noon.Add(-experiments.Day), To: noon, Step: time.Minute, Series: []promtest.Series{
		served("a", `code="200"`, process(noon.Add(-experiments.Day), noon, promtest.Steady(1))),
	}}
	p := dial(t, &Prometheus{URL: promtest.Start(t, h), ScrapeInterval: seconds(1)})
	sli := &Events{Prometheus: p, Bad: `sum(increase(http_requests_total{code="500"}[$window])) or vector(0)`, Total: `sum(increase(http_requests_total[$window]))`}
	// 17,280 stretches of 5 s are more than a server gives at once; the last is shorter.
	from := noon.Add(-experiments.Day - 4*time.Second)
	told := Read(t.Context(), noon, []Want{{SLI: sli, From: from, Step: 5 * time.Second}}, nil)
	course := told[0].Course
	if len(course) != 17_281 || course[17_280].Window != 4*time.Second || !course[17_280].At.Equal(noon) {
		t.Fatalf("%d stretches: %+v (%+v)", len(course), course[len(course)-1], told[0].Period)
	}
	for i := 1; i < len(course); i++ {
		if !course[i-1].At.Add(course[i].Window).Equal(course[i].At) {
			t.Fatalf("stretch %d ends at %v, the one before at %v", i, course[i].At, course[i-1].At)
		}
		if course[i].Condition == experiments.Unreachable || course[i].Condition == experiments.Refused {
			t.Fatalf("stretch %d: %s", i, course[i].Why)
		}
	}
}

func TestServersThatFailOrLieLeaveTheStateUnknown(t *testing.T) {
	points := func(result string) string {
		return `{"status":"success","data":{"resultType":"vector","result":[` + result + `]}}`
	}
	part := func(mark, value string) string {
		return fmt.Sprintf(`{"metric":{"gameday_part":%q},"value":[1774008000,%q]}`, mark, value)
	}
	fresh := part("0/-1/newest0", "1774008000")
	for name, c := range map[string]struct {
		status    int
		body      string
		condition experiments.Condition
	}{
		"a web page":               {200, "<html>log in</html>", experiments.Refused},
		"a gateway without server": {502, "bad gateway", experiments.Unreachable},
		"nothing in the answer":    {200, points(""), experiments.NoData},
		"more bad than all":        {200, points(fresh + "," + part("0/0/total", "1") + "," + part("0/0/bad", "900")), experiments.Refused},
		"less than nothing":        {200, points(fresh + "," + part("0/0/total", "-5") + "," + part("0/0/bad", "1")), experiments.Refused},
		"NaN":                      {200, points(fresh + "," + part("0/0/total", "NaN") + "," + part("0/0/bad", "1")), experiments.NotANumber},
		"infinitely many":          {200, points(fresh + "," + part("0/0/total", "+Inf")), experiments.NotANumber},
		"parts nobody asked for":   {200, points(part("7/0/total", "5") + "," + part("x", "5") + "," + part("0/99/total", "5")), experiments.NoData},
		"a matrix for a vector":    {200, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"2"],[0,"1"]]}]}}`, experiments.NoData},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			p := dial(t, &Prometheus{URL: server.URL})
			sli := &Events{Prometheus: p, Bad: `sum(rate(errors_total[$window])) or vector(0)`, Total: `sum(rate(requests_total[$window]))`}
			told := Read(t.Context(), noon, []Want{{SLI: sli, From: begin, Windows: []time.Duration{time.Hour}, Step: time.Hour}}, nil)[0]
			if told.Period.Condition != c.condition || told.Period.Why == "" || told.Period.Total != 0 || told.Course != nil {
				t.Errorf("the period is %+v, want %q with a reason", told.Period, c.condition)
			}
			if len(told.Windows) != 1 || told.Windows[0].Condition == experiments.OK {
				t.Errorf("the hour is %+v", told.Windows)
			}
		})
	}
}

func TestAServerThatIsAwayIsAskedOnce(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); w.WriteHeader(503) }))
	defer server.Close()
	p := dial(t, &Prometheus{URL: server.URL})
	var wants []Want
	for range 8 * 12 {
		wants = append(wants, Want{SLI: &Events{Prometheus: p, Bad: `sum(rate(e[$window]))`, Total: `sum(rate(r[$window]))`}, From: begin})
	}
	for _, told := range Read(t.Context(), noon, wants, nil) {
		if told.Period.Condition != experiments.Unreachable {
			t.Fatalf("the period is %+v", told.Period)
		}
	}
	if asked.Load() > 12+3 {
		t.Errorf("%d queries were sent for 96 SLIs", asked.Load())
	}
}

func TestABadCourseIsRefused(t *testing.T) {
	for _, body := range []string{
		`{"status":"success","data":{"resultType":"vector","result":[]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":{}}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1]]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,2]]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[["1","2"]]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"x"]]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[NaN,"1"]]}]}}`,
		`{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[2,"1"],[1,"1"]]}]}}`,
		`{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution"}`,
		`null`, ``, `[]`,
	} {
		if lines, err := decodeLines([]byte(body)); err == nil {
			t.Errorf("%s is read as %v", body, lines)
		}
	}
}

func minutes(n int) *time.Duration { d := time.Duration(n) * time.Minute; return &d }
func seconds(n int) *time.Duration { d := time.Duration(n) * time.Second; return &d }
