package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// RealNode is the name of the one real node.
	RealNode = "node1"
	// nodeAddress is where the API server and the kubelet are, within the namespace.
	nodeAddress = "10.77.0.1"
	podNetwork  = "10.244.0.0/24"
	// nodeCgroup is the cgroup that all pods are below.
	nodeCgroup = "gameday-e2e"
	// pluginDir is where Debian's containernetworking-plugins are.
	pluginDir = "/usr/lib/cni"
)

// stateDir is a tmpfs of the node's own: what containerd and the kubelet keep there
// is gone with its last process. Sockets want a short path.
const stateDir = "/run/gameday"

// Besides what is configured, containerd and the kubelet write to these.
var writtenDirs = []string{"/var/lib/kubelet", "/var/lib/cni", "/var/log/containers"}

// The kubelet insists on its own values of these. It is shown files instead, so that
// the machine's stay as they are.
var wantedSettings = map[string]string{
	"/proc/sys/vm/overcommit_memory": "1", "/proc/sys/kernel/panic": "10", "/proc/sys/kernel/panic_on_oops": "1",
}

// startWithNode starts a control plane and a node, in namespaces that are there.
func startWithNode(ctx context.Context, bin string, o Options) (*Cluster, error) {
	if err := network(ctx); err != nil {
		return nil, err
	}
	c, err := newCluster(bin, nodeAddress, o)
	if err != nil {
		return nil, err
	}
	if err := c.startContainerd(ctx); err != nil {
		return nil, err
	}
	if err := c.startControlPlane(ctx); err != nil {
		return nil, err
	}
	if err := c.startKubelet(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// network gives the empty network namespace a node's address and a default route,
// which the API server and kube-proxy look for. It leads nowhere.
func network(ctx context.Context) error {
	for _, line := range []string{
		"link set lo up",
		"link add node0 type veth peer name node0-end",
		"addr add " + nodeAddress + "/24 dev node0",
		"link set node0 up",
		"link set node0-end up",
		"route add default dev node0",
	} {
		if output, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("make the node's network: ip %s: %w: %s", line, err, output)
		}
	}
	// Of this network namespace only.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("let the node forward packets: %w", err)
	}
	return nil
}

// startContainerd starts containerd and imports the images.
func (c *Cluster) startContainerd(ctx context.Context) error {
	plugins := filepath.Join(stateDir, "cni")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		return fmt.Errorf("configure the node's network: %w", err)
	}
	// Pods are routed, not bridged, so that whatever filters packets sees all of theirs.
	list := fmt.Sprintf(`{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "ptp", "ipMasq": false,
  "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}`,
		filepath.Join(stateDir, "addresses"), podNetwork)
	if err := os.WriteFile(filepath.Join(plugins, "10-pods.conflist"), []byte(list), 0o644); err != nil {
		return fmt.Errorf("configure the node's network: %w", err)
	}
	socket := filepath.Join(stateDir, "containerd.sock")
	configuration := filepath.Join(c.dir, "containerd.toml")
	text := fmt.Sprintf(`version = 3
root = "%[1]s/containerd"
state = "%[1]s/containers"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "%[2]s"
[ttrpc]
  address = "%[2]s.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "%[1]s/opt"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "%[3]s"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["%[4]s"]
    conf_dir = "%[5]s"
`, stateDir, socket, PauseImage, pluginDir, plugins)
	if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure containerd: %w", err)
	}
	if err := c.daemons.start("containerd", filepath.Join(c.bin, "containerd"), "--config", configuration); err != nil {
		return err
	}
	ctr := func(args ...string) ([]byte, error) {
		return exec.CommandContext(ctx, filepath.Join(c.bin, "ctr"), append([]string{"-a", socket, "-n", "k8s.io"}, args...)...).CombinedOutput()
	}
	if err := c.daemons.await(ctx, "containerd", func() bool { _, err := ctr("version"); return err == nil }, "containerd"); err != nil {
		return err
	}
	for i, it := range images {
		path := filepath.Join(c.dir, "..", "images", fmt.Sprintf("%d.tar", i))
		if output, err := ctr("images", "import", path); err != nil {
			return fmt.Errorf("import the image %s: %w: %s", it.reference, err, output)
		}
	}
	return nil
}

// startKubelet starts the kubelet and kube-proxy, and waits until the node is ready.
func (c *Cluster) startKubelet(ctx context.Context) error {
	configuration := filepath.Join(c.dir, "kubelet.yaml")
	p := c.pki.path
	text := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %[2]s
containerRuntimeEndpoint: unix://%[1]s/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /%[3]s
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %[4]q}}
authorization: {mode: Webhook}
tlsCertFile: %[5]q
tlsPrivateKeyFile: %[6]q
resolvConf: ""
clusterDomain: cluster.local
clusterDNS: [10.96.0.10] # nobody is there; without it each pod gets a warning
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, imagefs.available: 1%%}
imageGCHighThresholdPercent: 100
podLogsDir: %[1]s/logs
volumePluginDir: %[1]s/volume-plugins
`, stateDir, nodeAddress, nodeCgroup, p("ca.crt"), p("kubelet.crt"), p("kubelet.key"))
	if err := os.WriteFile(configuration, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure the kubelet: %w", err)
	}
	return errors.Join(
		c.daemons.start("kubelet", filepath.Join(c.bin, "kubelet"), "--config="+configuration, "--kubeconfig="+p("kubelet.kubeconfig"),
			"--root-dir="+filepath.Join(stateDir, "kubelet"), "--cert-dir="+filepath.Join(stateDir, "kubelet", "pki"),
			"--hostname-override="+RealNode, "--node-ip="+nodeAddress),
		c.daemons.start("kube-proxy", filepath.Join(c.bin, "kube-proxy"), "--kubeconfig="+p("kube-proxy.kubeconfig"), "--proxy-mode=iptables",
			"--cluster-cidr="+podNetwork, "--hostname-override="+RealNode, "--bind-address="+nodeAddress, "--healthz-bind-address=127.0.0.1:10256",
			// These are the machine's and not the namespace's: left alone.
			"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s"),
		c.daemons.await(ctx, "the node", func() bool { return c.readyNodes(ctx) >= 1 }, apiServer, manager, "containerd", "kube-proxy", "kubelet"),
	)
}

// lacking says what a node needs and is not installed.
func lacking() error {
	var missing []string
	for _, program := range []string{"runc", "iptables", "ip"} {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	for _, plugin := range []string{"ptp", "host-local", "loopback"} {
		if _, err := os.Stat(filepath.Join(pluginDir, plugin)); err != nil {
			missing = append(missing, filepath.Join(pluginDir, plugin))
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("a real node needs root")
	}
	if len(missing) > 0 {
		return fmt.Errorf("a real node needs %s: apt-get install runc containernetworking-plugins iptables iproute2", strings.Join(missing, ", "))
	}
	return nil
}

// A Node is a command that is run beside a cluster with one real node.
type Node struct {
	// Dir is a folder for it; logs are there afterwards.
	Dir      string
	Command  []string
	Progress io.Writer
}
