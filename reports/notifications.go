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
