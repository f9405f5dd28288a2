package prom

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// requests is an exposition of so many series of one counter.
func requests(series int) []byte {
	var text strings.Builder
	text.WriteString("# TYPE requests_total counter\n")
	for i := range series {
		fmt.Fprintf(&text, "requests_total{path=\"/%d\"} 1\n", i)
	}
	return []byte(text.String())
}

// The store has room for a part of a target's series. Read alone, that part could be
// the healthy one: the scrape fails as a whole instead.
func TestATargetThatDoesNotFitIsNotReadInPart(t *testing.T) {
	t.Parallel()
	inside := newBuiltin(time.Second, time.Second)
	inside.store = NewStore(20, time.Hour)
	target := newTarget(inside.store, map[string]string{"job": "shop"})
	scrape := func(second, series int) error {
		return target.take(now.Add(time.Duration(second)*time.Second), time.Millisecond, requests(series), "text/plain", nil)
	}
	read := func(second int, query string) []Point {
		t.Helper()
		answer, err := inside.Query(t.Context(), query, now.Add(time.Duration(second)*time.Second).Add(10*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		return answer.Points
	}
	if err := scrape(0, 10); err != nil {
		t.Fatal(err)
	}
	if points := read(0, "sum(requests_total)"); len(points) != 1 || points[0].Value != 10 {
		t.Fatalf("10 series give %v", points)
	}
	for i, series := range []int{19, 21, 1_000_000} {
		second := i + 1
		if err := scrape(second, series); err == nil || !strings.Contains(err.Error(), "use a server (url)") {
			t.Errorf("%d series: %v", series, err)
		}
		if points := read(second, "requests_total"); len(points) != 0 {
			t.Errorf("of %d series, %d are read", series, len(points))
		}
		if points := read(second, "up"); len(points) != 1 || points[0].Value != 0 {
			t.Errorf("up is %v", points)
		}
		if inside.store.Len() > 20 || len(target.cache) > 21 {
			t.Errorf("%d series in the store, %d remembered", inside.store.Len(), len(target.cache))
		}
	}
	if err := scrape(4, 10); err != nil {
		t.Errorf("what fits again: %v", err)
	}
	if points := read(4, "sum(requests_total)"); len(points) != 1 || points[0].Value != 10 {
		t.Errorf("10 series give %v", points)
	}
}

// A target that goes on and on is cut off by size or by time, whichever comes first.
func TestATargetThatNeverEndsIsCutOff(t *testing.T) {
	t.Parallel()
	line := []byte(strings.Repeat("# nothing to see here\n", 4096))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	scrape := &Scrape{URL: server.URL}
	body, _, err := scrape.fetch(t.Context(), server.Client(), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "more than 32 MiB") {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}

func TestWhatAProbeCouldNotAskIsCounted(t *testing.T) {
	p := start(t)
	probe := &experiments.Probed{Name: "door", Kind: "http", Every: time.Second}
	for i, condition := range []experiments.Condition{experiments.OK, experiments.NotAsked, experiments.NotAsked, experiments.Broken, experiments.OK} {
		sample := experiments.Sample{At: now.Add(time.Duration(i) * time.Second), Counted: condition == experiments.OK, Good: true, Condition: condition}
		if err := p.Observe(probe, sample); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := p.Query(t.Context(), "gameday_probe_missed_total", now.Add(4*time.Second))
	if err != nil || len(answer.Points) != 1 || answer.Points[0].Value != 2 {
		t.Errorf("%+v, %v", answer, err)
	}
}
