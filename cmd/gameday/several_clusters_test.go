package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

const twoClusters = `
variable "kubeconfig" {}
variable "namespace" {}

kubernetes "east" {
  kubeconfig = var.kubeconfig
  context    = "east"
}
kubernetes "west" {
  kubeconfig = var.kubeconfig
  context    = "west"
}

probe "kubernetes" "east" {
  kubernetes = kubernetes.east
  namespace  = var.namespace
  workload   = "deployment/shop"
  every      = "100ms"
}
probe "kubernetes" "west" {
  kubernetes = kubernetes.west
  namespace  = var.namespace
  workload   = "deployment/shop"
  every      = "100ms"
}

scenario "two" {
  seed = 1
  hypothesis "east is whole again" {
    probe          = probe.east
    during         = false
    hold           = "0s"
    recover_within = "30s"
  }
  hypothesis "west is whole again" {
    probe          = probe.west
    during         = false
    hold           = "0s"
    recover_within = "30s"
  }
  fault "pod_kill" "killed" {
    kubernetes = kubernetes.east
    namespace  = var.namespace
    selector   = "app=shop"
  }
  fault "deployment_scale" "fewer" {
    kubernetes = kubernetes.west
    namespace  = var.namespace
    workload   = "deployment/shop"
    replicas   = 1
    duration   = "%DURATION%"
  }
}
`

// Two clusters that look the same: each fault and each probe is on the one that is named,
// and a watchdog that mends finds its way to both.
func TestAScenarioReachesSeveralClustersByName(t *testing.T) {
	slow(t)
	clusters := map[string]*clustertest.Cluster{"east": clustertest.Shared(t), "west": clustertest.Own(t)}
	const namespace = "twin"
	merged := clientcmdapi.NewConfig()
	for name, c := range clusters {
		c.NamedNamespace(t, namespace)
		c.Deployment(t, namespace, "shop", 3)
		config, err := clientcmd.LoadFromFile(c.Kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		current := config.Contexts[config.CurrentContext]
		merged.Clusters[name], merged.AuthInfos[name] = config.Clusters[current.Cluster], config.AuthInfos[current.AuthInfo]
		merged.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*merged, kubeconfig); err != nil {
		t.Fatal(err)
	}
	pods := func(name string) (list []string) {
		for _, pod := range clusters[name].Pods(t, namespace, "shop") {
			list = append(list, pod.Text("metadata", "uid"))
		}
		slices.Sort(list)
		return list
	}
	replicas := func(name string) string {
		return fmt.Sprint(clusters[name].Read(t, kube.Deployments.In(namespace, "shop")).At("spec", "replicas"))
	}
	start := func(duration string) *process {
		file := filepath.Join(t.TempDir(), "two.hcl")
		write(t, file, strings.ReplaceAll(twoClusters, "%DURATION%", duration))
		return gameday(t, filepath.Join(t.TempDir(), "state"), "run", "--plain", "--var", "kubeconfig="+kubeconfig, "--var", "namespace="+namespace, file)
	}
	east := pods("east")
	start("1s").ends(time.Minute, 0, "HELD", "killed injected", "fewer injected: .*replicas 1 .was 3")
	if now := pods("east"); slices.Equal(now, east) {
		t.Error("no pod of east was killed")
	}
	for name, c := range clusters {
		c.AwaitReady(t, namespace, "shop", 3)
		if left := c.Left(t, namespace); left != "" || replicas(name) != "3" {
			t.Errorf("%s has %s replicas, and of the run is left: %s", name, replicas(name), left)
		}
	}

	west := pods("west")
	run := start("5m")
	run.says("fewer injected")
	if replicas("east") != "3" || replicas("west") != "1" {
		t.Errorf("%s replicas in east and %s in west, want 3 and 1", replicas("east"), replicas("west"))
	}
	clusters["west"].Await(t, "two pods of west to go", func() bool { return len(pods("west")) == 1 })
	if err := run.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	clusters["west"].Await(t, "the watchdog to mend west", func() bool { return replicas("west") == "3" })
	clusters["west"].AwaitReady(t, namespace, "shop", 3)
	kept := 0
	for _, uid := range pods("west") {
		if slices.Contains(west, uid) {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("%d pods of west were kept, want the one that the scale left: the kill was for east", kept)
	}
}
