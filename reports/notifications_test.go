package reports

import (
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestAReportSaysWhoWasTold(t *testing.T) {
	r := results()["aborted"]
	at := time.Date(2026, 11, 24, 15, 31, 2, 0, time.UTC)
	r.Notifications = []experiments.Notification{
		{At: at, Receiver: "team", Kind: "slack", Moment: "begin", State: experiments.DeliverySent, Attempts: 1},
		{At: at, Receiver: "on-call", Kind: "pagerduty", Moment: "abort", State: experiments.DeliverySent, Attempts: 3, Said: "triggered the incident gameday/x", Opened: "gameday/x"},
		{At: at, Receiver: "on-call", Kind: "pagerduty", Moment: "end", State: experiments.DeliveryFailed, Attempts: 6, Opened: "gameday/x", Error: "POST to x was answered with 500: <script>|pipe|\n# title"},
	}
	markdown := string(render(t, "markdown", r))
	for _, want := range []string{
		"## Who was told\n",
		"| **notify.team**<br>slack | 15:31:02 | begin | told |\n",
		"| triggered the incident gameday/x (3 attempts) |\n",
		"| end | **not told**<br>POST to x was answered with 500: &lt;script&gt;\\|pipe\\| # title (6 attempts); gameday/x may be open |\n",
		"- notify.on-call was not told of the end: POST to x",
	} {
		if !strings.Contains(markdown, want) {
			t.Errorf("the Markdown does not say %q:\n%s", want, markdown)
		}
	}
	page := string(render(t, "html", r))
	for _, want := range []string{"<h2>Who was told</h2>", "not told</span><small>POST to x was answered with 500: &lt;script&gt;"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	r.Notifications = nil
	if strings.Contains(string(render(t, "markdown", r)), "Who was told") || strings.Contains(string(render(t, "html", r)), "Who was told") {
		t.Error("a run without receivers has a section about them")
	}
}
