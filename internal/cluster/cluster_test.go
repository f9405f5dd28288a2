package cluster

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAControlPlaneStartsTwiceInOneFolderAndLeavesNoProcess(t *testing.T) {
	if os.Getenv("GAMEDAY_TEST_NO_CLUSTER") != "" || os.Getenv("GAMEDAY_TEST_KUBECONFIG") != "" {
		t.Skip("GAMEDAY_TEST_NO_CLUSTER or GAMEDAY_TEST_KUBECONFIG is set: no control plane is built")
	}
	dir := filepath.Join(t.TempDir(), "plane")
	var last *Cluster
	for range 2 {
		c, err := ControlPlane(t.Context(), Options{Dir: dir, Bound: true, Nodes: 1, Progress: os.Stderr})
		if err != nil {
			t.Fatal(err)
		}
		last = c
	}
	for _, name := range []string{etcd, apiServer, manager, scheduler, kwok} {
		if _, alive := last.daemons.running(name); !alive {
			t.Errorf("%s does not run", name)
		}
	}
	// Another process knows nothing but the folder.
	if err := StopDir(dir); err != nil {
		t.Fatal(err)
	}
	if found := processesOf(t, dir); found != "" {
		t.Errorf("still there: %s", found)
	}
	if err := last.Stop(); err != nil {
		t.Errorf("stopping what is stopped: %v", err)
	}
}

// processesOf lists the command lines that name a folder.
func processesOf(t *testing.T, dir string) string {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(dir)) {
			list = append(list, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return strings.Join(list, "\n")
}

func TestAFolderThatIsNoClustersIsNotRemoved(t *testing.T) {
	t.Setenv("GAMEDAY_CLUSTER_CACHE", t.TempDir())
	t.Setenv("PATH", "") // nothing is built
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.txt")
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "run"), 0o700), os.WriteFile(precious, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	_, err := ControlPlane(t.Context(), Options{Dir: dir, Progress: os.Stderr})
	if err == nil || !strings.Contains(err.Error(), "thesis.txt is in it, which is of no cluster and would be removed") {
		t.Errorf("it says: %v", err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
	if err := os.Remove(precious); err != nil {
		t.Fatal(err)
	}
	if err := clustersOwn(dir); err != nil {
		t.Errorf("what a start left that failed early: %v", err)
	}
	if err := clustersOwn(filepath.Join(dir, "new")); err != nil {
		t.Error(err)
	}
}

func TestTheFolderOfAClusterMayBeNamedFromHere(t *testing.T) {
	t.Chdir(t.TempDir())
	c, err := newCluster("", "127.0.0.1", Options{Dir: "plane"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(c.Kubeconfig) || strings.Contains(string(text), `"plane/`) {
		t.Errorf("%s is read from anywhere, and says\n%s", c.Kubeconfig, text)
	}
}

func TestProgramsOfTheUsersAreUsedBesideBuiltOnesAndOnlyThen(t *testing.T) {
	cache, assets := t.TempDir(), t.TempDir()
	t.Setenv("GAMEDAY_CLUSTER_CACHE", cache)
	t.Setenv("KUBEBUILDER_ASSETS", "")
	t.Setenv("PATH", "") // nothing is built
	ownBin := filepath.Join(cache, "bin-"+kubernetesVersion+"-"+etcdVersion+"-"+kwokVersion+"-"+containerdVersion+"-"+runtime.GOARCH)
	programs := []string{etcd, kwok, apiServer, manager, scheduler}
	if err := os.MkdirAll(ownBin, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(dir, program, text string) {
		if err := os.WriteFile(filepath.Join(dir, program), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, program := range programs {
		write(ownBin, program, "built")
	}
	for _, program := range []string{etcd, apiServer, "kubectl"} { // as setup-envtest has them
		write(assets, program, "the user's")
	}
	used := func() (list string) {
		bin, err := build(t.Context(), controlPlaneTargets(), os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		for _, program := range programs {
			text, err := os.ReadFile(filepath.Join(bin, program))
			if err != nil {
				t.Error(err)
			}
			list += program + " " + string(text) + "\n"
		}
		return list
	}
	built := "etcd built\nkwok built\nkube-apiserver built\nkube-controller-manager built\nkube-scheduler built\n"
	mixed := "etcd the user's\nkwok built\nkube-apiserver the user's\nkube-controller-manager built\nkube-scheduler built\n"
	for range 2 {
		t.Setenv("KUBEBUILDER_ASSETS", assets)
		if got := used(); got != mixed {
			t.Errorf("with programs of the user's:\n%s", got)
		}
		t.Setenv("KUBEBUILDER_ASSETS", "")
		if got := used(); got != built {
			t.Errorf("without:\n%s", got)
		}
	}
	if err := os.Remove(filepath.Join(ownBin, manager)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBEBUILDER_ASSETS", assets)
	var said bytes.Buffer
	if _, err := build(t.Context(), controlPlaneTargets(), &said); err == nil || !strings.HasPrefix(said.String(), "building "+manager+" (") {
		t.Errorf("%v; of all that is missing one is built:\n%s", err, said.String())
	}
}

func TestWaitingForAnotherBuildIsSaidAndCanBeStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "build.lock")
	unlock, err := lock(t.Context(), path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
	defer cancel()
	var said bytes.Buffer
	if _, err := lock(ctx, path, &said); !errors.Is(err, context.DeadlineExceeded) || strings.Count(said.String(), "another process builds") != 1 {
		t.Errorf("%v; it said\n%s", err, said.String())
	}
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if unlock, err = lock(t.Context(), path, &said); err != nil {
		t.Fatal(err)
	}
	if err := unlock(); err != nil {
		t.Error(err)
	}
}

func TestALongBuildSaysThatItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		output, err := toldOf(&said, time.Now(), func() ([]byte, error) {
			time.Sleep(75 * time.Second)
			return []byte("done"), nil
		})
		if err != nil || string(output) != "done" || said.String() != "  ... 30s\n  ... 1m0s\n" {
			t.Errorf("%s, %v; it said\n%s", output, err, said.String())
		}
	})
}
