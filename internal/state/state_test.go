package state

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T) Dir {
	t.Helper()
	dir, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestATargetIsHeldByOneRunOnly(t *testing.T) {
	dir := open(t)
	release, err := dir.Hold("first", "proxy payments")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dir.Hold("second", "proxy payments"); err == nil || !strings.Contains(err.Error(), "held by run first") {
		t.Errorf("a second claim gave %v", err)
	}
	other, err := dir.Hold("second", "proxy catalogue")
	if err != nil {
		t.Errorf("another target: %v", err)
	}
	other()
	release()
	again, err := dir.Hold("second", "proxy payments")
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again()
}

func TestManyRunsNeverHoldATargetTogether(t *testing.T) {
	dir := open(t)
	var holders, most int
	var mu sync.Mutex
	var runs sync.WaitGroup
	claimed := 0
	for range 8 {
		runs.Go(func() {
			for range 50 {
				release, err := dir.Hold("run", "target")
				if err != nil {
					continue
				}
				mu.Lock()
				holders++
				claimed++
				most = max(most, holders)
				mu.Unlock()
				mu.Lock()
				holders--
				mu.Unlock()
				release()
			}
		})
	}
	runs.Wait()
	if most != 1 || claimed == 0 {
		t.Errorf("%d runs held the target together (%d claims)", most, claimed)
	}
}

func TestRunsAreFoundByWhatPeopleType(t *testing.T) {
	dir := open(t)
	var names []string
	for i, scenario := range []string{"Slow payments!", "lost catalogue"} {
		name, path := dir.NewRun(scenario, time.Date(2026, 11, 24, 15, 30, i, 0, time.UTC))
		names = append(names, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path, "journal"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.HasPrefix(names[0], "20261124-153000-slow-payments-") {
		t.Errorf("name %q", names[0])
	}
	for text, want := range map[string]string{
		"last": names[1], names[0]: names[0], "slow": names[0], "20261124-153001": names[1], dir.RunPath(names[0]): names[0],
	} {
		name, path, err := dir.Find(text)
		if err != nil || name != want || path != dir.RunPath(want) {
			t.Errorf("%q found %q at %q, %v; want %q", text, name, path, err, want)
		}
	}
	for text, want := range map[string]string{"2026": "fits 2 runs", "nothing": "no run is named", "/nowhere/at/all": "no run's directory",
		"/": "is not the directory of a run", "../../..": "", "..": "no run is named", "": "fits 2 runs", "no/": "no run's directory"} {
		if _, _, err := dir.Find(text); err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrNoRun) {
			t.Errorf("%q gave %v, want %q", text, err, want)
		}
	}
}

func TestRunsOfOneSecondAreInTheirOrder(t *testing.T) {
	dir := open(t)
	var want []string
	for i, scenario := range []string{"zebra", "ant", "ant", "mouse"} {
		name, path := dir.NewRun(scenario, time.Date(2026, 11, 24, 15, 30, 12, i*17_000_000, time.UTC))
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		want = slices.Insert(want, 0, name)
	}
	if got, err := dir.Runs(); err != nil || !slices.Equal(got, want) {
		t.Errorf("the newest first: %v, %v; want %v", got, err, want)
	}
}

func TestAFileIsNoStateFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "is a file; choose a folder") {
		t.Errorf("opening a file gave %v", err)
	}
}

func TestALiveRunIsRememberedUntilItIsOver(t *testing.T) {
	dir := open(t)
	if live, err := dir.Live(); err != nil || len(live) != 0 {
		t.Fatalf("a new folder has live runs %v, %v", live, err)
	}
	if err := dir.MarkLive("a-run"); err != nil {
		t.Fatal(err)
	}
	if live, err := dir.Live(); err != nil || len(live) != 1 || live[0] != "a-run" {
		t.Errorf("live %v, %v", live, err)
	}
	for range 2 {
		if err := dir.MarkOver("a-run"); err != nil {
			t.Fatal(err)
		}
	}
	if live, err := dir.Live(); err != nil || len(live) != 0 {
		t.Errorf("live after the end %v, %v", live, err)
	}
}
