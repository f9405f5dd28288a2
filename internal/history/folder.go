package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/experiments/journal"
	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/reports"
)

// OutlineFile is a run's outline, so that a list of thousands need not read samples.
const OutlineFile = "outline.json"

// Folder is the store of one machine: the state folder, in which each run has a
// directory.
type Folder struct{ dir state.Dir }

// NewFolder is the store in a state folder.
func NewFolder(dir state.Dir) *Folder { return &Folder{dir} }

// Where implements [Store].
func (f *Folder) Where() string { return f.dir.Root() }

// Close implements [Store].
func (f *Folder) Close() error { return nil }

// Put implements [Store].
func (f *Folder) Put(_ context.Context, run *Run) error {
	dir := f.dir.RunPath(run.Result.Run)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep run %s: %w", run.Result.Run, err)
	}
	short, err := outlineText(run.Result)
	if err != nil {
		return err
	}
	if err := replaceFile(filepath.Join(dir, OutlineFile), short); err != nil {
		return fmt.Errorf("keep the outline of run %s: %w", run.Result.Run, err)
	}
	for name, text := range run.Files {
		path, err := f.path(run.Result.Run, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(path), 0o700)
		}
		if err == nil {
			err = replaceFile(path, text)
		}
		if err != nil {
			return fmt.Errorf("keep %s of run %s: %w", name, run.Result.Run, err)
		}
	}
	return nil
}

// File implements [Store].
func (f *Folder) File(_ context.Context, run, name string) ([]byte, error) {
	path, err := f.path(run, name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s of run %s: %w", name, run, ErrNotFound)
	}
	return text, err
}

// path is that of a file of a run, which cannot lead out of the run's directory.
func (f *Folder) path(run, name string) (string, error) {
	if !filepath.IsLocal(run) || !filepath.IsLocal(name) || strings.ContainsAny(run, `/\`) {
		return "", fmt.Errorf("%s of run %s: %w", name, run, ErrNotFound)
	}
	return filepath.Join(f.dir.RunPath(run), filepath.FromSlash(name)), nil
}

// Replace implements [Store].
func (f *Folder) Replace(ctx context.Context, run, name string, was, now []byte) (err error) {
	path, err := f.path(run, name)
	if err != nil {
		return err
	}
	lock, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("%s of run %s: %w", name, run, ErrNotFound)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	// The lock of the directory is of those who edit; a runner never takes it.
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock run %s: %w", run, err)
	}
	is, err := f.File(ctx, run, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if !bytes.Equal(is, was) {
		return fmt.Errorf("%s of run %s was %w", name, run, ErrChanged)
	}
	return replaceFile(path, now)
}

func replaceFile(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".put-*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}

// List implements [Store]. Directories are read side by side; most of the time goes to
// decoding their outlines.
func (f *Folder) List(ctx context.Context, q Query) ([]Entry, error) {
	names, err := f.dir.Runs()
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		began, known := beganAt(name)
		// The second in a name is rounded down.
		return known && (!q.Since.IsZero() && began.Add(time.Second).Before(q.Since) || !q.Until.IsZero() && began.After(q.Until))
	})
	live := map[string]bool{}
	going, err := f.dir.Live()
	if err != nil {
		return nil, err
	}
	for _, name := range going {
		live[name] = true
	}
	var list []Entry
	for len(names) > 0 && (q.Limit == 0 || len(list) < q.Limit) {
		// A limit is met by the newest few; those that do not fit call for more.
		part := names[:min(len(names), max(64, q.Limit))]
		if q.Limit == 0 {
			part = names
		}
		names = names[len(part):]
		for _, e := range f.read(part, live, q.Brief) {
			if q.fits(e) {
				list = append(list, e)
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if q.Limit > 0 && len(list) > q.Limit {
		list = list[:q.Limit]
	}
	return list, nil
}

// read reads runs, a few at a time, in their order.
func (f *Folder) read(names []string, live map[string]bool, brief bool) []Entry {
	list := make([]Entry, len(names))
	var workers sync.WaitGroup
	next := make(chan int)
	for range min(len(names), 2*runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for i := range next {
				list[i] = f.entry(names[i], live[names[i]], brief)
			}
		})
	}
	for i := range names {
		next <- i
	}
	close(next)
	workers.Wait()
	return list
}

// entry is the line of one run. What has an outline and is not live is over; of others
// the journal tells how they stand.
func (f *Folder) entry(name string, live, brief bool) Entry {
	dir := f.dir.RunPath(name)
	short, err := load(filepath.Join(dir, OutlineFile), brief)
	if err == nil && !live {
		e := entry(short)
		e.Run = name
		return e
	}
	e := Entry{Run: name, Scenario: scenarioOf(name), Standing: Standing(dir), Result: short}
	e.Began, _ = beganAt(name)
	if short == nil {
		if whole, err := load(filepath.Join(dir, "result.json"), false); err == nil {
			short = Outline(whole)
			e.Result = short
		}
	}
	if short != nil {
		e.Scenario, e.Began = short.Scenario, short.Began
	}
	return e
}

func load(path string, brief bool) (*experiments.Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return read(text, brief)
}

// read reads an outline.
func read(text []byte, brief bool) (*experiments.Result, error) {
	if brief {
		return reports.Brief(text)
	}
	return reports.Load(bytes.NewReader(text))
}

// Standing is the verdict of the run in a directory, or what keeps it from having one.
func Standing(dir string) string {
	contents, err := journal.Read(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "not begun"
	}
	if err != nil {
		return "unreadable"
	}
	if alive, err := journal.Alive(dir); err == nil && alive {
		return "going on"
	}
	if len(experiments.Outstanding(contents.Events, len(contents.Damage) > 0)) > 0 {
		return "NOT RESTORED"
	}
	// The first end is the run's own; a later one is that of who mended what it left.
	for _, event := range contents.Events {
		if event.Type != experiments.EventEnd {
			continue
		}
		if event.Verdict == experiments.NotRestored {
			return "mended since"
		}
		return string(event.Verdict)
	}
	return "died"
}

// beganAt reads the time at the begin of a run's name: "20261124-153012-...".
func beganAt(name string) (time.Time, bool) {
	const layout = "20060102-150405"
	if len(name) < len(layout) {
		return time.Time{}, false
	}
	at, err := time.ParseInLocation(layout, name[:len(layout)], time.UTC)
	return at, err == nil
}

// scenarioOf is the scenario in a run's name, where nothing else tells it.
func scenarioOf(name string) string {
	parts := strings.Split(name, "-")
	if len(parts) < 4 {
		return name
	}
	return strings.Join(parts[2:len(parts)-1], "-")
}
