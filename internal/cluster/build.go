package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// The versions that are built. Kubernetes' and etcd's must agree with the go.mod files.
const (
	kubernetesVersion = "v1.37.2"
	etcdVersion       = "v3.7.3"
	kwokVersion       = "v0.8.0"
	containerdVersion = "v2.4.2"
	policiesVersion   = "v0.8.0"
)

// target is one or more programs that one command builds.
type target struct {
	programs []string
	module   string   // folder of the go.mod it is built in; empty: `go install` by version
	packages []string // what go builds
	ldflags  string
	built    string // what go calls the program, if not by its name here
}

const kubernetesFlags = "-s -w -X k8s.io/component-base/version.gitVersion=" + kubernetesVersion +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37"

func kubernetes(programs ...string) target {
	t := target{programs: programs, module: "kubernetes", ldflags: kubernetesFlags}
	for _, program := range programs {
		t.packages = append(t.packages, "k8s.io/kubernetes/cmd/"+program)
	}
	return t
}

// controlPlaneTargets are what a control plane with simulated nodes needs.
func controlPlaneTargets() []target {
	return []target{
		{programs: []string{"etcd"}, module: "etcd", packages: []string{"go.etcd.io/etcd/server/v3"}, ldflags: "-s -w"},
		{programs: []string{"kwok"}, packages: []string{"sigs.k8s.io/kwok/cmd/kwok@" + kwokVersion}, ldflags: "-s -w"},
		kubernetes("kube-apiserver", "kube-controller-manager", "kube-scheduler"),
	}
}

// nodeTargets are what a real node needs beside them.
func nodeTargets() []target {
	list := []target{kubernetes("kubelet", "kube-proxy", "kubectl")}
	for _, program := range []string{"containerd", "containerd-shim-runc-v2", "ctr"} {
		list = append(list, target{
			programs: []string{program},
			packages: []string{"github.com/containerd/containerd/v2/cmd/" + program + "@" + containerdVersion},
			ldflags:  "-s -w -X github.com/containerd/containerd/v2/version.Version=" + containerdVersion,
		})
	}
	return append(list, target{
		programs: []string{networkPolicies}, built: "cmd", ldflags: "-s -w",
		packages: []string{"sigs.k8s.io/kube-network-policies/cmd@" + policiesVersion},
	})
}

// networkPolicies is the program that enforces network policies on the real node.
const networkPolicies = "kube-network-policies"

// CacheDir is where programs are built and clusters live: $GAMEDAY_CLUSTER_CACHE, or
// gameday-cluster in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("GAMEDAY_CLUSTER_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder for the cluster's programs: %w; set GAMEDAY_CLUSTER_CACHE", err)
	}
	return filepath.Join(dir, "gameday-cluster"), nil
}

// Build makes the programs of a control plane that are missing, ahead of its first start.
func Build(ctx context.Context, progress io.Writer) error {
	_, err := build(ctx, controlPlaneTargets(), progress)
	return err
}

// build makes the programs that are missing, and gives the folder they are in. It
// says on progress what it does: the first time takes minutes. Programs in
// $KUBEBUILDER_ASSETS (as controller-runtime's setup-envtest lays them out) are used
// in place of those, and what is not there is built.
func build(ctx context.Context, targets []target, progress io.Writer) (bin string, err error) {
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	bin = filepath.Join(cache, "bin-"+kubernetesVersion+"-"+etcdVersion+"-"+kwokVersion+"-"+containerdVersion+"-"+runtime.GOARCH)
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the cluster's programs: %w", err)
	}
	// Two test packages, or two checkouts, must not build the same at once.
	unlock, err := lock(ctx, filepath.Join(cache, "build.lock"), progress)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	for _, t := range targets {
		if t = t.lacking(assets).lacking(bin); len(t.programs) == 0 {
			continue
		}
		if err := t.build(ctx, cache, bin, progress); err != nil {
			return "", err
		}
	}
	if assets == "" {
		return bin, nil
	}
	return mixed(cache, bin, assets, targets)
}

// lacking is the target without the programs that a folder has.
func (t target) lacking(dir string) target {
	if dir == "" {
		return t
	}
	whole := t
	t.programs, t.packages = nil, nil
	for i, program := range whole.programs {
		if there(filepath.Join(dir, program)) {
			continue
		}
		t.programs, t.packages = append(t.programs, program), append(t.packages, whole.packages[i])
	}
	return t
}

func there(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// mixed gives a folder of its own in which each program is the one of assets, where there
// is one, or else the one that was built: neither is taken for the other the next time.
func mixed(cache, bin, assets string, targets []target) (string, error) {
	assets, err := filepath.Abs(assets)
	if err != nil {
		return "", fmt.Errorf("find KUBEBUILDER_ASSETS: %w", err)
	}
	sum := sha256.Sum256([]byte(assets))
	dir := fmt.Sprintf("%s-assets-%x", bin, sum[:6])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make a folder for the cluster's programs: %w", err)
	}
	for _, t := range targets {
		for _, program := range t.programs {
			from, to := filepath.Join(bin, program), filepath.Join(dir, program)
			if its := filepath.Join(assets, program); there(its) {
				from = its
			}
			if now, err := os.Readlink(to); err == nil && now == from {
				continue // it may be in use
			}
			if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("use %s: %w", from, err)
			}
			if err := os.Symlink(from, to); err != nil {
				return "", fmt.Errorf("use %s: %w", from, err)
			}
		}
	}
	return dir, nil
}

func (t target) build(ctx context.Context, cache, bin string, progress io.Writer) (err error) {
	began := time.Now()
	if _, err := fmt.Fprintf(progress, "building %s (once; minutes on few cores) ...\n", strings.Join(t.programs, ", ")); err != nil {
		return err
	}
	// The programs appear under their names only when they are whole.
	made, err := os.MkdirTemp(cache, "build-")
	if err != nil {
		return fmt.Errorf("build %s: %w", strings.Join(t.programs, ", "), err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(made)) }()
	args := []string{"install", "-trimpath", "-ldflags", t.ldflags}
	dir := cache
	if t.module != "" {
		if dir, err = unpack(ctx, t.module, made); err != nil {
			return err
		}
		args = []string{"build", "-mod=mod", "-trimpath", "-ldflags", t.ldflags, "-o", made + string(filepath.Separator)}
		if len(t.programs) == 1 { // etcd's package is called server
			args[len(args)-1] = filepath.Join(made, t.programs[0])
		}
	}
	command := exec.CommandContext(ctx, "go", append(args, t.packages...)...)
	command.Dir = dir
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+made, "GOWORK=off", "GOFLAGS=")
	output, err := toldOf(progress, began, command.CombinedOutput)
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", strings.Join(t.programs, ", "), err, output)
	}
	for _, program := range t.programs {
		if err := os.Rename(filepath.Join(made, cmp.Or(t.built, program)), filepath.Join(bin, program)); err != nil {
			return fmt.Errorf("build %s: %w", program, err)
		}
	}
	_, err = fmt.Fprintf(progress, "  done after %s\n", time.Since(began).Round(time.Second))
	return err
}

// tellPace is how often a long build says that it goes on.
const tellPace = 30 * time.Second

// toldOf does what takes long, and says now and then that it goes on.
func toldOf(progress io.Writer, began time.Time, long func() ([]byte, error)) ([]byte, error) {
	over := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		ticker := time.NewTicker(tellPace)
		defer ticker.Stop()
		for {
			select {
			case <-over:
				return
			case <-ticker.C:
				if _, err := fmt.Fprintf(progress, "  ... %s\n", time.Since(began).Round(time.Second)); err != nil {
					return // nobody listens any more
				}
			}
		}
	}()
	output, err := long()
	close(over)
	<-told
	return output, err
}

// unpack copies a module's files to where go may complete them without touching the
// checkout.
func unpack(ctx context.Context, module, into string) (string, error) {
	source, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "github.com/gameday-sh/gameday/internal/cluster").Output()
	if err != nil {
		return "", fmt.Errorf("find the module %s (it is built from a checkout): %w", module, err)
	}
	dir := filepath.Join(into, "module")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("unpack the module %s: %w", module, err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(source)), module, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			return "", fmt.Errorf("unpack the module %s: %w", module, err)
		}
	}
	return dir, nil
}

// lock takes an exclusive lock on a file, waiting for it.
func lock(ctx context.Context, path string, progress io.Writer) (unlock func() error, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	for said := false; ; said = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return file.Close, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), file.Close())
		}
		if !said {
			_, _ = fmt.Fprintln(progress, "another process builds the cluster's programs; waiting for it ...") // nobody has to listen
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for another build of the cluster's programs (lock %s): %w", path, context.Cause(ctx)), file.Close())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
