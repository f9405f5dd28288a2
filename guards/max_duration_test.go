package guards

import (
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

func TestMaxDuration(t *testing.T) {
	for _, test := range []struct {
		name    string
		limit   *time.Duration
		planned time.Duration
		now     float64
		want    wanted
	}{
		{"within the schedule", nil, 2 * time.Minute, 130, wanted{text: "2m10s of 3m30s"}},
		{"exactly one and a half times the schedule and 30s", nil, 2 * time.Minute, 210, wanted{text: "3m30s of 3m30s"}},
		{"longer than that", nil, 2 * time.Minute, 210.1, wanted{breached: true, since: 210, text: "3m30s of 3m30s"}},
		{"within the limit", pointer(5 * time.Minute), time.Second, 299, wanted{text: "4m59s of 5m"}},
		{"longer than the limit", pointer(5 * time.Minute), time.Hour, 305, wanted{breached: true, since: 300, text: "5m5s of 5m"}},
		{"a schedule that is over at once", nil, 0, 15, wanted{text: "15s of 30s"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := experiments.NewHistory(began, nil, nil)
			h.Injected, h.Planned, h.Now = at(0), test.planned, at(test.now)
			check(t, (&MaxDuration{Limit: test.limit}).Judge(h), test.want)
		})
	}
	t.Run("before the injection", func(t *testing.T) {
		check(t, (&MaxDuration{}).Judge(experiments.NewHistory(began, nil, nil)), wanted{text: "nothing was injected yet"})
	})
}

func TestMaxDurationProblems(t *testing.T) {
	summaries(t, (&MaxDuration{}).Validate())
	summaries(t, (&MaxDuration{Limit: pointer(time.Minute)}).Validate())
	summaries(t, (&MaxDuration{Limit: pointer(time.Duration(0))}).Validate(), "limit: No time at all")
}
