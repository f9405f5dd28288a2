package prom

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/gameday-sh/gameday/experiments"
)

// A Counted is an SLI that counts by two queries, whatever it is written as. Rules, the
// state of budgets and the lint work on those queries.
type Counted interface {
	experiments.SLI
	// Events are the queries, with $window in them.
	Events() *Events
}

// Events implements [Counted].
func (e *Events) Events() *Events { return e }

// Over gives PromQL for the bad and for all events of a window, each one number
// without labels. Where total is there and its part is not, the part counts as none;
// where total is absent, both are: no data is not health.
//
// Beside this the queries must have been found good by Validate.
func (e *Events) Over(window time.Duration) (bad, total string, err error) {
	p, err := e.compiled()
	if err != nil {
		return "", "", err
	}
	total, part := p.total.events(window, p.totalUnit), p.part.events(window, p.partUnit)
	// What is absent is 0 as long as total is there: "or vector(0)" would go on saying
	// 0 for a service that is gone.
	if !e.whole {
		part = "(" + part + " or 0 * " + total + ")"
	}
	if p.good {
		return "clamp_min(" + total + " - " + part + ", 0)", total, nil
	}
	return part, total, nil
}

// events is the query as a count of the events of a window, without labels.
func (e *expression) events(window time.Duration, u unit) string {
	text := strings.TrimSpace(e.over(window))
	if strings.Contains(text, "\n") || strings.Contains(text, "#") {
		text += "\n" // ends a comment
	}
	switch n := e.root.(type) {
	case *parser.AggregateExpr:
		if n.Op != parser.SUM || len(n.Grouping) > 0 || n.Without {
			text = "sum(" + text + ")"
		}
	default:
		if e.root.Type() == parser.ValueTypeScalar {
			text = "vector(" + text + ")"
		} else {
			text = "sum(" + text + ")"
		}
	}
	if u == perSecond {
		text += fmt.Sprintf(" * %g", window.Seconds())
		return "(" + text + ")"
	}
	return text
}

// derived is an SLI that writes the queries of an [Events] from attributes of its own.
type derived struct {
	mu     sync.Mutex
	events *Events
}

// once makes the queries once, as an Events keeps what it found out.
func (d *derived) once(write func() *Events) *Events {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.events == nil {
		d.events = write()
	}
	return d.events
}

// problems checks derived queries. What is wrong with them is the doing of attribute.
func (d *derived) problems(attribute string, write func() *Events) []experiments.Problem {
	list := write().Validate()
	for i := range list {
		list[i].Attribute = attribute
	}
	return list[:min(len(list), 1)]
}

// metric is one with its matchers, such as http_requests_total{job="api"}.
type metric struct {
	name     string
	matchers string // job="api",code=~"5.."
}

// parseMetric reads a metric with its matchers; its error says what to write.
func parseMetric(text string) (metric, error) {
	parsed, err := parse(text)
	if err != nil {
		return metric{}, err
	}
	selector, ok := parsed.root.(*parser.VectorSelector)
	if !ok || selector.Offset != 0 || selector.OriginalOffset != 0 || selector.Timestamp != nil || selector.StartOrEnd != 0 || selector.Name == "" {
		return metric{}, fmt.Errorf("%s is not the name of a metric with its matchers, such as http_requests_total{job=\"api\"}", brief(text))
	}
	var list []string
	for _, matcher := range selector.LabelMatchers {
		if matcher.Name != model.MetricNameLabel {
			list = append(list, matcher.String())
		}
	}
	return metric{selector.Name, strings.Join(list, ",")}, nil
}

// with is the selector of the metric with another suffix and further matchers.
func (m metric) with(suffix string, matchers ...string) string {
	list := matchers
	if m.matchers != "" {
		list = append([]string{m.matchers}, matchers...)
	}
	if len(list) == 0 {
		return m.name + suffix
	}
	return m.name + suffix + "{" + strings.Join(list, ",") + "}"
}

var _ = []Sliced{(*Throughput)(nil), (*TimeSlice)(nil)}

var _ = []Counted{(*Events)(nil), (*Latency)(nil), (*Throughput)(nil), (*TimeSlice)(nil)}

// count has the derived queries counted.
func count(ctx context.Context, s Counted, at time.Time, window time.Duration) experiments.Count {
	return s.Events().Count(ctx, at, window)
}
