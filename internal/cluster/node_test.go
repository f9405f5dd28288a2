//go:build e2e

package cluster_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is what a node must not change: mounts, interfaces, settings, folders,
// cgroups and firewall rules.
func machine(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, path := range []string{"/proc/self/mounts", "/proc/net/dev_mcast", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops", "/proc/net/ip_tables_names"} {
		content, err := os.ReadFile(path)
		fmt.Fprintf(&text, "%s (%v):\n%s", path, err, content)
	}
	for _, path := range []string{"/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/run/containerd", "/run/netns", "/opt/cni"} {
		_, err := os.Stat(path)
		fmt.Fprintf(&text, "%s: %v\n", path, err)
	}
	found, err := filepath.Glob("/sys/fs/cgroup/*/gameday-e2e")
	fmt.Fprintf(&text, "cgroups %v %v\n", found, err)
	return text.String()
}

// within lists the processes of a node, as the machine sees them: those of its process
// namespace, and those in its pods, which have namespaces of their own.
func within(t *testing.T, namespace string) []string {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, dir := range dirs {
		at, _ := os.Readlink(filepath.Join(dir, "ns/pid")) // it may just have ended
		cgroup, _ := os.ReadFile(filepath.Join(dir, "cgroup"))
		if at == namespace || strings.Contains(string(cgroup), "/gameday-e2e/") {
			name, _ := os.ReadFile(filepath.Join(dir, "comm"))
			list = append(list, strings.TrimSpace(string(name)))
		}
	}
	return list
}

const onePod = `
kubectl create deployment web --image=gameday.test/shop:1 --dry-run=client -o yaml | sed 's/name: shop/&\n        imagePullPolicy: Never/' | kubectl create -f - >/dev/null &&
kubectl wait deployment web --for=condition=Available --timeout=60s >/dev/null && readlink /proc/self/ns/pid && exec sleep 600`

// A node is gone with all that belongs to it: when it is killed with -9, when it is
// told to end, and when its command fails. The first leaves folders, which the next
// one removes.
func TestNodeLeavesNothing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "cluster")
	if output, err := exec.Command("go", "build", "-o", program, "./run").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	before := machine(t)
	for _, end := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		command := exec.Command(program, "e2e", "--", "bash", "-c", onePod)
		command.Stderr = os.Stderr
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		namespace, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatalf("it says where it is: %v", errors.Join(err, command.Wait()))
		}
		namespace = strings.TrimSpace(namespace)
		if list := strings.Join(within(t, namespace), " "); !strings.Contains(list, "kubelet") || !strings.Contains(list, "shop") {
			t.Errorf("the node has the processes %s, want a kubelet and a container among them", list)
		}
		if err := command.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		err = command.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Errorf("it ended with %v after %s, want a failure", err, end)
		}
		if end == syscall.SIGTERM {
			if after := machine(t); after != before {
				t.Errorf("after %s the machine is not what it was:\nbefore:\n%s\nafter:\n%s", end, before, after)
			}
			if list := within(t, namespace); len(list) > 0 {
				t.Errorf("after %s there still are %v", end, list)
			}
		}
		// Nobody is left to wait for them, so the kernel may take a moment.
		for deadline := time.Now().Add(time.Minute); len(within(t, namespace)) > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("after %s there still are %v", end, within(t, namespace))
			}
		}
	}
	err := exec.Command(program, "e2e", "--", "sh", "-c", "exit 7").Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("the command's code is passed on: got %v, want 7", err)
	}
	if after := machine(t); after != before {
		t.Errorf("after a failing command the machine is not what it was:\nbefore:\n%s\nafter:\n%s", before, after)
	}
}
