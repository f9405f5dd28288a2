package reports

// mark tells where a value comes from. A reader sees it as a small sign behind the name
// of the value, or in the head of a column; a legend explains it.
type mark string

const (
	measured mark = "measured" // read from the world, by a probe or by the runner's clock
	derived  mark = "derived"  // worked out from what was measured
	declared mark = "declared" // written in the scenario, or chosen before the start
	human    mark = "human"    // written by people
	proposed mark = "proposed" // by gameday, for people to decide
)

// marks are all of them, as the legend lists them. The signs differ in shape, so that
// they survive a black-and-white printer, and are in common fonts.
var marks = []struct {
	Mark       mark
	Sign, Says string
}{
	{measured, "●", "measured"},
	{derived, "◐", "derived from what was measured"},
	{declared, "○", "declared in the scenario or before the start"},
	{human, "✎", "written by people"},
	{proposed, "◇", "proposed by gameday, for people to decide"},
}

// Sign is the mark as a reader sees it.
func (m mark) Sign() string {
	for _, known := range marks {
		if known.Mark == m {
			return known.Sign
		}
	}
	return ""
}

// beside is a text with the mark behind it.
func (m mark) beside(text string) string {
	if m == "" {
		return text
	}
	return text + " " + m.Sign()
}
