package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Cluster is a Kubernetes that runs on this machine.
type Cluster struct {
	// Kubeconfig is a file with a cluster administrator's access.
	Kubeconfig string
	// Server is the API server's address.
	Server string

	dir     string
	bin     string
	address string // the IP address that the API server is at
	ports   ports
	pki     *pki
	daemons daemons
	client  *http.Client
}

type ports struct{ api, etcd, peer, manager, scheduler int }

// Options are how a cluster is started.
type Options struct {
	// Dir is its folder. A cluster that is in it is removed first; a folder that holds
	// anything else is refused.
	Dir string
	// Bound ends the cluster with this process, however it ends.
	Bound bool
	// Nodes is the number of simulated nodes.
	Nodes int
	// Progress is told what takes time.
	Progress io.Writer
}

// startWithin bounds the start of a cluster whose programs are built, on a busy machine.
const startWithin = 3 * time.Minute

// The daemons' names, and those of their logs.
const (
	etcd      = "etcd"
	apiServer = "kube-apiserver"
	manager   = "kube-controller-manager"
	scheduler = "kube-scheduler"
	kwok      = "kwok"
)

// stopOrder is so that nobody is stopped before those that need it.
var stopOrder = []string{"kube-proxy", "kubelet", "containerd", kwok, scheduler, manager, apiServer, etcd}

// ControlPlane builds what is missing and starts a control plane on loopback, with
// simulated nodes. It returns when the default namespace takes pods.
func ControlPlane(ctx context.Context, o Options) (*Cluster, error) {
	if err := clustersOwn(o.Dir); err != nil {
		return nil, err // before minutes of building
	}
	bin, err := build(ctx, controlPlaneTargets(), o.Progress)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	c, err := newCluster(bin, "127.0.0.1", o)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx, o); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context, o Options) error {
	if err := c.startControlPlane(ctx); err != nil {
		return err
	}
	if o.Nodes == 0 {
		return nil
	}
	return c.simulate(ctx, o.Nodes)
}

// newCluster lays out the folder and the certificates of a cluster at an address.
func newCluster(bin, address string, o Options) (*Cluster, error) {
	// Kubeconfigs name their certificates by it, and are read from anywhere.
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the folder of the cluster: %w", err)
	}
	if err := clustersOwn(dir); err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, bin: bin, address: address, daemons: daemons{dir: filepath.Join(dir, "run"), bound: o.Bound}}
	if err := errors.Join(c.daemons.stopAll(stopOrder), os.RemoveAll(dir), os.MkdirAll(c.daemons.dir, 0o700)); err != nil {
		return nil, fmt.Errorf("make a folder for the cluster: %w", err)
	}
	if c.ports, err = freePorts(); err != nil {
		return nil, err
	}
	c.Server = "https://" + net.JoinHostPort(address, strconv.Itoa(c.ports.api))
	if err := c.certify(); err != nil {
		return nil, err
	}
	return c, nil
}

// within is what a cluster has in its folder.
var within = []string{"etcd", "pki", "run", "scheduler.yaml", "kwok.yaml", "containerd.toml", "kubelet.yaml"}

// clustersOwn tells that a folder is a cluster's, empty, or not there: whatever is in it
// goes when a cluster is started.
func clustersOwn(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look into the folder of the cluster: %w", err)
	}
	for _, entry := range entries {
		if !slices.Contains(within, entry.Name()) {
			return fmt.Errorf("start a cluster in %s: %s is in it, which is of no cluster and would be removed; name a folder that is empty or new", dir, entry.Name())
		}
	}
	return nil
}

// certify makes the certificates of all components.
func (c *Cluster) certify() (err error) {
	if c.pki, err = newPKI(filepath.Join(c.dir, "pki")); err != nil {
		return err
	}
	for _, it := range []struct {
		name, commonName, organisation string
		hosts                          []string
	}{
		{apiServer, "kube-apiserver", "", []string{"127.0.0.1", c.address, "10.96.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}},
		{"admin", "admin", "system:masters", nil},
		{"kubelet-client", "apiserver-kubelet-client", "system:masters", nil},
		{manager, "system:kube-controller-manager", "", nil},
		{scheduler, "system:kube-scheduler", "", nil},
		{"kube-proxy", "system:kube-proxy", "", nil},
		{"kubelet", "system:node:" + RealNode, "system:nodes", []string{RealNode, c.address, "127.0.0.1"}},
	} {
		var organisation []string
		if it.organisation != "" {
			organisation = []string{it.organisation}
		}
		if err := c.pki.issue(it.name, it.commonName, organisation, it.hosts...); err != nil {
			return err
		}
		path, err := c.pki.kubeconfig(it.name, c.Server)
		if err != nil {
			return err
		}
		if it.name == "admin" {
			c.Kubeconfig = path
		}
	}
	return c.connect()
}

// connect makes the client that looks whether the API server is ready.
func (c *Cluster) connect() error {
	ca, err := os.ReadFile(c.pki.path("ca.crt"))
	if err != nil {
		return fmt.Errorf("read the CA: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	certificate, err := tls.LoadX509KeyPair(c.pki.path("admin.crt"), c.pki.path("admin.key"))
	if err != nil {
		return fmt.Errorf("read the administrator's certificate: %w", err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}}
	c.client = &http.Client{Transport: transport, Timeout: 10 * time.Second}
	return nil
}

// freePorts picks ports that nobody listens on, below those that kernels lend to
// outgoing connections: a component that is down for a while gets its port back.
func freePorts() (ports, error) {
	var listeners []net.Listener
	var found []int
	defer func() {
		for _, l := range listeners {
			_ = l.Close() // only its number was wanted
		}
	}()
	for try := 0; len(found) < 5; try++ {
		port := 12000 + rand.IntN(20000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			if try > 200 {
				return ports{}, fmt.Errorf("find a free port: %w", err)
			}
			continue
		}
		listeners = append(listeners, l)
		found = append(found, port)
	}
	return ports{found[0], found[1], found[2], found[3], found[4]}, nil
}

// User makes a kubeconfig for a user with a certificate. What is in it is all of it:
// certificates and key are not other files.
func (c *Cluster) User(name string, groups ...string) (kubeconfig string, err error) {
	file := strings.NewReplacer(":", "-", "/", "-").Replace(name)
	if err := c.pki.issue(file, name, groups); err != nil {
		return "", err
	}
	return c.pki.kubeconfigWithin(file, c.Server)
}

// startControlPlane starts all four and waits until a pod could be created.
func (c *Cluster) startControlPlane(ctx context.Context) error {
	if err := c.StartEtcd(); err != nil {
		return err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return err
	}
	if err := c.StartManager(); err != nil {
		return err
	}
	config := filepath.Join(c.dir, "scheduler.yaml")
	text := fmt.Sprintf("apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\nleaderElection: {leaderElect: false}\nclientConnection: {kubeconfig: %q, qps: 500, burst: 1000}\n", c.pki.path(scheduler+".kubeconfig"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("configure the scheduler: %w", err)
	}
	if err := c.daemons.start(scheduler, filepath.Join(c.bin, scheduler), "--config="+config, "--bind-address=127.0.0.1", port("--secure-port", c.ports.scheduler)); err != nil {
		return err
	}
	return c.daemons.await(ctx, "the default service account", func() bool {
		_, err := c.get(ctx, "/api/v1/namespaces/default/serviceaccounts/default")
		return err == nil
	}, etcd, apiServer, scheduler, manager)
}

func port(flag string, number int) string { return flag + "=" + strconv.Itoa(number) }

// StartEtcd starts etcd; after StopEtcd its data is as it was.
func (c *Cluster) StartEtcd() error {
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", c.ports.etcd), fmt.Sprintf("http://127.0.0.1:%d", c.ports.peer)
	return c.daemons.start(etcd, filepath.Join(c.bin, etcd), "--data-dir="+filepath.Join(c.dir, "etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer,
		"--unsafe-no-fsync", "--quota-backend-bytes=4294967296", "--log-level=warn")
}

// StartAPIServer starts the API server and waits until it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	p := c.pki.path
	args := []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", c.ports.etcd),
		"--bind-address=" + c.address, "--advertise-address=" + c.address, port("--secure-port", c.ports.api),
		"--tls-cert-file=" + p(apiServer+".crt"), "--tls-private-key-file=" + p(apiServer+".key"), "--client-ca-file=" + p("ca.crt"),
		"--service-account-key-file=" + p("sa.pub"), "--service-account-signing-key-file=" + p("sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
		"--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
		"--kubelet-client-certificate=" + p("kubelet-client.crt"), "--kubelet-client-key=" + p("kubelet-client.key"), "--kubelet-certificate-authority=" + p("ca.crt"),
		"--kubelet-preferred-address-types=InternalIP",
		"--max-requests-inflight=1000", "--max-mutating-requests-inflight=500",
	}
	if strings.HasPrefix(c.address, "127.") {
		// It may not publish a loopback address as its endpoint, and would exit.
		args = append(args, "--endpoint-reconciler-type=none")
	}
	if err := c.daemons.start(apiServer, filepath.Join(c.bin, apiServer), args...); err != nil {
		return err
	}
	return c.daemons.await(ctx, "the API server", func() bool {
		text, err := c.get(ctx, "/readyz")
		return err == nil && text == "ok"
	}, etcd, apiServer)
}

// StartManager starts the controller manager.
func (c *Cluster) StartManager() error {
	p := c.pki.path
	return c.daemons.start(manager, filepath.Join(c.bin, manager), "--kubeconfig="+p(manager+".kubeconfig"),
		"--service-account-private-key-file="+p("sa.key"), "--root-ca-file="+p("ca.crt"),
		"--use-service-account-credentials=true", "--leader-elect=false", "--bind-address=127.0.0.1", port("--secure-port", c.ports.manager),
		"--kube-api-qps=500", "--kube-api-burst=1000",
		// On a busy machine simulated nodes beat late, and must not be taken for lost.
		"--node-monitor-grace-period=10m")
}

// get reads a path of the API as administrator.
func (c *Cluster) get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Server+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := c.client.Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, answer.Status)
	}
	return string(text), err
}

// Component ends or pauses a part of the control plane, as a fault would.
func (c *Cluster) Component(name string, sig syscall.Signal) error {
	return c.daemons.signal(name, sig)
}

// StopComponent ends a part of the control plane and waits for its end.
func (c *Cluster) StopComponent(name string) error { return c.daemons.stop(name, 10*time.Second) }

// Stop ends everything that was started.
func (c *Cluster) Stop() error { return c.daemons.stopAll(stopOrder) }

// StopDir ends the cluster whose folder this is, whoever started it.
func StopDir(dir string) error { return daemons{dir: filepath.Join(dir, "run")}.stopAll(stopOrder) }
