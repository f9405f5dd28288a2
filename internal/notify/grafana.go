package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// Grafana marks on dashboards when each fault was there, through the annotations API
// (https://grafana.com/docs/grafana/latest/developers/http_api/annotations/).
type Grafana struct {
	URL       string             `hcl:"url" doc:"Address of Grafana." example:"http://127.0.0.1:3000"`
	Token     experiments.Secret `hcl:"token" doc:"Token of a service account that may write annotations." example:"env(\"GRAFANA_TOKEN\")"`
	Dashboard string             `hcl:"dashboard_uid,optional" doc:"The dashboard to mark. Left out: all that show annotations with the tag gameday." example:"checkout"`
	Panel     int                `hcl:"panel_id,optional" default:"0" doc:"The panel of that dashboard; 0 is all."`
	Tags      []string           `hcl:"tags,optional" doc:"More tags. Each annotation has gameday, the scenario, the fault and the verdict." example:"[\"checkout\"]"`
	TLS       *tlsconfig.Block   `hcl:"tls,block" doc:"Which certificates to trust and to show."`

	// done has what of a run was marked: a second attempt marks the rest.
	done map[string]bool
}

// Validate implements [experiments.Validator].
func (g *Grafana) Validate() []experiments.Problem {
	list := addressProblem("url", g.URL, false)
	if strings.ContainsAny(g.Token.Reveal(), "\r\n") || g.Token.IsZero() {
		list = append(list, experiments.Problem{Attribute: "token", Summary: "Not a token", Detail: "it is empty or has a line break."})
	}
	if g.Panel != 0 && g.Dashboard == "" {
		list = append(list, experiments.Problem{Attribute: "panel_id", Summary: "Panel of no dashboard", Detail: "write dashboard_uid as well."})
	}
	return append(list, g.TLS.Problems()...)
}

// Wants implements [experiments.Receiver].
func (g *Grafana) Wants(n *experiments.Notice) bool { return n.Moment == experiments.MomentEnd }

type annotation struct {
	Dashboard string   `json:"dashboardUID,omitempty"`
	Panel     int      `json:"panelId,omitempty"`
	Time      int64    `json:"time"` // Unix milliseconds
	TimeEnd   int64    `json:"timeEnd"`
	Tags      []string `json:"tags"`
	Text      string   `json:"text"`
}

// maxWindows is how many regions of one run are marked.
const maxWindows = 50

// Deliver implements [experiments.Receiver].
func (g *Grafana) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	if n.Result == nil {
		return experiments.Receipt{}, nil
	}
	if g.done == nil {
		g.done = map[string]bool{}
	}
	all := windows(n.Result)
	marked := all[:min(len(all), maxWindows)]
	for i, w := range marked {
		key := fmt.Sprintf("%s %d", n.Run, i)
		if g.done[key] {
			continue
		}
		tags := append([]string{"gameday", n.Scenario, w.fault, string(n.Verdict)}, g.Tags...)
		// Grafana renders the text as HTML that it has cleaned.
		text := html.EscapeString(textsafe.Line(fmt.Sprintf("%s (%s) on %s: run %s, %s", w.fault, w.kind, w.targets(), n.Run, n.Verdict), 500))
		body, err := json.Marshal(annotation{g.Dashboard, g.Panel, w.from.UnixMilli(), w.to.UnixMilli(), tags, text})
		if err != nil {
			return experiments.Receipt{}, err
		}
		headers := headersOf("application/json", map[string]experiments.Secret{"Authorization": experiments.NewSecret("Bearer " + g.Token.Reveal())})
		if err := (request{"POST", strings.TrimSuffix(g.URL, "/") + "/api/annotations", headers, body, g.TLS, grafanaAdded}).send(ctx); err != nil {
			return experiments.Receipt{}, err
		}
		g.done[key] = true
	}
	switch {
	case len(all) == 0:
		return experiments.Receipt{Said: "nothing was broken, so there is nothing to mark"}, nil
	case len(all) > len(marked):
		return experiments.Receipt{Said: fmt.Sprintf("marked the first %d of %d windows", len(marked), len(all))}, nil
	}
	return experiments.Receipt{Said: fmt.Sprintf("marked %d", len(marked))}, nil
}

// window is a time during which hits of a fault were there.
type window struct {
	fault, kind string
	from, to    time.Time
	hit         []string
}

func (w window) targets() string {
	if len(w.hit) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(w.hit[:3], ", "), len(w.hit)-3)
	}
	return strings.Join(w.hit, ", ")
}

// windows joins the hits of each fault that overlap, in the order of time. What was
// never proven mended is there until the run's end.
func windows(r *experiments.Result) []window {
	hits := slices.DeleteFunc(slices.Clone(r.Hits), func(h experiments.HitResult) bool { return h.Injected.IsZero() })
	slices.SortStableFunc(hits, func(a, b experiments.HitResult) int { return a.Injected.Compare(b.Injected) })
	var list []window
	last := map[string]int{} // fault -> its last window
	for _, h := range hits {
		to := h.Verified
		if to.IsZero() {
			to = r.Ended
		}
		if h.Lasts == 0 && to.Before(h.Injected.Add(time.Second)) {
			to = h.Injected.Add(time.Second) // over at once; a region must be seen
		}
		if i, found := last[h.Fault]; found && !h.Injected.After(list[i].to) {
			w := &list[i]
			if to.After(w.to) {
				w.to = to
			}
			if !slices.Contains(w.hit, h.Target) {
				w.hit = append(w.hit, h.Target)
			}
			continue
		}
		last[h.Fault] = len(list)
		list = append(list, window{cmp.Or(h.Fault, "fault"), h.Kind, h.Injected, to, []string{h.Target}})
	}
	return list
}

// grafanaAdded looks for the answer to an annotation that was made.
func grafanaAdded(answer []byte) error {
	var said struct{ ID int64 }
	if err := json.Unmarshal(answer, &said); err != nil || said.ID == 0 {
		return errors.New("there is no id of an annotation in it")
	}
	return nil
}
