package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// The shape is the one that Jenkins, GitLab and GitHub actions read (Jenkins xUnit's
// junit-10.xsd); attributes beyond it, such as file on a case, are left out, as xUnit
// refuses a whole file for one. What each of them shows decides what stands where:
//
//   - GitLab shows the text of a failure, an error or a skip, never its message, so each
//     text begins with what the message says. Of two cases with the same class and name
//     it drops the second, so names are made unlike.
//   - Jenkins groups by the class name up to its last dot, and shows message, text and
//     system-out of a case, of a passed one too.
//   - Actions of GitHub show message and text at the file of the suite.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Name    string   `xml:"name,attr"`
		junitTotals
		Suite junitSuite `xml:"testsuite"`
	}
	junitTotals struct {
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Time     string `xml:"time,attr"`
	}
	junitSuite struct {
		Name string `xml:"name,attr"`
		junitTotals
		File       string          `xml:"file,attr,omitempty"` // the scenario's
		Skipped    int             `xml:"skipped,attr"`        // the XSD allows it on a suite only
		Timestamp  string          `xml:"timestamp,attr"`      // UTC; the XSD allows no zone
		Hostname   string          `xml:"hostname,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string        `xml:"classname,attr"`
		Name    string        `xml:"name,attr"`
		Time    string        `xml:"time,attr"`
		Skipped *junitOutcome `xml:"skipped"`
		Error   *junitOutcome `xml:"error"`
		Failure *junitOutcome `xml:"failure"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitOutcome struct {
		Message string `xml:"message,attr,omitempty"`
		Type    string `xml:"type,attr,omitempty"`
		Text    string `xml:",chardata"`
	}
)

// maxCases bounds the cases for hits; those that are not mended always have one.
const maxCases = 500

// writeJUnit writes a suite a scenario, with a case for each hypothesis, each guard,
// each hit (it is mended) and the run. The suite is green only if the verdict is
// held: what is inconclusive is an error, since CI would read a skip as a pass.
func writeJUnit(w io.Writer, r *experiments.Result) error {
	o := outliner{r: r, d: detail{text: 2000, rows: maxCases}}
	suite := junitSuite{
		Name: o.clean(r.Scenario), File: line.ReplaceAllString(o.clean(r.Origin), ""), Timestamp: r.Began.UTC().Format("2006-01-02T15:04:05"), Hostname: o.clean(r.Host),
		Properties: []junitProperty{
			{"run", o.clean(r.Run)}, {"verdict", string(r.Verdict)}, {"reason", o.clean(r.Reason)},
			{"seed", strconv.FormatUint(r.Seed, 10)}, {"digest", o.clean(r.Digest)},
			{"origin", o.clean(r.Origin)}, {"version", o.clean(r.Version)},
		},
	}
	suite.Properties = append(suite.Properties, o.accountProperties()...)
	suite.Cases = append(suite.Cases, o.hypothesisCases()...)
	suite.Cases = append(suite.Cases, o.guardCases()...)
	suite.Cases = append(suite.Cases, o.hitCases()...)
	seen := map[string]int{}
	for i := range suite.Cases {
		c := &suite.Cases[i]
		key := c.Class + "\x00" + c.Name
		if seen[key]++; seen[key] > 1 {
			c.Name += fmt.Sprintf(" (%d)", seen[key])
		}
		// GitLab takes this for the path of a picture.
		c.Out = strings.ReplaceAll(c.Out, "[[ATTACHMENT|", "[ATTACHMENT|")
	}
	red := false
	for i := range suite.Cases {
		red = red || suite.Cases[i].Failure != nil || suite.Cases[i].Error != nil
	}
	suite.Cases = append(suite.Cases, o.runCase(red))
	suite.Time = junitSeconds(o.ended().Sub(r.Began))
	for _, c := range suite.Cases {
		suite.Tests++
		switch {
		case c.Failure != nil:
			suite.Failures++
		case c.Error != nil:
			suite.Errors++
		case c.Skipped != nil:
			suite.Skipped++
		}
	}
	suites := junitSuites{Name: "gameday", junitTotals: suite.junitTotals, Suite: suite}
	text, err := xml.MarshalIndent(suites, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the JUnit report of run %s: %w", r.Run, err)
	}
	if _, err := io.WriteString(w, xml.Header+string(text)+"\n"); err != nil {
		return fmt.Errorf("writing the JUnit report of run %s: %w", r.Run, err)
	}
	return nil
}

// outcomeOf says the message in the text too, for those who show only one of them.
func outcomeOf(message, kind, text string) *junitOutcome {
	return &junitOutcome{Message: message, Type: kind, Text: strings.TrimSuffix(message+"\n"+text, "\n")}
}

func junitSeconds(d time.Duration) string {
	return strconv.FormatFloat(max(d, 0).Seconds(), 'f', 3, 64)
}

// className groups the cases of one sort; CI shows it as a package and a class, so
// the dots of a scenario's name must not add levels.
func (o outliner) className(sort string) string {
	return strings.ReplaceAll(o.clean(o.r.Scenario), ".", "_") + "." + sort
}

func (o outliner) hypothesisCases() []junitCase {
	var list []junitCase
	for i := range o.r.Hypotheses {
		h := &o.r.Hypotheses[i]
		var took time.Duration
		var text []string
		for _, j := range []*experiments.Judgement{h.Before, h.During, h.Recovery} {
			if j != nil {
				took += max(j.To.Sub(j.From), 0)
				text = append(text, string(j.Phase)+": "+o.clean(j.Text))
			}
		}
		said := strings.Join(append([]string{o.clean(h.Statement)}, text...), "\n")
		c := junitCase{Class: o.className("hypothesis"), Name: o.clean(h.Name), Time: junitSeconds(took), Out: said}
		outcome := outcomeOf(o.clean(h.Reason), string(h.Verdict), said)
		if h.Origin != "" {
			outcome.Text += "\ndeclared at " + o.clean(h.Origin)
		}
		switch h.Verdict {
		case experiments.Held:
		case experiments.Refuted:
			c.Failure = outcome
		default:
			if outcome.Type == "" {
				outcome.Type = string(experiments.Inconclusive)
			}
			c.Error = outcome
		}
		list = append(list, c)
	}
	return list
}

func (o outliner) guardCases() []junitCase {
	var watched time.Duration
	for _, span := range o.r.Phases {
		if span.Phase == experiments.PhaseDisrupt || span.Phase == experiments.PhaseRevert {
			watched += max(span.To.Sub(span.From), 0)
		}
	}
	var list []junitCase
	for i, row := range o.guards() {
		c := junitCase{Class: o.className("guard"), Name: row.Name, Time: junitSeconds(watched),
			Out: strings.TrimSuffix("most of its limit taken: "+row.Peak+": "+row.PeakText, ": ") + "\nreading at the end: " + row.Last}
		switch {
		case o.r.Guards[i].Tripped:
			c.Failure = outcomeOf("the guard stopped the run: "+row.PeakText, string(experiments.Aborted), c.Out)
		case o.r.Guards[i].Looks == 0:
			c.Skipped, c.Time, c.Out = outcomeOf("it was never asked", "", ""), junitSeconds(0), ""
		}
		list = append(list, c)
	}
	return list
}

func (o outliner) hitCases() []junitCase {
	var list []junitCase
	more := 0
	for i := range o.r.Hits {
		h := &o.r.Hits[i]
		row := o.hit(h)
		left := h.Begun() && !mended(h)
		if len(list) >= maxCases && !left {
			more++
			continue
		}
		c := junitCase{Class: o.className("restored"), Name: row.Target + " (" + o.clean(h.ID) + ")", Time: junitSeconds(0)}
		if !h.Injected.IsZero() && h.Verified.After(h.Injected) {
			c.Time = junitSeconds(h.Verified.Sub(h.Injected))
		}
		switch {
		case left:
			c.Failure = outcomeOf("not proven mended; type: "+o.command("recover"), string(experiments.NotRestored),
				"effect: "+row.Effect+"\nproof: "+row.Proof+"\nundo: "+o.clean(h.Undo)+"\nerror: "+row.Error)
		case !h.Begun():
			c.Skipped = outcomeOf(row.Status, "", "")
		default:
			c.Out = "effect: " + row.Effect + "\nread back: " + row.Proof + "\nread back after mending: " + row.MendedProof
		}
		list = append(list, c)
	}
	if more > 0 {
		list = append(list, junitCase{Class: o.className("restored"), Name: plural(more, "more hit") + ", all mended or not reached", Time: junitSeconds(0)})
	}
	return list
}

// runCase is red when the runner failed, and when nothing else shows that the verdict
// is not held: a run that a person stopped, or one that could not decide.
func (o outliner) runCase(red bool) junitCase {
	c := junitCase{Class: o.className("run"), Name: "the run came to its end", Time: junitSeconds(o.ended().Sub(o.r.Began))}
	outcome := outcomeOf(o.clean(o.r.Reason), string(o.r.Verdict), o.headline())
	c.Out = o.headline()
	switch v := o.r.Verdict; {
	case v == experiments.Held, red && v != experiments.Errored && v != experiments.Invalid:
	case v == experiments.Refuted, v == experiments.Aborted, v == experiments.NotRestored:
		c.Failure = outcome
	default:
		c.Error = outcome
	}
	return c
}
