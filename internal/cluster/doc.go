// Package cluster builds and starts a real single-machine Kubernetes for tests, from
// the Go module proxy alone.
//
//	build.go         etcd, the control plane, kwok, kubelet, containerd: from source, once
//	pki.go           a CA of its own, certificates and kubeconfigs
//	process.go       daemons: started, watched, stopped by pid
//	controlplane.go  etcd, kube-apiserver, kube-controller-manager, kube-scheduler
//	kwok.go          simulated nodes: pods get scheduled and Ready, no container runs
//	node.go          one real node in a network namespace: containerd, kubelet, kube-proxy
//	image.go         container images from static binaries
//
// There are two levels. [ControlPlane] needs no root: everything listens on loopback.
// [WithNode] needs root on Linux, runc and the CNI plugins, and lives in a network
// namespace that it makes.
//
// The versions are pinned by go.mod files of their own, below kubernetes/ and etcd/,
// so that the product's stays free of them.
package cluster
