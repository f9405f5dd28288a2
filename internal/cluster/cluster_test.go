package cluster

import (
	"bytes"
	"os"
	"path/filepath"
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
