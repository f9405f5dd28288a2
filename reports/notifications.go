package reports

import (
	"fmt"

	"github.com/gameday-sh/gameday/experiments"
)

// noticeRow is who was told of what, or could not be.
type noticeRow struct {
	Clock, Receiver, Kind, Moment, Outcome string
	Failed                                 bool
}

// notices lists the deliveries in their order.
func (o outliner) notices() []noticeRow {
	var rows []noticeRow
	for i := range o.r.Notifications {
		n := &o.r.Notifications[i]
		if len(rows) >= o.d.rows {
			break
		}
		row := noticeRow{
			Clock: n.At.UTC().Format("15:04:05"), Receiver: "notify." + o.clean(n.Receiver), Kind: o.clean(n.Kind),
			Moment: o.clean(n.Moment), Outcome: "told", Failed: n.State != experiments.DeliverySent,
		}
		if n.Said != "" {
			row.Outcome = o.clean(n.Said)
		}
		if row.Failed {
			row.Outcome = o.clean(n.Error)
		}
		if n.Attempts > 1 {
			row.Outcome += fmt.Sprintf(" (%d attempts)", n.Attempts)
		}
		if row.Failed && n.Opened != "" {
			row.Outcome += "; " + o.clean(n.Opened) + " may be open"
		}
		rows = append(rows, row)
	}
	return rows
}

// toldSection is who was told of what; nothing where the scenario names no receiver.
func (o outliner) toldSection() []block {
	rows := o.notices()
	if len(rows) == 0 {
		return nil
	}
	t := &sheet{
		Caption: "Receivers, and what came of telling them",
		Columns: []heading{{"Receiver", declared}, {"Time (UTC)", measured}, {"Of what", measured}, {"Outcome", measured}},
	}
	for _, n := range rows {
		outcome := cell{Value: n.Outcome}
		if n.Failed {
			outcome = cell{Value: "not told", Class: "refuted", Detail: n.Outcome}
		}
		t.Rows = append(t.Rows, []cell{{Value: n.Receiver, Detail: n.Kind}, {Value: n.Clock}, {Value: n.Moment}, outcome})
	}
	if left := len(o.r.Notifications) - len(rows); left > 0 {
		t.More = plural(left, "more delivery") + " in result.json."
	}
	return []block{{Table: t}}
}
