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

// openStored opens the result of a run to be rendered: its samples stay in the file, and
// are read row by row. The caller calls close when it has rendered it.
func openStored(ctx context.Context, global *globalFlags, text string) (stored *reports.Stored, close func() error, err error) {
	path, err := resultPath(global, text)
	if err != nil {
		return nil, nil, err
	}
	var file *os.File
	if path != "" {
		file, err = os.Open(path)
	}
	if path == "" || errors.Is(err, fs.ErrNotExist) {
		// It is in a shared store, or its runner died before it wrote it.
		result, err := storedResult(ctx, global, text)
		if err != nil {
			return nil, nil, err
		}
		return reports.Memory(result), func() error { return nil }, nil
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := file.Stat()
	if err == nil {
		stored, err = reports.Open(file, info.Size())
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read %s: %w", path, err), file.Close())
	}
	return stored, file.Close, nil
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
