package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/reports"
)

// runReport is a run with its report, where both are kept.
type runReport struct {
	result *experiments.Result // without samples, where those stay in the file
	stored *reports.Stored
	closes func() error  // of the file
	store  history.Store // nil where only a result.json was given
	name   string        // of the run in the store
	where  string        // path of report.md, empty where it is in a database
}

// openReport finds the run that a person means.
func (global *globalFlags) openReport(ctx context.Context, text string) (*runReport, error) {
	stored, closes, err := openStored(ctx, global, text)
	if err != nil {
		return nil, err
	}
	run := &runReport{result: stored.Result, stored: stored, closes: closes}
	if err := run.locate(ctx, global, text); err != nil {
		return nil, errors.Join(err, closes())
	}
	return run, nil
}

// locate finds where the report of the run is kept.
func (run *runReport) locate(ctx context.Context, global *globalFlags, text string) (err error) {
	switch {
	case strings.HasSuffix(text, ".json"):
		return nil
	case global.shared() && !strings.ContainsRune(text, filepath.Separator):
		if run.store, err = global.openStore(ctx); err != nil {
			return err
		}
		if run.name, err = findRun(ctx, run.store, text); err != nil {
			return errors.Join(err, run.store.Close())
		}
		return nil
	}
	home, err := state.Open(global.state)
	if err != nil {
		return err
	}
	name, dir, err := home.Find(text)
	if err != nil {
		return err
	}
	if above := filepath.Dir(dir); dir != home.RunPath(name) && filepath.Base(above) == "runs" {
		if home, err = state.Open(filepath.Dir(above)); err != nil {
			return err
		}
	}
	run.where = filepath.Join(dir, reportNames["markdown"])
	if dir == home.RunPath(name) {
		run.store, run.name = history.NewFolder(home), name
	}
	return nil
}

func (r *runReport) close() error {
	err := r.closes()
	if r.store != nil {
		err = errors.Join(err, r.store.Close())
	}
	return err
}

// file is a file of the run as it is, nil where there is none.
func (r *runReport) file(ctx context.Context, name string) ([]byte, error) {
	var text []byte
	var err error
	switch {
	case r.store != nil:
		text, err = r.store.File(ctx, r.name, name)
	case r.where != "":
		text, err = os.ReadFile(filepath.Join(filepath.Dir(r.where), name))
	}
	if errors.Is(err, history.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (r *runReport) format(name string, people *reports.Document) ([]byte, error) {
	for _, format := range reports.Formats() {
		if format.Name == name {
			var b bytes.Buffer
			err := format.WriteStored(&b, r.stored, people)
			return b.Bytes(), err
		}
	}
	return nil, fmt.Errorf("there is no report format %q", name)
}

// render writes the report in a format, with what people wrote in the run's report.md
// and, before that, in the file that is written over.
func (r *runReport) render(ctx context.Context, format reports.Format, path string, out, told io.Writer) error {
	text, err := r.file(ctx, reportNames["markdown"])
	if err != nil {
		return fmt.Errorf("read what people wrote in the report: %w", err)
	}
	people := reports.Read(text)
	if path == "" {
		if _, yes := isTerminal(out); !yes {
			return format.WriteStored(out, r.stored, people)
		}
		// What people wrote is theirs in a file; on a terminal it could move the cursor.
		var b bytes.Buffer
		if err := format.WriteStored(&b, r.stored, people); err != nil {
			return err
		}
		_, err := out.Write(reports.Visible(b.Bytes()))
		return err
	}
	if format.Name == "markdown" {
		there, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read what is in %s: %w", path, err)
		}
		if len(there) > 0 {
			over := reports.Read(there)
			if over.Of(r.result.Run) {
				people = reports.Overlay(people, over)
			}
			if over.Lossy() || !over.Of(r.result.Run) {
				kept, err := keepBeside(path, there)
				if err != nil {
					return err
				}
				tell := &lines{w: told}
				tell.printf("gameday: %s was the report of another run, or had text outside of its places; it is kept as %s\n", path, kept)
				if tell.err != nil {
					return tell.err
				}
			}
		}
	}
	if err := writeFile(path, func(file *os.File) error { return format.WriteStored(file, r.stored, people) }); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// keepBeside keeps a text that is about to be written over, under a name that is free.
func keepBeside(path string, text []byte) (kept string, err error) {
	for n := 1; ; n++ {
		kept = fmt.Sprintf("%s.bak-%d", path, n)
		file, err := os.OpenFile(kept, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("keep what was in %s: %w", path, err)
		}
		_, err = file.Write(text)
		if err = errors.Join(err, file.Close()); err != nil {
			return "", fmt.Errorf("keep what was in %s: %w", path, err)
		}
		return kept, nil
	}
}

// attempts is how often a report is rendered anew because somebody else has changed it
// meanwhile.
const attempts = 5

// update renders the run's own report.md and report.html again.
func (r *runReport) update(ctx context.Context, out io.Writer) error {
	return r.rewrite(ctx, out, func(there *reports.Document) (*reports.Document, error) { return there, nil })
}

// rewrite renders the run's report.md with what change makes of what people wrote in it,
// and report.html from that. What is changed by somebody else meanwhile is not lost.
func (r *runReport) rewrite(ctx context.Context, out io.Writer, change func(there *reports.Document) (*reports.Document, error)) error {
	if r.store == nil {
		return &exitError{experiments.Invalid.ExitCode(), errors.New("this is no run of a folder of runs, so there is no place to keep its report; write it with --out FILE")}
	}
	markdown := reportNames["markdown"]
	for attempt := 1; ; attempt++ {
		was, err := r.file(ctx, markdown)
		if err != nil {
			return fmt.Errorf("read %s of run %s: %w", markdown, r.name, err)
		}
		there := reports.Read(was)
		people, err := change(there)
		if err != nil {
			return err
		}
		now, err := r.format("markdown", people)
		if err != nil {
			return err
		}
		if !bytes.Equal(was, now) {
			if len(was) > 0 && there.Lossy() {
				if err := r.keep(ctx, markdown, was, out); err != nil {
					return err
				}
			}
			err = r.store.Replace(ctx, r.name, markdown, was, now)
		}
		if errors.Is(err, history.ErrChanged) && attempt < attempts {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w; type the command again", err)
		}
		break
	}
	for attempt := 1; ; attempt++ {
		text, err := r.file(ctx, markdown)
		if err != nil {
			return err
		}
		was, err := r.file(ctx, reportNames["html"])
		if err != nil {
			return err
		}
		page, err := r.format("html", reports.Read(text))
		if err == nil && !bytes.Equal(was, page) {
			err = r.store.Replace(ctx, r.name, reportNames["html"], was, page)
		}
		if errors.Is(err, history.ErrChanged) && attempt < attempts {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w; type `gameday report %s --update`", err, r.name)
		}
		break
	}
	tell := &lines{w: out}
	tell.printf("report  %s\n", r.path(markdown))
	tell.printf("        %s\n", r.path(reportNames["html"]))
	return tell.err
}

// keep keeps a text of the run that is about to be written over.
func (r *runReport) keep(ctx context.Context, name string, text []byte, out io.Writer) error {
	for n := 1; ; n++ {
		kept := fmt.Sprintf("%s.bak-%d", name, n)
		there, err := r.file(ctx, kept)
		if err != nil {
			return err
		}
		if there != nil && !bytes.Equal(there, text) {
			continue
		}
		if there == nil {
			err := r.store.Replace(ctx, r.name, kept, nil, text)
			if errors.Is(err, history.ErrChanged) {
				continue
			}
			if err != nil {
				return fmt.Errorf("keep %s as it was: %w", name, err)
			}
		}
		tell := &lines{w: out}
		tell.printf("kept    %s\n        as it was: something outside of its places was changed, and is not in the new one\n", r.path(kept))
		return tell.err
	}
}

// path says where a file of the run is.
func (r *runReport) path(name string) string {
	if r.where != "" {
		return filepath.Join(filepath.Dir(r.where), name)
	}
	return name + " of run " + r.name + " in " + r.store.Where()
}
