package imports

import (
	"strings"

	"github.com/gameday-sh/gameday/internal/blocks"
)

// What plain YAML says in words, and only a person can finish.

// readJourneys keeps journeys as blocks to be finished: their steps are words, and a
// step needs an address to be run.
func readJourneys(r *reader, n *node) {
	for _, one := range named(n) {
		b := blocks.Block{Type: "journey", Labels: []string{r.plainID(one)}, Off: true}
		b.Comment = append([]string{"A user journey to be finished: give each step its url. It was: " + nameOf(one)}, one.allComments()...)
		if description := one.get("description"); description != nil {
			b.Comment = append(b.Comment, description.text())
		}
		if criticality := one.get("criticality").text(); criticality != "" {
			b.SetText("criticality", criticality)
		}
		for _, step := range one.get("steps").list() {
			inner := blocks.Block{Type: "step", Labels: []string{step.text()}}
			inner.SetText("url", "https://...")
			b.Blocks = append(b.Blocks, inner)
		}
		r.kept = append(r.kept, b)
		one.note(Lost, "its steps are words, and a step of a journey is a request: it is kept as a comment, to be given addresses")
	}
}

// plainID is the name of a block that is a comment only.
func (r *reader) plainID(n *node) string {
	if id := identifier(nameOf(n)); id != "" {
		return id
	}
	return "unnamed"
}

// goldenAttributes are what a golden_signals block asks for, by the signal.
var goldenAttributes = []struct{ signal, attribute string }{
	{"latency", "duration"}, {"traffic", "requests"}, {"errors", "errors"}, {"saturation", "saturation"},
}

// readGoldenSignals keeps the signals as a block to be finished: they name what to
// look at, and not by which series.
func readGoldenSignals(r *reader, n *node) {
	b := blocks.Block{Type: "golden_signals", Labels: []string{"service"}, Off: true}
	b.Comment = []string{"Golden signals to be finished: write the series of the service."}
	for _, one := range goldenAttributes {
		signal := n.get(one.signal)
		if signal == nil {
			continue
		}
		line := capital(one.signal)
		if description := signal.get("description"); description != nil {
			line += ": " + description.text()
		}
		var metrics []string
		for _, metric := range signal.get("metrics").list() {
			metrics = append(metrics, metric.text())
		}
		if len(metrics) > 0 {
			line += "; metrics " + strings.Join(metrics, ", ")
		}
		if target := signal.get("target"); target != nil {
			line += "; target " + target.text()
		}
		b.Comment = append(b.Comment, line)
		b.SetText(one.attribute, "...")
		b.Attributes = append(b.Attributes, goldenTarget(one.signal, signal.get("target").peek())...)
		signal.note(Lost, "it names metrics and no queries: it is kept as a comment, to be finished by hand")
	}
	b.Comment = append(b.Comment, n.allComments()...)
	r.kept = append(r.kept, b)
}

var (
	percentileTarget = pattern(`(?i)\bp(\d+(?:\.\d+)?)\s*(?:<|<=|below|under)\s*(\d+(?:\.\d+)?\s*(?:ms|s))\b`)
	trafficTarget    = pattern(`(?i)(\d[\d,]*(?:\.\d+)?)\s*(?:rps|req/s|requests (?:per|a) second)`)
	percentTarget    = pattern(`(?:<|<=|below|under)\s*(\d+(?:\.\d+)?)\s*%`)
)

// goldenTarget makes attributes of a target in words, where it is of a usual form.
func goldenTarget(signal, text string) []blocks.Attribute {
	switch signal {
	case "latency":
		if found := percentileTarget().FindStringSubmatch(text); found != nil {
			return []blocks.Attribute{{Name: "latency_percentile", Value: blocks.Text(found[1] + "%")},
				{Name: "latency_at_most", Value: blocks.Text(strings.ReplaceAll(found[2], " ", ""))}}
		}
	case "traffic":
		if found := trafficTarget().FindStringSubmatch(text); found != nil {
			return []blocks.Attribute{{Name: "traffic_at_least", Value: blocks.Number(strings.ReplaceAll(found[1], ",", ""))}}
		}
	default:
		if found := percentTarget().FindStringSubmatch(text); found != nil {
			return []blocks.Attribute{{Name: signal + "_at_most", Value: blocks.Text(found[1] + "%")}}
		}
	}
	return nil
}

func capital(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
