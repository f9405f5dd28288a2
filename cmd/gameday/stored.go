package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gameday-sh/gameday/internal/state"
	"github.com/gameday-sh/gameday/reports"
)

// renderStored renders the run that a person typed. Where its result is a file, the
// samples are read from there as they are needed, and never all into memory.
func renderStored(ctx context.Context, global *globalFlags, text string, render func(*reports.Stored) error) (err error) {
	path, err := resultPath(global, text)
	if err != nil {
		return err
	}
	var file *os.File
	if path != "" {
		file, err = os.Open(path)
	}
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		// It is in a shared store, or its runner died before it wrote it.
		result, err := storedResult(ctx, global, text)
		if err != nil {
			return err
		}
		return render(reports.Memory(result))
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	stored, err := reports.Open(file, info.Size())
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return render(stored)
}

// resultPath is the file of a run's result, whether it is there or not; empty where the
// run is in a shared store.
func resultPath(global *globalFlags, text string) (string, error) {
	if strings.HasSuffix(text, ".json") {
		return text, nil
	}
	if global.shared() && !strings.ContainsRune(text, filepath.Separator) {
		return "", nil
	}
	home, err := state.Open(global.state)
	if err != nil {
		return "", err
	}
	_, dir, err := home.Find(text)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, reportNames["json"]), nil
}
