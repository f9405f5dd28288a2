package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/internal/tlsconfig"
)

// Alertmanager fires one alert a run through the API v2
// (https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml).
type Alertmanager struct {
	URL      string                        `hcl:"url" doc:"Address of the Alertmanager, without /api/v2." example:"http://127.0.0.1:9093"`
	On       []string                      `hcl:"on,optional" default:"[\"abort\", \"not restored\"]" enum:"begin|inject|abort|end|held|refuted|aborted|inconclusive|error|not restored" doc:"What fires the alert. It is resolved at the end, unless the end is named here."`
	Severity string                        `hcl:"severity,optional" default:"warning" doc:"The label severity."`
	Labels   map[string]string             `hcl:"labels,optional" doc:"More labels, to route the alert by. The alert has alertname = \"GamedayRun\", scenario, run and severity." example:"{ team = \"checkout\" }"`
	Expires  time.Duration                 `hcl:"expires,optional" default:"4h" doc:"When the alert resolves by itself, if nobody is left who could resolve it. An Alertmanager forgets alerts that are not sent again."`
	Headers  map[string]experiments.Secret `hcl:"headers,optional" doc:"Headers to send along." example:"{ Authorization = \"Bearer ${env(\"TOKEN\")}\" }"`
	TLS      *tlsconfig.Block              `hcl:"tls,block" doc:"Which certificates to trust and to show."`
}

// alertName is the label alertname.
const alertName = "GamedayRun"

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Validate implements [experiments.Validator].
func (a *Alertmanager) Validate() []experiments.Problem {
	list := append(addressProblem("url", a.URL, false), headerProblems(a.Headers)...)
	for name, value := range a.Labels {
		if name == "alertname" || name == "scenario" || name == "run" {
			list = append(list, experiments.Problem{Attribute: "labels", Summary: "Label that is taken", Detail: fmt.Sprintf("the label %q is set already.", name)})
		}
		if !labelName.MatchString(name) || value == "" {
			list = append(list, experiments.Problem{Attribute: "labels", Summary: "Not a label", Detail: fmt.Sprintf("%q: names of labels are letters, digits and \"_\", and values are not empty.", name)})
		}
	}
	if a.Expires < time.Minute || a.Expires > 30*24*time.Hour {
		list = append(list, experiments.Problem{Attribute: "expires", Summary: "Time out of range", Detail: "write 1m to 30d."})
	}
	return append(list, a.TLS.Problems()...)
}

// Wants implements [experiments.Receiver].
func (a *Alertmanager) Wants(n *experiments.Notice) bool {
	step := stepFor(a.On, n)
	return step == open || step == resolve // an alert cannot be acknowledged
}

type postableAlert struct {
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// labels are what the alert is known by: the same when it fires and when it resolves.
func (a *Alertmanager) labels(n *experiments.Notice) map[string]string {
	labels := map[string]string{"severity": a.Severity}
	maps.Copy(labels, a.Labels)
	maps.Copy(labels, map[string]string{"alertname": alertName, "scenario": n.Scenario, "run": n.Run})
	return labels
}

// Deliver implements [experiments.Receiver].
func (a *Alertmanager) Deliver(ctx context.Context, n *experiments.Notice) (experiments.Receipt, error) {
	alert := postableAlert{StartsAt: n.Began, Labels: a.labels(n), Annotations: map[string]string{
		"summary": textsafe.Line(title(n), 200), "description": textsafe.Line(n.Text, 1000),
	}}
	key := alertName + "{run=" + n.Run + "}"
	var receipt experiments.Receipt
	switch stepFor(a.On, n) {
	case open:
		alert.EndsAt = time.Now().Add(a.Expires)
		receipt = experiments.Receipt{Said: "fired the alert " + key + ", which resolves by itself at " + alert.EndsAt.UTC().Format(time.RFC3339), Opened: key}
	default:
		alert.EndsAt = time.Now()
		receipt = experiments.Receipt{Said: "resolved the alert " + key, Closed: key}
	}
	if !alert.StartsAt.Before(alert.EndsAt) {
		alert.StartsAt = alert.EndsAt.Add(-time.Second)
	}
	body, err := json.Marshal([]postableAlert{alert})
	if err != nil {
		return receipt, err
	}
	return receipt, request{"POST", strings.TrimSuffix(a.URL, "/") + "/api/v2/alerts", headersOf("application/json", a.Headers), body, a.TLS, nil}.send(ctx)
}
