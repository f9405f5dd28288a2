package reports

import (
	"io"

	"github.com/gameday-sh/gameday/experiments"
)

func writeHTML(w io.Writer, r *experiments.Result) error {
	_, err := io.WriteString(w, r.Scenario)
	return err
}
