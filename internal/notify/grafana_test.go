package notify

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// grafanaSchema is what the annotations API takes
// (https://grafana.com/docs/grafana/latest/developers/http_api/annotations/).
const grafanaSchema = `{
  "type": "object", "additionalProperties": false, "required": ["time", "timeEnd", "tags", "text"],
  "properties": {"dashboardUID": {"type": "string"}, "panelId": {"type": "integer"}, "time": {"type": "integer", "minimum": 1000000000000},
    "timeEnd": {"type": "integer", "minimum": 1000000000000}, "tags": {"type": "array", "items": {"type": "string"}}, "text": {"type": "string", "minLength": 1}}
}`

func TestGrafanaMarksWhenAFaultWasThere(t *testing.T) {
	s := newServer(t, says(200, `{"message":"Annotation added","id":1}`))
	grafana := &Grafana{URL: s.URL + "/", Token: experiments.NewSecret("glsa_x"), Dashboard: "checkout", Panel: 4, Tags: []string{"shop"}}
	sent(t, tell(t, plan("dashboards", "grafana", grafana)))
	all := s.all()
	if len(all) != 1 {
		t.Fatalf("%d requests", len(all))
	}
	fits(t, grafanaSchema, all[0].body)
	var got annotation
	if err := json.Unmarshal(all[0].body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Time != start.Add(4*time.Second).UnixMilli() || got.TimeEnd != start.Add(7*time.Second).UnixMilli() || got.Dashboard != "checkout" || got.Panel != 4 {
		t.Errorf("%+v", got)
	}
	if strings.Join(got.Tags, " ") != "gameday slow late aborted shop" || all[0].path != "/api/annotations" || all[0].header.Get("Authorization") != "Bearer glsa_x" {
		t.Errorf("%+v %+v", got, all[0])
	}
	if strings.Contains(got.Text, "<script>") || strings.Contains(got.Text, planted) {
		t.Errorf("text %q", got.Text)
	}
}

func TestGrafanaMarksNothingTwiceWhenItIsTriedAgain(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, nth int) {
		if nth == 2 {
			w.WriteHeader(500)
			return
		}
		says(200, `{"id":1}`)(w, nth)
	})
	r := result()
	second := r.Hits[0]
	second.ID, second.Injected, second.Verified = "late.2", start.Add(8*time.Second), start.Add(9*time.Second)
	r.Hits = append(r.Hits, second)
	d := New(t.Context(), []*experiments.ReceiverPlan{plan("dashboards", "grafana", &Grafana{URL: s.URL, Token: experiments.NewSecret("x")})}, Options{})
	if told := d.End(t.Context(), r, experiments.MomentEnd); len(told) != 1 || told[0].State != experiments.DeliverySent || told[0].Attempts != 2 || told[0].Said != "marked 2" {
		t.Errorf("%+v", told)
	}
	if all := s.all(); len(all) != 3 || string(all[0].body) == string(all[1].body) || string(all[1].body) != string(all[2].body) {
		t.Errorf("%d requests", len(all))
	}
}

func TestWindowsOfAFaultAreJoinedWhereTheyOverlap(t *testing.T) {
	hit := func(fault, target string, from, to int) experiments.HitResult {
		h := experiments.HitResult{Hit: experiments.Hit{Fault: fault, Target: target, Lasts: time.Second}, Injected: start.Add(time.Duration(from) * time.Second)}
		if to > 0 {
			h.Verified = start.Add(time.Duration(to) * time.Second)
		}
		return h
	}
	r := &experiments.Result{Ended: start.Add(time.Minute), Hits: []experiments.HitResult{
		hit("a", "x", 10, 20), hit("a", "y", 15, 25), hit("a", "z", 30, 40), hit("b", "x", 12, 0), {Hit: experiments.Hit{Fault: "c"}},
	}}
	var got []string
	for _, w := range windows(r) {
		got = append(got, w.fault+" "+w.from.Sub(start).String()+" to "+w.to.Sub(start).String()+": "+w.targets())
	}
	if want := "a 10s to 25s: x, y; b 12s to 1m0s: x; a 30s to 40s: z"; strings.Join(got, "; ") != want {
		t.Errorf("%s", strings.Join(got, "; "))
	}
}
