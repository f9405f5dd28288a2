// Package clustertest gives tests a real Kubernetes API server.
//
// A test package hands its TestMain to [Main]. The first test that calls [Shared]
// starts a control plane with simulated nodes, on loopback, as any user: from
// programs that are built once, which takes minutes. It ends with the test process.
//
//	func TestMain(m *testing.M) { os.Exit(clustertest.Main(m.Run)) }
//
// Three variables change that:
//
//   - GAMEDAY_TEST_KUBECONFIG names the kubeconfig of a cluster that tests may break.
//     KUBECONFIG is never used: it may lead to production.
//   - KUBEBUILDER_ASSETS names a folder with programs that are used instead of built.
//   - GAMEDAY_TEST_NO_CLUSTER=1 skips the tests that need a cluster. Without it a
//     cluster that cannot be built is a failure.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/internal/cluster"
	"github.com/gameday-sh/gameday/internal/kube"
)

// The variables that say which cluster tests use.
const (
	useVariable  = "GAMEDAY_TEST_KUBECONFIG"
	skipVariable = "GAMEDAY_TEST_NO_CLUSTER"
)

// sharedNodes is how many simulated nodes a control plane has: 250 pods each, of all
// tests of a package.
const sharedNodes = 8

// patience bounds waiting for the cluster, on a busy machine.
const patience = time.Minute

// Cluster is a cluster that a test may break.
type Cluster struct {
	// Kubeconfig is a file with an administrator's access. Credentials are in it.
	Kubeconfig string
	// Client has an administrator's rights.
	Client *kube.Client
	// Plane is the control plane, to stop parts of it; nil for a cluster of the user's.
	Plane *cluster.Cluster

	connection *kube.Kubernetes
}

// shared is the cluster of this process: made at first need, ended by Main.
var shared struct {
	sync.Mutex
	cluster *Cluster
	dir     string
	err     error
}

// Main runs the tests of a package and then ends the cluster that they used.
func Main(run func() int) int {
	code := run()
	shared.Lock()
	defer shared.Unlock()
	if err := errors.Join(shared.cluster.end(), os.RemoveAll(shared.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "end the cluster:", err)
		return max(code, 1)
	}
	return code
}

// Shared gives the cluster of this test process. Tests keep to namespaces and nodes
// of their own. No more than a few tests have a cluster at a time: others wait.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	needed(t)
	Seat(t)
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		shared.cluster, shared.dir, shared.err = open()
	}
	if shared.err != nil {
		t.Fatalf("these tests need a Kubernetes cluster: %v\n(%s=1 leaves them out; %s names a cluster that may be broken)", shared.err, skipVariable, useVariable)
	}
	return shared.cluster
}

// Own starts a control plane for one test, which stops parts of it. It is skipped
// where tests use a cluster of the user's.
func Own(t testing.TB) *Cluster {
	t.Helper()
	needed(t)
	if os.Getenv(useVariable) != "" {
		t.Skipf("stops parts of a control plane: not done to the cluster of %s", useVariable)
	}
	Seat(t)
	c, err := start(t.TempDir())
	if err != nil {
		t.Fatalf("start a control plane: %v", err)
	}
	t.Cleanup(func() {
		if err := c.end(); err != nil {
			t.Errorf("end the control plane: %v", err)
		}
	})
	return c
}

func needed(t testing.TB) {
	t.Helper()
	if os.Getenv(skipVariable) != "" {
		t.Skipf("needs a Kubernetes cluster, and %s is set", skipVariable)
	}
}

// open makes the shared cluster. It outlives the test that needs it first.
func open() (c *Cluster, dir string, err error) {
	if path := os.Getenv(useVariable); path != "" {
		c, err = connect(path)
		return c, "", err
	}
	if dir, err = os.MkdirTemp("", "gameday-cluster-"); err != nil {
		return nil, "", err
	}
	c, err = start(dir)
	return c, dir, err
}

func start(dir string) (*Cluster, error) {
	plane, err := cluster.ControlPlane(context.Background(), cluster.Options{
		Dir: filepath.Join(dir, "plane"), Bound: true, Nodes: sharedNodes, Progress: os.Stderr,
	})
	if err != nil {
		return nil, err
	}
	path, err := plane.User("system:test-admin", "system:masters")
	if err != nil {
		return nil, errors.Join(err, plane.Stop())
	}
	c, err := connect(path)
	if err != nil {
		return nil, errors.Join(err, plane.Stop())
	}
	c.Plane = plane
	return c, nil
}

func connect(path string) (*Cluster, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection := &kube.Kubernetes{Kubeconfig: path, Timeout: patience}
	if err := connection.Open(ctx); err != nil {
		return nil, err
	}
	client, err := connection.Client()
	if err != nil {
		return nil, err
	}
	return &Cluster{Kubeconfig: path, Client: client, connection: connection}, nil
}

func (c *Cluster) end() error {
	if c == nil {
		return nil
	}
	err := c.connection.Close()
	if c.Plane != nil {
		err = errors.Join(err, c.Plane.Stop())
	}
	return err
}

// Connection is an open connection, as a scenario declares one. Options may set more
// of it first.
func (c *Cluster) Connection(t testing.TB, options ...func(*kube.Kubernetes)) *kube.Kubernetes {
	t.Helper()
	connection := &kube.Kubernetes{Kubeconfig: c.Kubeconfig, Timeout: 30 * time.Second}
	for _, option := range options {
		option(connection)
	}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	})
	return connection
}
