// Package history keeps runs to be read again: listed, compared, reported on, and asked
// whether a scenario has been shown to hold lately.
//
// A [Store] is where they are: the folder of one machine's runs (folder.go), or a
// PostgreSQL database of a team (postgres.go). What undoes a run never depends on it:
// the journal stays on the machine that breaks things.
package history

import (
	"bytes"
	"context"
	"errors"
	"path"
	"slices"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/reports"
)

// A Store keeps runs. Several processes may use one at once; writers of different runs
// never lose each other's, and of one run the last complete one stays.
type Store interface {
	// Put keeps a run that is over, with its files. Doing it again replaces it.
	Put(ctx context.Context, run *Run) error
	// List gives the runs that fit, the newest first.
	List(ctx context.Context, q Query) ([]Entry, error)
	// File gives one file of a run; ErrNotFound without one.
	File(ctx context.Context, run, name string) ([]byte, error)
	// Replace writes one file of a run in the place of what it was, nil for none. It is
	// ErrChanged where somebody else has changed it meanwhile.
	Replace(ctx context.Context, run, name string, was, now []byte) error
	// Where names the store for a person, without what is secret.
	Where() string
	Close() error
}

var (
	// ErrNotFound tells that there is no such run, or no such file of it.
	ErrNotFound = errors.New("not found")
	// ErrChanged tells that a file is no longer what it was when it was read.
	ErrChanged = errors.New("changed by somebody else meanwhile")
)

// Run is a run to be kept.
type Run struct {
	Result *experiments.Result
	Files  map[string][]byte // by name: "result.json", "report.md"
}

// Entry is a run in a list.
type Entry struct {
	Run      string
	Scenario string
	Began    time.Time
	// Standing is the verdict, or what keeps it from having one: "going on", "died".
	Standing string
	// Result is the run's outline: all but samples, moments and the steps of hits. It is
	// nil where there is none yet.
	Result *experiments.Result
}

// Query chooses runs. Its zero value takes all.
type Query struct {
	// Scenario is a pattern as of a shell: "slow-*".
	Scenario string
	// Standings are verdicts or what stands for one; none takes all.
	Standings    []string
	Since, Until time.Time
	Limit        int // 0 for no limit
	// Brief leaves out of each entry's Result all but what a list shows: what is before
	// its lists, see [reports.Brief].
	Brief bool
}

func (q Query) fits(e Entry) bool {
	if q.Scenario != "" {
		// The pattern was checked where it was typed; one that is wrong fits nothing.
		if fits, err := path.Match(q.Scenario, e.Scenario); err != nil || !fits {
			return false
		}
	}
	return (len(q.Standings) == 0 || slices.Contains(q.Standings, e.Standing)) && q.fitsTime(e.Began)
}

func (q Query) fitsTime(began time.Time) bool {
	return (q.Since.IsZero() || !began.Before(q.Since)) && (q.Until.IsZero() || began.Before(q.Until))
}

// outlineHits is how many hits an outline keeps of a run that had thousands.
const outlineHits = 100

// Outline is a result without what makes it long: it is read for lists and comparisons.
func Outline(r *experiments.Result) *experiments.Result {
	short := *r
	short.Series, short.Timeline = nil, nil
	short.Hits = make([]experiments.HitResult, 0, min(len(r.Hits), outlineHits))
	for _, hit := range r.Hits[:min(len(r.Hits), outlineHits)] {
		one := experiments.HitResult{Step: hit.Step, State: hit.State, Injected: hit.Injected, Verified: hit.Verified, Findings: hit.Findings}
		one.Fault, one.Kind, one.Target, one.Round, one.ID = hit.Fault, hit.Kind, hit.Target, hit.Round, hit.ID
		short.Hits = append(short.Hits, one)
	}
	return &short
}

// outlineText is the outline as it is kept: the stored form of a result.
func outlineText(r *experiments.Result) ([]byte, error) {
	var b bytes.Buffer
	if err := reports.Store(&b, Outline(r)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// SaysSame tells whether the outlines of two results say the same: whatever is added to a run
// after its end, such as that it was mended or who was told, is in there.
func SaysSame(a, b *experiments.Result) (bool, error) {
	one, err := outlineText(a)
	if err != nil {
		return false, err
	}
	other, err := outlineText(b)
	return bytes.Equal(one, other), err
}

// entry is a result's line in a list.
func entry(r *experiments.Result) Entry {
	e := Entry{Run: r.Run, Scenario: r.Scenario, Began: r.Began, Standing: string(r.Verdict), Result: r}
	if r.Verdict == experiments.NotRestored {
		e.Standing = "NOT RESTORED"
		if !r.Recovered.IsZero() {
			e.Standing = "mended since"
		}
	}
	return e
}
