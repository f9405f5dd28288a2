package reports

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/promtest"
)

// blocks has the real promtool make blocks of a run, and gives their folder.
func blocks(t *testing.T, r *experiments.Result) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	promtest.Import(t, func(w io.Writer) error {
		_, err := w.Write(render(t, "openmetrics", r))
		return err
	}, data)
	return data
}

// ask gives the values of an instant query, by their labels.
func ask(t *testing.T, server, query string, at time.Time) map[string]float64 {
	t.Helper()
	answer, err := http.Get(server + "/api/v1/query?" + url.Values{"query": {query}, "time": {fmt.Sprintf("%.3f", float64(at.UnixMilli())/1000)}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(body, &read); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v %s", query, err, body)
	}
	values := map[string]float64{}
	for _, one := range read.Data.Result {
		var key []string
		for _, name := range []string{"series", "phase", "fault", "condition", "verdict"} {
			if one.Metric[name] != "" {
				key = append(key, one.Metric[name])
			}
		}
		value, err := strconv.ParseFloat(one.Value[1].(string), 64)
		if err != nil {
			t.Fatal(err)
		}
		values[strings.Join(key, " ")] = value
	}
	return values
}

func TestPrometheusReadsTheSamplesOfARun(t *testing.T) {
	r := run(experiments.Held)
	server := promtest.On(t, blocks(t, r))
	for _, test := range []struct {
		query string
		at    float64
		want  map[string]float64
	}{
		{`gameday_probe_latency_seconds`, 2, map[string]float64{"probe.front_door baseline": r.Series[0].Latency[4]}},
		// As many as the columns hold: 116 before the faults, 479 while they were on, the rest
		// but the 26 that could not be read after.
		{`sum by (series) (max_over_time(gameday_probe_events_total[10m]))`, 200, map[string]float64{"probe.front_door": 796 - 27}},
		{`sum(max_over_time(gameday_probe_bad_events_total[10m]))`, 200, map[string]float64{"": 8}},
		{`max_over_time(gameday_unreadable_measurements_total[10m])`, 200, map[string]float64{"probe.front_door recover unreachable": 27}},
		{`gameday_slo_window_events{window="10s"}`, 61, map[string]float64{"slo.checkout disrupt": 240, "slo.checkout baseline": 240}},
		{`gameday_fault_hits`, 100, map[string]float64{"late-payments": 1, "lose-a-pod": 0}},
		{`gameday_fault_hits`, 91, map[string]float64{"late-payments": 1, "lose-a-pod": 1}},
		{`gameday_fault_hits`, 151, map[string]float64{"late-payments": 0, "lose-a-pod": 0}},
		{`gameday_run_info{scenario="slow-payments"}`, 200, map[string]float64{"held": 1}},
		{`sum(resets(gameday_probe_events_total[10m]))`, 200, map[string]float64{"": 0}},
	} {
		got := ask(t, server, test.query, after(test.at))
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s at %g s: %v, want %v", test.query, test.at, got, test.want)
		}
	}
}

func TestPromtoolTakesWhatAnyRunLeaves(t *testing.T) {
	list := all()
	list["hostile"] = hostile()
	crowded := run(experiments.Held)
	s := crowded.Series[0]
	for i := range s.At {
		s.At[i] = 1 + float64(i/10)*1e-3 // ten in a millisecond
	}
	list["crowded"] = crowded
	turned := run(experiments.Held)
	for i, s := 0, turned.Series[0]; i < len(s.At)/2; i++ {
		s.At[i], s.At[len(s.At)-1-i] = s.At[len(s.At)-1-i], s.At[i]
	}
	list["turned"] = turned
	for name, r := range list {
		t.Run(name, func(t *testing.T) { blocks(t, r) })
	}
}
