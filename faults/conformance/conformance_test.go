package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/conformance"
)

// bug is the environment variable that says what is wrong with the toy.
const bug = "GAMEDAY_CONFORMANCE_BUG"

func TestMain(m *testing.M) {
	os.Exit(conformance.Main(m, []experiments.Kind[experiments.Fault]{
		{Name: "toy", New: func() experiments.Fault { return new(toy) }},
	}))
}

// toy is a small real fault: it puts a file called harm into a directory. It can have
// one bug.
type toy struct {
	dir      string
	injected map[string]bool // by hit; a right fault needs no memory
}

type toySpec struct {
	Dir    string `json:"dir"`
	Inode  uint64 `json:"inode"`
	Secret string `json:"secret,omitempty"`
}

func (s toySpec) harm() string { return filepath.Join(s.Dir, "harm") }

const toySecret = "open-sesame"

func has(what string) bool { return os.Getenv(bug) == what }

func inode(dir string) (uint64, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	return info.Sys().(*syscall.Stat_t).Ino, nil
}

func (*toy) Lasts() bool { return true }

func (f *toy) Plan(_ context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	if has("plan of nothing") && strings.HasSuffix(f.dir, "elsewhere") {
		return []experiments.Hit{{Target: "nothing"}}, nil
	}
	number, err := inode(f.dir)
	if err != nil {
		return nil, err
	}
	spec := toySpec{Dir: f.dir, Inode: number}
	if has("plan that harms") {
		if err := os.WriteFile(spec.harm(), nil, 0o600); err != nil {
			return nil, err
		}
	}
	if has("plan with a secret") {
		spec.Secret = toySecret
	}
	hit := experiments.Hit{Target: "directory " + f.dir, Holds: f.dir, Effect: "a file is in the way", Undo: "remove it"}
	if has("plan without words") {
		hit.Effect = ""
	}
	if has("plan by another seed") {
		hit.Target += fmt.Sprint(d.Uniform(), os.Getpid(), len(f.injected))
		f.remember("planned" + fmt.Sprint(len(f.injected)))
	}
	hit.Spec, err = json.Marshal(spec)
	return []experiments.Hit{hit}, err
}

func (f *toy) remember(what string) {
	if f.injected == nil {
		f.injected = map[string]bool{}
	}
	f.injected[what] = true
}

func (f *toy) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	var spec toySpec
	if err := json.Unmarshal(h.Spec, &spec); err != nil {
		return experiments.Proof{}, err
	}
	if has("cancelled inject that leaves something") && ctx.Err() != nil {
		return experiments.Proof{}, errors.Join(ctx.Err(), os.WriteFile(filepath.Join(spec.Dir, "lock"), nil, 0o600))
	}
	if err := ctx.Err(); err != nil && !has("inject that is not to be stopped") {
		return experiments.Proof{}, err
	}
	if now, err := inode(spec.Dir); err != nil || now != spec.Inode && !has("inject of a moved target") {
		return experiments.Proof{}, errors.Join(err, errors.New("the directory moved since the plan"))
	}
	if has("inject that works once") && f.injected[h.ID] {
		return experiments.Proof{}, errors.New("once is enough")
	}
	f.remember(h.ID)
	if !has("inject that does nothing") {
		if err := os.WriteFile(spec.harm(), nil, 0o600); err != nil {
			return experiments.Proof{}, err
		}
	}
	if has("inject without proof") {
		return experiments.Proof{}, nil
	}
	return experiments.Proof{Seen: "the file is there"}, nil
}

func (f *toy) Revert(_ context.Context, h experiments.Hit) error {
	var spec toySpec
	if err := json.Unmarshal(h.Spec, &spec); err != nil {
		return err
	}
	switch {
	case has("revert that does nothing"):
		return nil
	case has("revert that needs a memory") && !f.injected[h.ID]:
		return nil
	case has("revert that touches what is not ours"):
		if err := os.Remove(filepath.Join(spec.Dir, "goods")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := os.Remove(spec.harm())
	if errors.Is(err, fs.ErrNotExist) && !has("revert that works once") {
		return nil
	}
	return err
}

func (*toy) Check(_ context.Context, h experiments.Hit) (experiments.Observation, error) {
	var spec toySpec
	if err := json.Unmarshal(h.Spec, &spec); err != nil {
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	}
	_, err := os.Stat(spec.harm())
	switch {
	case has("check that sees no harm"), errors.Is(err, fs.ErrNotExist):
		return experiments.Observation{State: experiments.Whole, Seen: "no file"}, nil
	case err != nil:
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	}
	return experiments.Observation{State: experiments.Harmed, Seen: "a file"}, nil
}

func buildToy(t *testing.T) conformance.Target {
	dir := filepath.Join(t.TempDir(), "target")
	make := func(t *testing.T) {
		t.Helper()
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "goods"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	make(t)
	return conformance.Target{
		Fault: &toy{dir: dir}, Nowhere: &toy{dir: dir + "-elsewhere"}, Secrets: []string{toySecret},
		Snapshot: func(t *testing.T) string {
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(entries)
		},
		Move: func(t *testing.T) {
			if err := os.Rename(dir, dir+"-before"); err != nil {
				t.Fatal(err)
			}
			make(t)
		},
	}
}

// TestToy is what the others run again with a bug.
func TestToy(t *testing.T) {
	conformance.Run(t, conformance.World{Kind: "toy", Build: buildToy})
}

// Each promise can be broken, and the suite says which was.
func TestTheSuiteFailsForEachBrokenPromise(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for broken, promise := range map[string]string{
		"plan that harms":                        "plan names its hits fully and changes nothing",
		"plan without words":                     "plan names its hits fully and changes nothing",
		"plan by another seed":                   "plan gives the same hits for the same seed",
		"plan of nothing":                        "plan of no target is an error",
		"plan with a secret":                     "a hit holds no secret",
		"inject that does nothing":               "inject is proven by what is read back",
		"inject without proof":                   "inject is proven by what is read back",
		"check that sees no harm":                "inject is proven by what is read back",
		"revert that does nothing":               "revert restores what stood before and is proven",
		"revert that touches what is not ours":   "revert restores what stood before and is proven",
		"revert that works once":                 "revert twice is harmless",
		"revert that needs a memory":             "revert works from the journal record in a fresh process",
		"inject that works once":                 "inject again after a revert works",
		"inject of a moved target":               "a target that moved since the plan is refused untouched",
		"cancelled inject that leaves something": "a cancelled inject leaves nothing behind after revert",
		"inject that is not to be stopped":       "a cancelled context stops every call with an error",
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			again := exec.CommandContext(t.Context(), program, "-test.run=^TestToy$", "-test.v")
			again.Env = append(os.Environ(), bug+"="+broken)
			output, err := again.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) {
				t.Fatalf("the suite passes a fault with a bug: %v\n%s", err, output)
			}
			if want := "--- FAIL: TestToy/" + strings.ReplaceAll(promise, " ", "_") + " "; !strings.Contains(string(output), want) {
				t.Errorf("the suite does not say %q:\n%s", want, output)
			}
		})
	}
}
