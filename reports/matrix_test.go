package reports

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

var matrixDay = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// tried is a run that broke dependencies and judged one series.
func tried(name string, daysAgo int, series string, during, recovery experiments.Verdict, mayBreak bool, dependencies ...string) *experiments.Result {
	began := matrixDay.AddDate(0, 0, -daysAgo)
	r := &experiments.Result{Run: name, Began: began}
	h := experiments.HypothesisResult{Name: "h", Series: series, MayBreak: mayBreak}
	if during != "" {
		h.During = &experiments.Judgement{Verdict: during}
	}
	if recovery != "" {
		h.Recovery = &experiments.Judgement{Verdict: recovery}
	}
	r.Hypotheses = []experiments.HypothesisResult{h}
	for _, d := range dependencies {
		r.Faults = append(r.Faults, experiments.FaultResult{Name: d, Dependency: d, Injected: 1})
	}
	return r
}

func cellOf(t *testing.T, m *Matrix, dependency, journey string) Cell {
	t.Helper()
	for i, d := range m.Dependencies {
		for k, j := range m.Journeys {
			if d == dependency && j == journey {
				return m.Cells[i][k]
			}
		}
	}
	t.Fatalf("no cell %s x %s in %+v", dependency, journey, m)
	return Cell{}
}

func TestTheNewestRunThatTellsIsWhatTheMatrixShows(t *testing.T) {
	const held, refuted, unclear = experiments.Held, experiments.Refuted, experiments.Inconclusive
	for _, test := range []struct {
		name string
		runs []*experiments.Result
		want Fared
		run  string
	}{
		{"held", []*experiments.Result{tried("a", 1, "journey.pay", held, held, false, "db")}, Works, "a"},
		{"refuted", []*experiments.Result{tried("a", 1, "journey.pay", refuted, held, false, "db")}, Down, "a"},
		{"broken as allowed, and back", []*experiments.Result{tried("a", 1, "journey.pay", refuted, held, true, "db")}, Degraded, "a"},
		{"broken as allowed, and not back", []*experiments.Result{tried("a", 1, "journey.pay", refuted, refuted, true, "db")}, Down, "a"},
		{"allowed to break and held", []*experiments.Result{tried("a", 1, "journey.pay", held, held, true, "db")}, Works, "a"},
		{"not judged", []*experiments.Result{tried("a", 1, "journey.pay", "", "", false, "db")}, Unclear, "a"},
		{"the newer counts, whatever the order", []*experiments.Result{tried("old", 9, "journey.pay", refuted, held, false, "db"), tried("new", 2, "journey.pay", held, held, false, "db")}, Works, "new"},
		{"one that tells nothing leaves the older", []*experiments.Result{tried("new", 2, "journey.pay", unclear, held, false, "db"), tried("old", 9, "journey.pay", refuted, held, false, "db")}, Down, "old"},
	} {
		if cell := cellOf(t, NewMatrix(test.runs, matrixDay, 30*24*time.Hour), "db", "journey.pay"); cell.Fared != test.want || cell.Run != test.run {
			t.Errorf("%s: %+v, want %s by %s", test.name, cell, test.want, test.run)
		}
	}
}

func TestTheMatrixTellsUntestedStaleAndShared(t *testing.T) {
	runs := []*experiments.Result{
		tried("a", 1, "journey.pay", experiments.Refuted, experiments.Held, false, "db", "cache"),
		tried("b", 40, "probe.door", experiments.Held, experiments.Held, false, "mail"),
	}
	never := tried("c", 1, "journey.pay", experiments.Held, experiments.Held, false, "queue")
	never.Faults[0].Injected = 0 // planned, and never shown to have happened
	m := NewMatrix(append(runs, never), matrixDay, 30*24*time.Hour)
	if cell := cellOf(t, m, "db", "journey.pay"); len(cell.With) != 1 || cell.With[0] != "cache" || cell.Stale {
		t.Errorf("%+v", cell)
	}
	if cell := cellOf(t, m, "mail", "probe.door"); !cell.Stale || cell.Fared != Works {
		t.Errorf("%+v", cell)
	}
	if cell := cellOf(t, m, "mail", "journey.pay"); cell.Fared != Untested {
		t.Errorf("%+v", cell)
	}
	if strings.Join(m.Dependencies, " ") != "cache db mail" || strings.Join(m.Journeys, " ") != "journey.pay probe.door" {
		t.Errorf("%q %q", m.Dependencies, m.Journeys)
	}
	if stale, untested := m.Stale(); stale != 1 || untested != 3 {
		t.Errorf("%d stale, %d untested", stale, untested)
	}
}

func TestPodsOfAWorkloadAreOneDependency(t *testing.T) {
	for target, want := range map[string]string{
		"pod shop/checkout-7b797b55db-d78cg": "pods of shop/checkout",
		"pod shop/db-0":                      "pod shop/db-0",
		"pod shop/agent-x7k2p":               "pods of shop/agent",
		"proxy payments":                     "proxy payments",
		"node worker-1":                      "node worker-1",
	} {
		if got := lastingName(target); got != want {
			t.Errorf("%s is %q, want %q", target, got, want)
		}
	}
}

func TestNoFormatOfTheMatrixTrustsItsTexts(t *testing.T) {
	evil := "<script>alert(1)</script> | [x](javascript:1) \x1b[31m" + strings.Repeat("long ", 100_000)
	m := NewMatrix([]*experiments.Result{tried(evil, 1, "journey."+evil, experiments.Held, experiments.Held, false, evil)}, matrixDay, 24*time.Hour)
	for name, write := range map[string]func(*bytes.Buffer) error{
		"html":     func(b *bytes.Buffer) error { return m.WriteHTML(b) },
		"markdown": func(b *bytes.Buffer) error { return m.WriteMarkdown(b) },
		"text":     func(b *bytes.Buffer) error { return m.WriteText(b) },
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		if strings.Contains(text, "\x1b") || name != "text" && strings.Contains(text, "<script") || name == "markdown" && strings.Contains(text, "[x](") {
			t.Errorf("%s lets it through: %.2000s", name, text)
		}
		if len(text) > 40_000 {
			t.Errorf("%s takes %d bytes", name, len(text))
		}
	}
}
