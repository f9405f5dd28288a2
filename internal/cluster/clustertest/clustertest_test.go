package clustertest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m.Run)) }

// needing is the variable that makes TestNeedsACluster do what its name says.
const needing = "GAMEDAY_CLUSTERTEST_NEEDS"

func TestNeedsACluster(t *testing.T) {
	if os.Getenv(needing) == "" {
		t.Skip("is run again by the test below")
	}
	Shared(t)
}

// A cluster that cannot be had is a failure, unless somebody said to go without.
func TestAClusterThatCannotBeBuiltIsNotPassedOver(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, it := range map[string]struct {
		environment []string
		fails       bool
		says        string
	}{
		"no go and nothing built":         {[]string{"PATH=", "GAMEDAY_CLUSTER_CACHE=" + t.TempDir()}, true, "these tests need a Kubernetes cluster: "},
		"a kubeconfig that leads nowhere": {[]string{useVariable + "=/nowhere"}, true, "no kubeconfig at /nowhere"},
		"KUBECONFIG is not looked at":     {[]string{"PATH=", "GAMEDAY_CLUSTER_CACHE=" + t.TempDir(), "KUBECONFIG=/production"}, true, skipVariable + "=1 leaves them out"},
		"going without":                   {[]string{skipVariable + "=1", "PATH="}, false, "and " + skipVariable + " is set"},
	} {
		t.Run(name, func(t *testing.T) {
			again := exec.CommandContext(t.Context(), program, "-test.run=^TestNeedsACluster$", "-test.v")
			again.Env = append(append([]string{needing + "=1"}, it.environment...), "HOME="+t.TempDir())
			output, err := again.CombinedOutput()
			if (err != nil) != it.fails || !strings.Contains(string(output), it.says) || strings.Contains(string(output), "/production") {
				t.Errorf("%v\n%s", err, output)
			}
		})
	}
}
