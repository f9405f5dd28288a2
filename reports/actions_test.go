package reports

import (
	"strings"
	"testing"
)

func filledPlace(key, text string) string { return placeMark(key) + text + endMark }

func TestActionItemsAreReadFromTheirTable(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []ActionItem
	}{
		{"a row in full", "| Action | Owner | Due date | Priority | Re-test | Status |\n|---|---|---|---|---|---|\n| Bound the pool | ada | 2026-12-01 | P1 | slow-payments | open |\n",
			[]ActionItem{{Action: "Bound the pool", Owner: "ada", Due: "2026-12-01", Priority: "P1", Retest: "slow-payments", Line: 4}}},
		{"columns in any order, other ones beside them", "Owner | Ticket | Action\n:--|:-:|--:\n@ada | X-1 | **Bound the pool**\n",
			[]ActionItem{{Action: "Bound the pool", Owner: "@ada", Line: 4}}},
		{"escaped pipes, code and entities", "| Action | Owner | Re-test |\n|---|---|---|\n| `a \\| b` of \\*c\\* &lt;d&gt; |  | `slow-payments` |\n",
			[]ActionItem{{Action: "`a | b` of *c* <d>", Retest: "slow-payments", Line: 4}}},
		{"what is done", "| Action | Done |\n|---|---|\n| a | x |\n| b | [x] |\n| c | no |\n| d | ✅ |\n",
			[]ActionItem{{Action: "a", Done: true, Line: 4}, {Action: "b", Done: true, Line: 5}, {Action: "c", Line: 6}, {Action: "d", Done: true, Line: 7}}},
		{"proposals until somebody owns them", "| Action | Owner | Status |\n|---|---|---|\n| a |  | proposed |\n| b | ada | proposed |\n| c | TBD | proposed |\n",
			[]ActionItem{{Action: "a", Proposed: true, Line: 4}, {Action: "b", Owner: "ada", Line: 5}, {Action: "c", Proposed: true, Line: 6}}},
		{"no action, no row", "| Action | Owner |\n|---|---|\n|  | ada |\n| TBD | ada |\n", nil},
		{"a list is no table", "- Bound the pool (ada)\n", nil},
		{"two tables with words between", "| Action | Owner |\n|---|---|\n| a | ada |\n\nLater:\n\n| Owner | Action |\n|---|---|\n| bob | b |\n",
			[]ActionItem{{Action: "a", Owner: "ada", Line: 4}, {Action: "b", Owner: "bob", Line: 10}}},
		{"a table of something else", "| Cost | Owner |\n|---|---|\n| 3 | ada |\n", nil},
	} {
		got := ActionItems([]byte(filledPlace(PlaceActions, test.text)))
		if len(got) != len(test.want) {
			t.Errorf("%s: %+v", test.name, got)
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s:\ngot  %+v\nwant %+v", test.name, got[i], test.want[i])
			}
		}
	}
	if got := ActionItems([]byte("| Action | Owner |\n|---|---|\n| a | ada |\n")); got != nil {
		t.Errorf("outside of the place: %+v", got)
	}
}

func TestADueDateIsADate(t *testing.T) {
	if at, known := (ActionItem{Due: "2026-12-01"}).DueDate(); !known || at.Format("2 Jan 2006") != "1 Dec 2026" {
		t.Errorf("got %s, %t", at, known)
	}
	for _, due := range []string{"", "soon", "1.12.2026", "2026-02-30"} {
		if _, known := (ActionItem{Due: due}).DueDate(); known {
			t.Errorf("%q is a date", due)
		}
	}
}

func TestAVeryLongTableIsReadInOnePass(t *testing.T) {
	text := "| Action | Owner |\n|---|---|\n" + strings.Repeat("| "+strings.Repeat("a|", 200)+"\n", 2000)
	if got := ActionItems([]byte(filledPlace(PlaceActions, text))); len(got) != 2000 {
		t.Errorf("%d items", len(got))
	}
}
