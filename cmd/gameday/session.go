package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/internal/console"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/notify"
	"github.com/gameday-sh/gameday/internal/redact"
	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/reports"
	"github.com/gameday-sh/gameday/scenarios"
)

// session carries out one experiment: it gives the run a name, a directory, a
// journal and a watchdog, and leaves a result and reports.
type session struct {
	state  state.Dir
	view   *console.Outlet
	hurry  context.Context
	redact func(string) string
	rerun  *experiments.Rerun
	// override is a person's word to go past the gate, nil without.
	override *experiments.Override
	// given is what the scenario's variables were set with, for a watchdog that has to tell
	// the receivers how the run ended.
	given variables
	// store is the address of the shared store, for a watchdog that has mended the run.
	store string

	run, dir string
	journal  *journal.Journal
	watchdog *watchdog
	notices  *notify.Dispatcher
	noting   sync.Mutex // held while a delivery is journaled
	noted    bool       // the journal is closed

	// What tells the watchdog that the runner still works: while things are broken its
	// loop must have turned lately.
	breaking  atomic.Bool
	lastAlive atomic.Int64 // in Unix nanoseconds
}

// hangLimit is how long the runner's loop may stand still while things are broken.
const hangLimit = 5 * time.Second

// watch shows an event, and notes whether things may be broken.
func (s *session) watch(event experiments.Event) {
	if event.Type == experiments.EventPhase {
		s.lastAlive.Store(time.Now().UnixNano())
		s.breaking.Store(event.Phase == experiments.PhaseDisrupt || event.Phase == experiments.PhaseRevert)
	}
	s.view.Event(event)
	s.notices.Watch(event)
}

// alive tells whether the runner works: a process that is there and stands still is
// no better than a dead one.
func (s *session) alive() bool {
	return !s.breaking.Load() || time.Since(time.Unix(0, s.lastAlive.Load())) < hangLimit
}

// revertSpace is what the journal keeps free for the records of mending.
const revertSpace = 1 << 20

// carryOut runs e. Without an error there is a result, in memory and on disk.
func (s *session) carryOut(ctx context.Context, e *experiments.Experiment, c *scenarios.Configuration, observe func(*experiments.Probed, experiments.Sample)) (result *experiments.Result, err error) {
	s.redact = redact.Func(c.Secrets())
	s.run, s.dir = s.state.NewRun(e.Name, time.Now())
	if s.journal, err = journal.Create(s.dir, s.redact); err != nil {
		return nil, err
	}
	closed := false
	defer func() {
		if !closed {
			err = errors.Join(err, s.journal.Close())
		}
	}()
	if err := errors.Join(s.journal.Reserve(revertSpace), s.keepSource(e.Source), s.state.MarkLive(s.run)); err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stopListening := s.listenForAbort(ctx, cancel)
	go reports.Prepare()
	s.notices = notify.New(ctx, e.Notify, notify.Options{Description: e.Description, Redact: s.redact, Done: s.note, Page: pageOf(s.redact)})
	result = experiments.Run(ctx, e, experiments.Options{
		Run: s.run, Version: version(), Host: host, PID: os.Getpid(), Rerun: s.rerun,
		Journal:  s.journal,
		Watch:    s.watch,
		Alive:    func() { s.lastAlive.Store(time.Now().UnixNano()) },
		Redact:   s.redact,
		Observe:  observe,
		Gate:     askGate,
		Override: s.override,
		Arm: func(ctx context.Context) error {
			armed, err := startWatchdog(ctx, s.state.Root(), s.dir, s.forWatchdog(e), s.store, s.alive, func() {
				cancel(&experiments.StopRequest{Cause: "the watchdog process is gone, and with it what would end the faults if gameday died", At: time.Now()})
			})
			s.watchdog = armed
			return err
		},
		Hold:  func(target string) (func(), error) { return s.state.Hold(s.run, target) },
		Hurry: s.hurry,
	})
	stopListening()
	if result.Stop != nil {
		result.Stop.Cause = s.redact(result.Stop.Cause)
	}
	replayPages(ctx, result, e)
	err = nil // that of the host's name keeps nothing from being written
	if len(c.Secrets()) > 0 {
		result, err = withoutSecrets(result, s.redact)
	}
	err = errors.Join(err, s.keepResult(result))
	if len(result.Left) == 0 { // else mending goes on first
		err = errors.Join(err, s.tellEnd(result, func() error { return s.keepResult(result) }))
	}
	// From here on the watchdog may write the journal: it goes on mending what is left.
	closed = true
	err = errors.Join(err, s.closeJournal())
	if len(result.Left) == 0 {
		err = errors.Join(err, s.state.MarkOver(s.run))
		if s.watchdog != nil {
			err = errors.Join(err, s.watchdog.dismiss())
		}
		return result, err
	}
	if s.watchdog != nil {
		s.watchdog.release()
	}
	return result, errors.Join(err, s.tellEnd(result, func() error { return s.amend(result.Notifications) }))
}

// keepSource stores the exact scenario beside the result.
func (s *session) keepSource(source experiments.Source) error {
	dir := filepath.Join(s.dir, "scenario")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("keep the scenario: %w", err)
	}
	for _, file := range source.Files {
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file.Name)), []byte(file.Text), 0o600); err != nil {
			return fmt.Errorf("keep the scenario: %w", err)
		}
	}
	return nil
}

func (s *session) keepResult(result *experiments.Result) error {
	return keepReports(s.dir, result, s.redact)
}

// withoutSecrets is a result that names no secret. It is cleaned before it is rendered:
// in Markdown or HTML a secret can have forms that nobody looks for.
func withoutSecrets(result *experiments.Result, clean func(string) string) (*experiments.Result, error) {
	short := *result
	short.Series = make([]*experiments.Series, len(result.Series))
	for i, series := range result.Series {
		short.Series[i] = withColumns(series, &experiments.Series{})
	}
	var stored bytes.Buffer
	if err := reports.Store(&stored, &short); err != nil {
		return result, fmt.Errorf("look for secrets in the result: %w", err)
	}
	text := redact.JSON(stored.Bytes(), clean)
	if bytes.Equal(text, stored.Bytes()) {
		return result, nil
	}
	var cleaned experiments.Result
	if err := json.Unmarshal(text, &cleaned); err != nil {
		return result, fmt.Errorf("take the secrets out of the result: %w; choose a secret that is no part of a time or a number", err)
	}
	for i, series := range result.Series {
		cleaned.Series[i] = withColumns(cleaned.Series[i], series)
	}
	return &cleaned, nil
}

// withColumns is a series with the measurements of another, which hold no text.
func withColumns(series, of *experiments.Series) *experiments.Series {
	if series == nil {
		return nil
	}
	copied := *series
	copied.At, copied.Latency, copied.Value, copied.Bad, copied.Total = of.At, of.Latency, of.Value, of.Bad, of.Total
	return &copied
}

// reportNames are the files of a run's directory, by the name of their format.
var reportNames = namesOfReports()

func namesOfReports() map[string]string {
	names := map[string]string{}
	for _, format := range reports.Formats() {
		if format.File != "" {
			names[format.Name] = format.File
		}
	}
	return names
}

// keepReports renders what belongs into a run's directory: the reports, and the outline
// that lists are made of.
func keepReports(dir string, result *experiments.Result, clean func(string) string) error {
	path := filepath.Join(dir, history.OutlineFile)
	var problem error
	var writer sync.WaitGroup
	writer.Go(func() {
		if err := writeFile(path, func(file *os.File) error {
			return reports.Store(redact.Writer(file, clean), history.Outline(result))
		}); err != nil {
			problem = fmt.Errorf("write the outline %s: %w", path, err)
		}
	})
	err := writeReports(dir, result, clean)
	writer.Wait()
	return errors.Join(err, problem)
}

// writeReports renders every format that each run leaves into dir, with what people wrote
// into the report that is there already. A format that fails does not keep the others
// from being written.
func writeReports(dir string, result *experiments.Result, clean func(string) string) error {
	formats := slices.DeleteFunc(reports.Formats(), func(f reports.Format) bool { return f.File == "" })
	problems := make([]error, len(formats)+1)
	people, err := writtenIn(filepath.Join(dir, reportNames["markdown"]), result.Run)
	problems[len(formats)] = err
	// Side by side, so that they wait for the disk together.
	var writers sync.WaitGroup
	for i, format := range formats {
		writers.Go(func() {
			path := filepath.Join(dir, format.File)
			if err := writeFile(path, func(file *os.File) error { return writeFormat(file, format, result, people, clean) }); err != nil {
				problems[i] = fmt.Errorf("write the %s report %s: %w", format.Name, path, err)
			}
		})
	}
	writers.Wait()
	return errors.Join(problems...)
}

// writeFormat writes one format without secrets. A Markdown report knows by its seal
// whether somebody changed it; taking out a secret is no such change.
func writeFormat(file *os.File, format reports.Format, result *experiments.Result, people *reports.Document, clean func(string) string) error {
	if format.Name != "markdown" {
		return format.WriteWith(redact.Writer(file, clean), result, people)
	}
	var b bytes.Buffer
	if err := format.WriteWith(&b, result, people); err != nil {
		return err
	}
	_, err := file.Write(reports.Reseal([]byte(clean(b.String()))))
	return err
}

// writtenIn reads what people wrote into the report of a run. Where they changed more than
// its places, or it is that of another run, the whole text is kept beside it.
func writtenIn(path, run string) (*reports.Document, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what people wrote: %w", err)
	}
	people := reports.Read(text)
	if people.Of(run) && !people.Lossy() {
		return people, nil
	}
	if _, err = keepBeside(path, text); !people.Of(run) {
		people = nil
	}
	return people, err
}

// writeFile writes a file whole or not at all.
func writeFile(path string, write func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		if removing := os.Remove(file.Name()); removing != nil && !errors.Is(removing, fs.ErrNotExist) {
			err = errors.Join(err, removing)
		}
	}
	return err
}

// abortRequest is what `gameday abort` leaves in the run's directory.
type abortRequest struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

const (
	abortFile = "abort"
	abortPace = 50 * time.Millisecond
)

// listenForAbort cancels the run when somebody asks for it with `gameday abort`.
func (s *session) listenForAbort(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	ctx, end := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(abortPace)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			text, err := os.ReadFile(filepath.Join(s.dir, abortFile))
			if err != nil {
				continue // not asked, or not readable yet
			}
			var request abortRequest
			if json.Unmarshal(text, &request) != nil {
				request = abortRequest{By: "somebody", At: time.Now()}
			}
			cause := fmt.Sprintf("aborted by %s with `gameday abort`", request.By)
			if request.Reason != "" {
				cause += ": " + request.Reason
			}
			cancel(&experiments.StopRequest{Cause: cause, At: request.At})
			return
		}
	}()
	return func() {
		end()
		<-ended
	}
}
