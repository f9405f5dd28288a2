package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/reports"
)

// syncedFile is the report.md of this machine as it was when it was last brought to a
// shared store: against it shows who has changed a place since.
const syncedFile = ".report.md.synced"

// ofRun reads what is kept of a run from its directory. The result is that of the file:
// unlike the one in memory it is without secrets.
func ofRun(dir string) (*history.Run, error) {
	run := &history.Run{Files: map[string][]byte{}}
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
	if err != nil {
		return nil, err
	}
	stored, found := run.Files[reportNames["json"]]
	if !found {
		return nil, fmt.Errorf("%s has no %s", dir, reportNames["json"])
	}
	if run.Result, err = reports.Load(bytes.NewReader(stored)); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, reportNames["json"]), err)
	}
	return run, nil
}

// keepInStore puts a run that is over into the shared store, if there is one. What fails
// changes no verdict: the run is on this machine, and `gameday runs sync` tries again.
func (global *globalFlags) keepInStore(ctx context.Context, dir string) error {
	if !global.shared() {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, reportNames["json"])); errors.Is(err, fs.ErrNotExist) {
		return nil // it died before anything could be told of it
	}
	err := global.withStore(ctx, func(store history.Store) error {
		run, err := ofRun(dir)
		if err == nil {
			_, err = keepRun(ctx, store, dir, run)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("run %s is not in the shared store: %w; it is in %s, and `gameday runs sync` tries again", filepath.Base(dir), err, dir)
	}
	return nil
}

// brought tells what of a run was brought to a store.
type brought struct {
	result    bool     // the result, and all files but the report
	taken     []string // changed here since the last time, and there now
	conflicts []string // changed here and there; the store's stays
}

// keepRun puts a run of dir into a store, or what is new of it. What people wrote there
// stays.
func keepRun(ctx context.Context, store history.Store, dir string, run *history.Run) (*brought, error) {
	markdown := reportNames["markdown"]
	_, err := store.File(ctx, run.Result.Run, markdown)
	if errors.Is(err, history.ErrNotFound) {
		if err := store.Put(ctx, run); err != nil {
			return nil, err
		}
		return &brought{result: true}, noteSynced(dir, run)
	}
	if err != nil {
		return nil, err
	}
	// The report goes first: without the rest the next time begins anew.
	done, err := keepReport(ctx, store, dir, run)
	if err != nil {
		return nil, err
	}
	rest := &history.Run{Result: run.Result, Files: maps.Clone(run.Files)}
	maps.DeleteFunc(rest.Files, func(name string, _ []byte) bool {
		return name == markdown || name == reportNames["html"] || isBackup(name)
	})
	done.result = true
	return done, store.Put(ctx, rest)
}

// keepReport brings what people wrote in the report of a run on this machine into the
// one of a store, place by place, and renders that from the run's result.
func keepReport(ctx context.Context, store history.Store, dir string, run *history.Run) (*brought, error) {
	markdown := reportNames["markdown"]
	ours := run.Files[markdown]
	synced, err := os.ReadFile(filepath.Join(dir, syncedFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the report as it was last brought: %w", err)
	}
	there, err := store.File(ctx, run.Result.Run, markdown)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(there, ours) {
		return &brought{}, noteSynced(dir, run)
	}
	base, mine := reports.Read(synced), reports.Read(ours)
	both := &runReport{result: run.Result, stored: reports.Memory(run.Result), store: store, name: run.Result.Run}
	// Texts that were put aside here must not put out those that were put aside there.
	aside := [][]byte{}
	for _, name := range slices.Sorted(maps.Keys(run.Files)) {
		if isBackup(name) {
			aside = append(aside, run.Files[name])
		}
	}
	if mine.Lossy() && !bytes.Equal(ours, synced) {
		aside = append(aside, ours)
	}
	for _, text := range aside {
		if err := both.keep(ctx, markdown, text, io.Discard); err != nil {
			return nil, err
		}
	}
	done := &brought{}
	err = both.rewrite(ctx, io.Discard, func(theirs *reports.Document) (*reports.Document, error) {
		merged, conflicts := reports.Merge(base, mine, theirs)
		done = &brought{conflicts: conflicts}
		for _, key := range reports.PlaceKeys() {
			if merged.Text(key) != theirs.Text(key) {
				done.taken = append(done.taken, key)
			}
		}
		return merged, nil
	})
	if err != nil || len(done.conflicts) > 0 {
		return done, err
	}
	return done, noteSynced(dir, run)
}

// isBackup tells a report that was put aside before it was rendered again.
func isBackup(name string) bool { return strings.HasPrefix(name, reportNames["markdown"]+".bak-") }

func noteSynced(dir string, run *history.Run) error {
	path, text := filepath.Join(dir, syncedFile), run.Files[reportNames["markdown"]]
	if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, text) {
		return nil
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("note what was brought to the store: %w", err)
	}
	return nil
}
