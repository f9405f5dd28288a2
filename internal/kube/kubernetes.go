package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/gameday-sh/gameday/experiments"
)

const defaultTimeout = 10 * time.Second

// Kubernetes is the connection to a cluster. It is safe for concurrent use.
type Kubernetes struct {
	Kubeconfig string        `hcl:"kubeconfig,optional" doc:"Path of a kubeconfig; left out: $KUBECONFIG or ~/.kube/config, or, within a pod, its service account." example:"~/.kube/staging"`
	Context    string        `hcl:"context,optional" doc:"Context of the kubeconfig; left out, its current one." example:"staging"`
	Timeout    time.Duration `hcl:"timeout,optional" default:"10s" doc:"How long the API server may take to answer one call."`
	Protect    []string      `hcl:"protect,optional" doc:"Namespaces that no fault touches, or patterns of their names, beside kube-system, kube-public, kube-node-lease and the one the runner itself is in." example:"[\"payments-*\"]"`
	OptIn      string        `hcl:"opt_in,optional" doc:"Label that a namespace must bear before any fault touches it." example:"gameday.sh/allow=true"`

	mu     sync.Mutex
	client *Client // nil while closed
}

// Connection is the row of the table of connections.
func Connection() experiments.Kind[experiments.Connection] {
	return experiments.Kind[experiments.Connection]{
		Name:    "kubernetes",
		Summary: "A Kubernetes cluster",
		New:     func() experiments.Connection { return new(Kubernetes) },
	}
}

// NotANamespace says why no namespace can have a name; empty if one can.
func NotANamespace(name string) string {
	if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
		return fmt.Sprintf("No namespace can be called %q: %s.", name, wrong[0])
	}
	return ""
}

// Validate checks what needs no cluster.
func (k *Kubernetes) Validate() []experiments.Problem {
	var problems []experiments.Problem
	if k.Timeout < 0 {
		problems = append(problems, experiments.Problem{Attribute: "timeout", Summary: "Negative timeout", Detail: "Write how long one call may take, such as \"10s\"."})
	}
	for _, pattern := range k.Protect {
		if _, err := path.Match(pattern, ""); err != nil {
			problems = append(problems, experiments.Problem{Attribute: "protect", Summary: "Not a pattern", Detail: fmt.Sprintf("%q: a [ needs its ].", pattern)})
		}
	}
	if k.OptIn != "" {
		if key, value, found := strings.Cut(k.OptIn, "="); !found || key == "" || value == "" {
			problems = append(problems, experiments.Problem{Attribute: "opt_in", Summary: "Not a label", Detail: "Write a label as key=value, such as \"gameday.sh/allow=true\"."})
		}
	}
	return problems
}

// Open finds the way to the API server and asks it for its version.
func (k *Kubernetes) Open(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client != nil {
		return nil
	}
	timeout := k.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	config, reach, err := k.find(timeout)
	if err != nil {
		return err
	}
	client, err := newClient(config, reach)
	if err != nil {
		return err
	}
	if err := client.greet(ctx); err != nil {
		return fmt.Errorf("%w; is %s the right cluster?", err, reach)
	}
	k.client = client
	return nil
}

// greet asks for the version. A program that is to give credentials may wait for a person
// or a network, and knows no end: it holds up nobody for longer than a call may take.
func (c *Client) greet(ctx context.Context) error {
	if c.config.ExecProvider == nil {
		_, err := c.Version(ctx)
		return err
	}
	asked := make(chan error, 1)
	go func() {
		_, err := c.Version(ctx)
		asked <- err
	}()
	select {
	case err := <-asked:
		return err
	case <-ctx.Done():
		return fmt.Errorf("ask Kubernetes at %s for its version: %w", c.config.Host, context.Cause(ctx))
	case <-time.After(c.timeout + time.Second):
		return fmt.Errorf("ask Kubernetes at %s for its version: no answer within %s: does %s, which is to give the credentials, wait for something?", c.config.Host, c.timeout, c.config.ExecProvider.Command)
	}
}

// Close lets go of the connections.
func (k *Kubernetes) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client != nil {
		k.client.Close()
	}
	k.client = nil
	return nil
}

// Client is for calls to the cluster; the connection must be open.
func (k *Kubernetes) Client() (*Client, error) {
	if k == nil {
		return nil, errors.New("no kubernetes connection is named")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.client == nil {
		return nil, errors.New("the kubernetes connection is not open")
	}
	return k.client, nil
}

// Version asks the API server what it is.
func (c *Client) Version(ctx context.Context) (string, error) {
	client, err := c.group(Pods)
	if err != nil {
		return "", err
	}
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	err = c.again(ctx, "GET", func() error {
		limited, cancel := context.WithTimeout(putOff(ctx), c.timeout)
		defer cancel()
		text, err := client.Get().AbsPath("/version").DoRaw(limited)
		if err != nil {
			return fmt.Errorf("ask Kubernetes at %s for its version: %w", c.config.Host, c.timeUp(ctx, limited, err))
		}
		if err := json.Unmarshal(text, &version); err != nil || version.GitVersion == "" {
			return fmt.Errorf("what answers at %s is no Kubernetes API server: it says %.60q", c.config.Host, text)
		}
		return nil
	})
	return version.GitVersion, err
}

// Reach is how to get to an API server again, from another process on a machine
// with the same kubeconfig. It holds no secret: those are looked up again.
type Reach struct {
	// Files are the kubeconfigs that were merged; none means the service account of the
	// pod that the runner is in.
	Files   []string      `json:"kubeconfig,omitempty"`
	Context string        `json:"context,omitempty"`
	Server  string        `json:"server"`
	Timeout time.Duration `json:"timeout_ns"`
}

func (r Reach) String() string {
	if len(r.Files) == 0 {
		return fmt.Sprintf("%s, as the pod's service account", r.Server)
	}
	return fmt.Sprintf("%s, context %q of %s", r.Server, r.Context, strings.Join(r.Files, ", "))
}

// find applies kubectl's rules for where a cluster is configured.
func (k *Kubernetes) find(timeout time.Duration) (*rest.Config, Reach, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if k.Kubeconfig != "" {
		rules = &clientcmd.ClientConfigLoadingRules{ExplicitPath: home(k.Kubeconfig)}
	}
	files := rules.Precedence
	if rules.ExplicitPath != "" {
		files = []string{rules.ExplicitPath}
	}
	var there []string
	for _, file := range files {
		full, err := filepath.Abs(file)
		if err != nil {
			return nil, Reach{}, fmt.Errorf("find the kubeconfig %s: %w", file, err)
		}
		if _, err := os.Stat(full); err == nil {
			there = append(there, full)
		}
	}
	if len(there) == 0 && k.Kubeconfig == "" {
		if config, err := rest.InClusterConfig(); err == nil {
			return config, Reach{Server: config.Host, Timeout: timeout}, nil
		}
	}
	if len(there) == 0 {
		return nil, Reach{}, fmt.Errorf("no kubeconfig at %s: set kubeconfig in the kubernetes block, or $KUBECONFIG", strings.Join(files, ", "))
	}
	config, name, err := load(there, k.Context)
	if err != nil {
		return nil, Reach{}, err
	}
	return config, Reach{Files: there, Context: name, Server: config.Host, Timeout: timeout}, nil
}

// load reads kubeconfigs, and gives the name of the context that was meant.
func load(files []string, context string) (*rest.Config, string, error) {
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{Precedence: files},
		&clientcmd.ConfigOverrides{CurrentContext: context})
	raw, err := loader.RawConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig %s: %w", strings.Join(files, ", "), err)
	}
	if context == "" {
		context = raw.CurrentContext
	}
	if raw.Contexts[context] == nil {
		return nil, "", fmt.Errorf("the kubeconfig %s has no context %q; there are: %s", strings.Join(files, ", "), context, contexts(raw))
	}
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig %s: %w", strings.Join(files, ", "), err)
	}
	return config, context, nil
}

func contexts(raw clientcmdapi.Config) string {
	var names []string
	for name := range raw.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// home resolves a ~ at the start of a path, which no shell has seen.
func home(path string) string {
	rest, found := strings.CutPrefix(path, "~/")
	if !found {
		return path
	}
	dir, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(dir, rest)
}

// Dial gets to the API server of a hit that was recorded earlier, maybe by another
// process. It refuses where the kubeconfig leads to another server by now. Dialling
// again is cheap: client-go keeps the TLS connections of equal configurations.
func Dial(reach Reach) (*Client, error) {
	var config *rest.Config
	var err error
	if len(reach.Files) == 0 {
		if config, err = rest.InClusterConfig(); err != nil {
			return nil, fmt.Errorf("get to Kubernetes at %s: %w; it was reached from within a pod", reach.Server, err)
		}
	} else if config, _, err = load(reach.Files, reach.Context); err != nil {
		return nil, fmt.Errorf("get to Kubernetes at %s: %w", reach.Server, err)
	}
	if config.Host != reach.Server {
		return nil, fmt.Errorf("get to Kubernetes at %s: context %q of %s leads to %s by now; point it back to mend what was broken there", reach.Server, reach.Context, strings.Join(reach.Files, ", "), config.Host)
	}
	return newClient(config, reach)
}
