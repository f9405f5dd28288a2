package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/state"
)

// openStore opens where runs are kept to be read: --store or $GAMEDAY_STORE, else the
// state folder.
func (global *globalFlags) openStore(ctx context.Context) (history.Store, error) {
	address := global.storeAddress()
	switch {
	case address == "":
		home, err := state.Open(global.state)
		if err != nil {
			return nil, err
		}
		return history.NewFolder(home), nil
	case strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://"):
		return history.OpenPostgres(ctx, address)
	}
	return nil, &exitError{experiments.Invalid.ExitCode(), errors.New("--store is the address of a PostgreSQL database, postgres://user@host:5432/database; for a folder, give --state")}
}

func (global *globalFlags) storeAddress() string {
	if global.store != "" {
		return global.store
	}
	return os.Getenv("GAMEDAY_STORE")
}

// shared tells whether runs are kept elsewhere than in the state folder.
func (global *globalFlags) shared() bool { return global.storeAddress() != "" }

// ofRun reads the files that are kept of a run from its directory.
func ofRun(dir string, result *experiments.Result) (*history.Run, error) {
	run := &history.Run{Result: result, Files: map[string][]byte{}}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		// The journal is what mends on this machine, and holds nothing more to read.
		if name == "journal" || name == abortFile || strings.HasPrefix(filepath.Base(name), ".") || name == history.OutlineFile {
			return nil
		}
		text, err := os.ReadFile(path)
		run.Files[filepath.ToSlash(name)] = text
		return err
	})
	return run, err
}

// keepInStore puts a run that is over into the shared store, if there is one. What fails
// changes no verdict: the run is on this machine, and `gameday runs sync` tries again.
func (global *globalFlags) keepInStore(ctx context.Context, dir string, result *experiments.Result) (err error) {
	if !global.shared() {
		return nil
	}
	store, err := global.openStore(ctx)
	if err == nil {
		var run *history.Run
		if run, err = ofRun(dir, result); err == nil {
			err = keepWritten(ctx, store, run)
		}
		if err == nil {
			err = store.Put(ctx, run)
		}
		err = errors.Join(err, store.Close())
	}
	if err != nil {
		return fmt.Errorf("run %s is not in the shared store: %w; it is in %s, and `gameday runs sync` tries again", result.Run, err, dir)
	}
	return nil
}

// findRun resolves what a person types for a run in a store.
func findRun(ctx context.Context, store history.Store, text string) (string, error) {
	list, err := store.List(ctx, history.Query{Brief: true})
	if err != nil {
		return "", err
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Run)
	}
	if len(names) == 0 {
		return "", fmt.Errorf("there are no runs in %s: %w", store.Where(), state.ErrNoRun)
	}
	return state.Pick(text, names)
}
