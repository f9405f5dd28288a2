// Package state is the folder in which gameday keeps its runs: a directory a run,
// a mark for each run that is not over, and a lock for each target that is held.
//
//	runs/<run>/    journal, result.json, reports, the scenario
//	live/<run>     there from before the first hit until everything is mended
//	targets/<hash> locked while a run may hit that target
package state

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is the folder. All of it belongs to one user: 0700, files 0600.
type Dir struct{ root string }

// Open takes the folder at path, or the user's default one: $GAMEDAY_STATE, else
// $XDG_STATE_HOME/gameday, else ~/.local/state/gameday. It is made at first need.
func Open(path string) (Dir, error) {
	if path == "" {
		path = os.Getenv("GAMEDAY_STATE")
	}
	if path == "" {
		base := os.Getenv("XDG_STATE_HOME")
		if base == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return Dir{}, fmt.Errorf("find a folder for the state of runs: %w; set GAMEDAY_STATE or give --state", err)
			}
			base = filepath.Join(home, ".local", "state")
		}
		path = filepath.Join(base, "gameday")
	}
	root, err := filepath.Abs(path)
	if err != nil {
		return Dir{}, fmt.Errorf("find the state folder %s: %w", path, err)
	}
	if info, err := os.Stat(root); err == nil && !info.IsDir() {
		return Dir{}, fmt.Errorf("the state folder %s is a file; choose a folder with --state or GAMEDAY_STATE", root)
	}
	return Dir{root}, nil
}

// Root is the folder's path.
func (d Dir) Root() string { return d.root }

// NewRun picks a name for a run of a scenario, and its directory, which it does
// not make: "20261124-153012-slow-payments-7f3a". The end is the part of the second,
// in 65536ths, so that runs of one second have names and an order.
func (d Dir) NewRun(scenario string, now time.Time) (name, path string) {
	part := int64(now.Nanosecond()) << 16 / int64(time.Second)
	name = fmt.Sprintf("%s-%s-%04x", now.UTC().Format(stampLayout), fileName(scenario), part)
	return name, d.path("runs", name)
}

const stampLayout = "20060102-150405"

// began is the part of a run's name that says when it began, to be compared.
func began(name string) string {
	if len(name) < len(stampLayout)+4 {
		return name
	}
	return name[:len(stampLayout)] + name[len(name)-4:]
}

// fileName keeps what is safe in a file name and short enough to type.
func fileName(text string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text)
	safe = strings.Trim(safe, "-")
	if len(safe) > 40 {
		safe = strings.Trim(safe[:40], "-")
	}
	if safe == "" {
		safe = "run"
	}
	return safe
}

func (d Dir) path(parts ...string) string {
	return filepath.Join(append([]string{d.root}, parts...)...)
}

// Runs lists the names of all runs, newest first.
func (d Dir) Runs() ([]string, error) {
	list, err := d.names("runs")
	slices.Reverse(list)
	return list, err
}

// Live lists the runs that are not known to be over.
func (d Dir) Live() ([]string, error) { return d.names("live") }

func (d Dir) names(kind string) ([]string, error) {
	entries, err := os.ReadDir(d.path(kind))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the runs: %w", err)
	}
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	slices.SortStableFunc(list, func(a, b string) int { return strings.Compare(began(a), began(b)) })
	return list, nil
}

// ErrNoRun tells that no run is meant by what a person typed, or that several are.
var ErrNoRun = errors.New("no such run")

// noRun makes an error that is ErrNoRun and says more.
func noRun(format string, values ...any) error {
	return &noRunError{fmt.Sprintf(format, values...)}
}

type noRunError struct{ text string }

func (e *noRunError) Error() string    { return e.text }
func (e *noRunError) Is(is error) bool { return is == ErrNoRun }

// Find resolves what a person types for a run: "last", a name, the start of one
// name only, or the path of a run's directory.
func (d Dir) Find(text string) (name, path string, err error) {
	if strings.ContainsRune(text, filepath.Separator) {
		path, err := filepath.Abs(text)
		if err != nil {
			return "", "", fmt.Errorf("find the run %s: %w", text, err)
		}
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			return "", "", noRun("there is no run's directory at %s", path)
		}
		if !holds(path, "journal") && !holds(path, "result.json") {
			return "", "", noRun("%s is not the directory of a run: there is no journal in it", path)
		}
		return filepath.Base(path), path, nil
	}
	runs, err := d.Runs()
	if err != nil {
		return "", "", err
	}
	if len(runs) == 0 {
		return "", "", noRun("there are no runs in %s", d.root)
	}
	name, err = Pick(text, runs)
	return name, d.path("runs", name), err
}

func holds(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

// Pick finds the run that a person means among runs, the newest first.
func Pick(text string, runs []string) (string, error) {
	if text == "last" && len(runs) > 0 {
		return runs[0], nil
	}
	var found []string
	for _, run := range runs {
		if run == text {
			return run, nil
		}
		if strings.HasPrefix(run, text) || strings.Contains(run, "-"+text) {
			found = append(found, run)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", noRun("no run is named %q; `gameday runs` lists them", text)
	}
	return "", noRun("%q fits %d runs, such as %s and %s; type more of the name", text, len(found), found[0], found[1])
}

// MarkLive notes on disk that a run may have something to mend.
func (d Dir) MarkLive(run string) error {
	if err := os.MkdirAll(d.path("live"), 0o700); err != nil {
		return fmt.Errorf("mark the run as live: %w", err)
	}
	file, err := os.OpenFile(d.path("live", run), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("mark the run as live: %w", err)
	}
	if err := errors.Join(file.Close(), syncDir(d.path("live"))); err != nil {
		return fmt.Errorf("mark the run as live: %w", err)
	}
	return nil
}

// MarkOver notes that a run has nothing to mend any more.
func (d Dir) MarkOver(run string) error {
	err := os.Remove(d.path("live", run))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("mark the run as over: %w", err)
	}
	return nil
}

// RunPath is the directory of a run by its exact name.
func (d Dir) RunPath(run string) string { return d.path("runs", run) }

// Hold claims a target for a run until release is called or the process ends. It
// fails with the name of the run that has it.
func (d Dir) Hold(run, target string) (release func(), err error) {
	if err := os.MkdirAll(d.path("targets"), 0o700); err != nil {
		return nil, fmt.Errorf("claim %s: %w", target, err)
	}
	sum := sha256.Sum256([]byte(target))
	path := d.path("targets", hex.EncodeToString(sum[:12]))
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("claim %s: %w", target, err)
		}
		held, err := d.lock(file, path, run, target)
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if held {
			// Removing it while it is locked lets nobody keep the name of a dead file: who
			// waits for the lock sees that the path is another file by then.
			return func() {
				if err := os.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
					closeQuietly(file)
				}
			}, nil
		}
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("claim %s: %w", target, err)
		}
	}
}

// lock tells whether file is locked by us and still stands at path.
func (d Dir) lock(file *os.File, path, run, target string) (bool, error) {
	err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		text, readErr := os.ReadFile(path)
		if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) {
			return false, fmt.Errorf("%s is held by another run, whose name cannot be read: %w", target, readErr)
		}
		holder, _, _ := strings.Cut(string(text), "\n")
		if holder == "" {
			holder = "another run"
		}
		return false, fmt.Errorf("%s is held by run %s; wait until it is over, or stop it with `gameday abort %s`", target, holder, holder)
	}
	if err != nil {
		return false, fmt.Errorf("claim %s: lock %s: %w", target, path, err)
	}
	mine, err := file.Stat()
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", target, err)
	}
	there, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(mine, there) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claim %s: %w", target, err)
	}
	if err := file.Truncate(0); err != nil {
		return false, fmt.Errorf("claim %s: %w", target, err)
	}
	if _, err := file.WriteAt([]byte(run+"\n"+target+"\n"), 0); err != nil {
		return false, fmt.Errorf("claim %s: %w", target, err)
	}
	return true, nil
}

// closeQuietly closes a file that was only locked: an error would change nothing.
func closeQuietly(file *os.File) {
	if err := file.Close(); err != nil {
		return
	}
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
