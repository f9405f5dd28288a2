package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/internal/notify"
	"github.com/gameday-sh/gameday/internal/redact"
	"github.com/gameday-sh/gameday/internal/textsafe"
	"github.com/gameday-sh/gameday/reports"
)

// pageOf renders the report that goes with an e-mail.
func pageOf(clean func(string) string) func(io.Writer, *experiments.Result) error {
	return func(w io.Writer, r *experiments.Result) error {
		for _, format := range reports.Formats() {
			if format.Name == "html" {
				return format.Write(redact.Writer(w, clean), r)
			}
		}
		return errors.New("there is no report as HTML")
	}
}

// note journals a delivery: a watchdog must know what is open elsewhere.
func (s *session) note(n experiments.Notification) {
	s.noting.Lock()
	defer s.noting.Unlock()
	if s.noted {
		return
	}
	// Without this record less is told after a crash; that is no reason to stop a run.
	_ = s.journal.Append(experiments.Event{At: n.At, Type: experiments.EventNotification, Notification: &n})
}

func (s *session) closeJournal() error {
	s.noting.Lock()
	defer s.noting.Unlock()
	s.noted = true
	return s.journal.Close()
}

// tellEnd tells the receivers how the run ended, waits a while for all deliveries, and
// keeps what came of them.
func (s *session) tellEnd(result *experiments.Result, keep func() error) error {
	result.Notifications = s.notices.End(s.hurry, result, experiments.MomentEnd)
	if len(result.Notifications) == 0 {
		return nil
	}
	return keep()
}

// amendWithin is how long a run that left something waits for its watchdog to let go of
// the journal, to write down who was told.
const amendWithin = 5 * time.Second

// amend adds deliveries to the result of a run whose watchdog may be mending it.
func (s *session) amend(list []experiments.Notification) error {
	j, _, err := openJournal(s.dir, amendWithin)
	if errors.Is(err, journal.ErrLocked) {
		return nil // the watchdog mends; what failed is on the screen
	}
	if err != nil {
		return fmt.Errorf("note who was told: %w", err)
	}
	result, err := loadResult(filepath.Join(s.dir, reportNames["json"]))
	if err == nil {
		result.Notifications = append(list, result.Notifications...)
		err = keepReports(s.dir, result, s.redact)
	}
	return errors.Join(err, j.Close())
}

// untold says who could not be told of what: a line for each receiver and reason.
func untold(r *experiments.Result) []string {
	type line struct {
		who, why string
		moments  []string
	}
	var list []*line
	for _, n := range r.Notifications {
		if n.State != experiments.DeliveryFailed {
			continue
		}
		who, why := fmt.Sprintf("notify.%s (%s)", n.Receiver, n.Kind), n.Error
		if n.Closed != "" {
			why += "; " + n.Closed + " may be open"
		}
		i := slices.IndexFunc(list, func(l *line) bool { return l.who == who && l.why == why })
		if i < 0 {
			i = len(list)
			list = append(list, &line{who: who, why: why})
		}
		list[i].moments = append(list[i].moments, "the "+momentName(n.Moment))
	}
	var said []string
	for _, l := range list {
		said = append(said, fmt.Sprintf("%s was not told of %s of %s: %s", l.who, strings.Join(l.moments, ", "), r.Run, l.why))
	}
	return said
}

// sayUntold writes that of all runs.
func (b *batch) sayUntold() {
	for _, text := range b.untold {
		fmt.Fprintln(&b.last, text)
	}
}

func momentName(moment string) string {
	switch moment {
	case experiments.MomentInject:
		return "first injection"
	case experiments.MomentMended:
		return "mending"
	case experiments.MomentBegin:
		return "beginning"
	}
	return moment
}

// settings is what the runner hands to its watchdog.
type settings struct {
	Vars     []string `json:"vars,omitempty"`
	VarFiles []string `json:"var_files,omitempty"`
}

// longestSettings is what fits into a line that the watchdog reads.
const longestSettings = 32 << 10

// forWatchdog is what variables were set with, where somebody is to be told of the run.
func (s *session) forWatchdog(e *experiments.Experiment) string {
	if len(e.Notify) == 0 {
		return ""
	}
	given := settings{Vars: s.given.vars}
	for _, file := range s.given.files {
		path, err := filepath.Abs(file)
		if err != nil {
			path = file
		}
		given.VarFiles = append(given.VarFiles, path)
	}
	text, err := json.Marshal(given)
	if err != nil || len(text) > longestSettings {
		return ""
	}
	return string(text)
}

func readSettings(text string) *variables {
	var given settings
	if json.Unmarshal([]byte(text), &given) != nil {
		return &variables{}
	}
	return &variables{vars: given.Vars, files: given.VarFiles}
}

// tellLate tells the receivers of a run whose runner is dead of the moment, and adds to
// the result what came of it. It gives false if there was nobody to tell.
func tellLate(ctx context.Context, dir string, result *experiments.Result, moment string, given *variables, w io.Writer) bool {
	out := &lines{w: w}
	plans, secrets, problem := receiversOf(dir, result, given)
	open := experiments.OpenIncidents(result.Notifications)
	if problem != "" {
		for _, n := range open {
			result.Notifications = append(result.Notifications, experiments.Notification{
				At: time.Now(), Receiver: n.Receiver, Kind: n.Kind, Moment: moment, State: experiments.DeliveryFailed, Opened: n.Opened, Error: problem,
			})
			out.printf("  OPEN    notify.%s (%s): %s may be open, and cannot be closed from here: %s\n", n.Receiver, n.Kind, n.Opened, problem)
		}
		if len(open) == 0 {
			out.printf("  nobody was told of this: %s\n", problem)
		}
		return len(open) > 0
	}
	plans = slices.DeleteFunc(plans, func(plan *experiments.ReceiverPlan) bool {
		return slices.ContainsFunc(result.Notifications, func(n experiments.Notification) bool {
			return n.Receiver == plan.Name && n.Moment == moment && n.State == experiments.DeliverySent
		})
	})
	if len(plans) == 0 {
		return false
	}
	clean := redact.Func(secrets)
	dispatcher := notify.New(ctx, plans, notify.Options{Redact: clean, Page: pageOf(clean)})
	dispatcher.Inherit()
	told := dispatcher.End(ctx, result, moment)
	result.Notifications = append(result.Notifications, told...)
	for _, n := range told {
		if n.State == experiments.DeliverySent {
			out.printf("  told    notify.%s (%s) of the %s\n", n.Receiver, n.Kind, momentName(n.Moment))
			continue
		}
		out.printf("  NOT TOLD  notify.%s (%s) of the %s: %s\n", n.Receiver, n.Kind, momentName(n.Moment), n.Error)
	}
	for _, n := range experiments.OpenIncidents(result.Notifications) {
		out.printf("  OPEN    notify.%s (%s): %s may be open\n", n.Receiver, n.Kind, n.Opened)
	}
	return len(told) > 0
}

// receiversOf reads the scenario that a run keeps, for whom to tell. Variables are those
// of the run's own command, and what is given beside.
func receiversOf(dir string, result *experiments.Result, given *variables) (plans []*experiments.ReceiverPlan, secrets []string, problem string) {
	kept := filepath.Join(dir, "scenario")
	if !mentionsNotify(kept) {
		return nil, nil, ""
	}
	all := variables{}
	if again := result.Rerun; again != nil {
		for i, word := range again.Command[:max(len(again.Command)-1, 0)] {
			switch value := again.Command[i+1]; {
			case word == "--var":
				all.vars = append(all.vars, value)
			case word == "--var-file" && len(given.files) == 0:
				if !filepath.IsAbs(value) {
					value = filepath.Join(again.Directory, value)
				}
				all.files = append(all.files, value)
			}
		}
	}
	all.vars, all.files = append(all.vars, given.vars...), append(all.files, given.files...)
	configuration, diagnostics := language().Load(kept, all.options())
	if diagnostics.HasErrors() {
		said := strings.ReplaceAll(diagnostics.Err().Error(), kept+string(filepath.Separator), "")
		return nil, nil, "who is to be told cannot be read from the scenario that was kept; give secrets with --var or in the environment (" + textsafe.Line(said, 200) + ")"
	}
	draft := configuration.Draft()
	for _, e := range draft.Experiments {
		if e.Name != result.Scenario {
			continue
		}
		for _, plan := range e.Notify {
			if len(draft.Unsettled[plan.Origin]) == 0 { // else it rests on what the runner had started
				plans = append(plans, plan)
			}
		}
	}
	return plans, configuration.Secrets(), ""
}

// mentionsNotify tells whether the files of a configuration have a notify block.
func mentionsNotify(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(entry os.DirEntry) bool {
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		return err == nil && slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
			return strings.HasPrefix(strings.TrimSpace(line), "notify ")
		})
	})
}

// tellUnmended tells the receivers of a run that died, and that its watchdog could not
// mend.
func tellUnmended(ctx context.Context, dir string, given *variables, w io.Writer) error {
	if _, err := os.Stat(filepath.Join(dir, reportNames["json"])); err == nil {
		return nil // it had ended, and told of it
	}
	contents, err := journal.Read(dir)
	if err != nil {
		return err
	}
	tellLate(ctx, dir, experiments.Rebuild(contents.Events, len(contents.Damage) > 0), experiments.MomentEnd, given, w)
	return nil
}
