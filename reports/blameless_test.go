package reports

import (
	"strings"
	"testing"
)

func TestWordingThatLooksForWhoIsFound(t *testing.T) {
	for _, test := range []struct{ text, found string }{
		{"The outage was due to human error.", "human error"},
		{"It was an operator mistake", "operator mistake"},
		{"We should have tested it.", "should have tested"},
		{"The team should not have deployed on Friday", "should not have deployed"},
		{"She shouldn't have known", "shouldn't have known"},
		{"That could have been prevented.", "could have been prevented"},
		{"If only the alert had fired", "If only"},
		{"Had the team just checked the pool,", "Had the team just checked"},
		{"a careless change", "careless"},
		{"The engineer forgot to set the timeout.", "The engineer forgot"},
		{"Somebody forgot it", "Somebody forgot"},
		{"Grace forgot the limit", "Grace forgot"},
		{"He ignored the page", "He ignored"},
		{"The on-call failed to notice it", "The on-call failed to"},
		{"They failed to follow the runbook", "They failed to"},
		{"Nobody is to blame but him", "to blame"},
		{"we must be more careful", "be more careful"},
		{"Retrain the operators", "Retrain the operators"},
		{"Ada broke the pool", "Ada broke"},
		{"It is because of @ada, who was tired", "because of @ada"},
		{"It was ada's mistake", "ada's mistake"},
		{"Émile deleted the table", "Émile deleted"},
		{"a lack of attention", "lack of attention"},
		{"They didn’t check the pool", "They didn’t check"},
	} {
		list := Lint(test.text, 7, []string{"@ada", "Émile", ""})
		if len(list) != 1 || !strings.EqualFold(strings.TrimSpace(list[0].Found), test.found) || list[0].Line != 7 || list[0].Why == "" || list[0].Better == "" {
			t.Errorf("%q: %+v", test.text, list)
		}
	}
}

func TestWordingThatLooksForHowIsLeftAlone(t *testing.T) {
	for _, text := range []string{
		"The fault late-payments was injected, and checkout failed.", "The pool should have a limit.", "Every service should have an owner.", "The default accepted a timeout of 30 s.",
		"ada opened the dashboard, saw the pool full and rolled back.", "Thanks to ada for the runbook.", "The error budget was spent.", "The command takes production by default, and nothing asks.",
		"`should have known`", "```\nhuman error\n```", "    human error", "We did not have an alert for it.", "Joada broke nothing", "The service failed to start within 30 s.", "users failed to log in",
	} {
		for _, w := range Lint(text, 1, []string{"ada"}) {
			t.Errorf("%q: %q: %s", text, w.Found, w.Why)
		}
	}
}

func TestFindingsOfTheLintComeInTheOrderOfLines(t *testing.T) {
	list := Lint("fine\nhuman error\n\ncareless, and human error\n", 10, nil)
	var lines []int
	for _, w := range list {
		lines = append(lines, w.Line)
	}
	if len(lines) != 3 || lines[0] != 11 || lines[1] != 13 || lines[2] != 13 {
		t.Errorf("lines %v", lines)
	}
}
