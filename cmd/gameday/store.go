package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/history"
	"github.com/gameday-sh/gameday/internal/state"
)

// storeVariable is the environment variable that stands for --store.
const storeVariable = "GAMEDAY_STORE"

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
	return os.Getenv(storeVariable)
}

// shared tells whether runs are kept elsewhere than in the state folder.
func (global *globalFlags) shared() bool { return global.storeAddress() != "" }

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
