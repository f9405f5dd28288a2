// Package cluster builds and starts a real single-machine Kubernetes for tests, from
// the Go module proxy alone.
//
//	build.go         etcd, the control plane, kwok, kubelet, containerd: from source, once
//	pki.go           a CA of its own, certificates and kubeconfigs
//	process.go       daemons: started, watched, stopped by pid
//	controlplane.go  etcd, kube-apiserver, kube-controller-manager, kube-scheduler
//	kwok.go          simulated nodes: pods get scheduled and Ready, no container runs
//	node.go          one real node: containerd, kubelet, kube-proxy
//	namespace_*.go   the namespaces it lives in, and what it leaves of them: nothing
//	image.go         container images from static binaries; incontainer is in most
//
// There are two levels. [ControlPlane] needs no root: everything listens on loopback.
// [Node] needs root on Linux, runc, iptables and the CNI plugins, and runs a command
// within process, mount and network namespaces that it makes:
//
//	go run ./internal/cluster/run e2e -- bash
//
// The node's network ends at the node: no name server, no registry, no way out.
//
// The versions are pinned by go.mod files of their own, below kubernetes/ and etcd/,
// so that the product's stays free of them.
package cluster
