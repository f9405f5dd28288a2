// Package faults is the table of everything gameday can break.
//
// A kind lives in a package of its family: toxiproxy breaks connections, kubernetes
// what runs on a cluster, local processes of this machine. To add one, write its file there, add its line
// here, and an entry in conformance_test.go: the suite in package conformance then
// holds it to the same promises as all others.
package faults

import (
	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/kubernetes"
	"github.com/gameday-sh/gameday/faults/local"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
)

// Kinds lists the faults by the name a scenario gives them.
func Kinds() []experiments.Kind[experiments.Fault] {
	return []experiments.Kind[experiments.Fault]{
		{Name: "toxiproxy_latency", Summary: "Data arrives late", New: func() experiments.Fault { return new(toxiproxy.Latency) }},
		{Name: "toxiproxy_bandwidth", Summary: "Connections carry little at a time", New: func() experiments.Fault { return new(toxiproxy.Bandwidth) }},
		{Name: "toxiproxy_slow_close", Summary: "Connections close late", New: func() experiments.Fault { return new(toxiproxy.SlowClose) }},
		{Name: "toxiproxy_timeout", Summary: "No answer comes", New: func() experiments.Fault { return new(toxiproxy.Timeout) }},
		{Name: "toxiproxy_reset_peer", Summary: "Connections are reset", New: func() experiments.Fault { return new(toxiproxy.ResetPeer) }},
		{Name: "toxiproxy_slicer", Summary: "Data comes in small pieces", New: func() experiments.Fault { return new(toxiproxy.Slicer) }},
		{Name: "toxiproxy_limit_data", Summary: "Connections close after some data", New: func() experiments.Fault { return new(toxiproxy.LimitData) }},
		{Name: "toxiproxy_down", Summary: "Connections are refused", New: func() experiments.Fault { return new(toxiproxy.Down) }},
		{Name: "pod_kill", Summary: "Pods are deleted", New: func() experiments.Fault { return new(kubernetes.PodKill) }},
		{Name: "pod_evict", Summary: "Pods are evicted, as far as disruption budgets allow", New: func() experiments.Fault { return new(kubernetes.PodEvict) }},
		{Name: "pod_failure", Summary: "Pods fail where they are", New: func() experiments.Fault { return new(kubernetes.PodFailure) }},
		{Name: "container_kill", Summary: "Containers are ended by a signal", New: func() experiments.Fault { return new(kubernetes.ContainerKill) }},
		{Name: "deployment_scale", Summary: "A workload has fewer or more replicas", New: func() experiments.Fault { return new(kubernetes.DeploymentScale) }},
		{Name: "rollout_restart", Summary: "All pods of a workload are replaced by its rollout", New: func() experiments.Fault { return new(kubernetes.RolloutRestart) }},
		{Name: "node_cordon", Summary: "Nodes take no new pods", New: func() experiments.Fault { return new(kubernetes.NodeCordon) }},
		{Name: "node_drain", Summary: "Nodes are emptied", New: func() experiments.Fault { return new(kubernetes.NodeDrain) }},
		{Name: "node_taint", Summary: "Nodes repel pods", New: func() experiments.Fault { return new(kubernetes.NodeTaint) }},
		{Name: "network_partition", Summary: "Pods are cut off by a network policy", New: func() experiments.Fault { return new(kubernetes.NetworkPartition) }},
		{Name: "resource_quota", Summary: "A namespace is starved of pods", New: func() experiments.Fault { return new(kubernetes.ResourceQuota) }},
		{Name: "process_kill", Summary: "Processes of this machine end", New: func() experiments.Fault { return new(local.ProcessKill) }},
		{Name: "process_pause", Summary: "Processes of this machine hang", New: func() experiments.Fault { return new(local.ProcessPause) }},
		{Name: "exec", Summary: "Commands of your own do the harm and undo it", New: func() experiments.Fault { return new(local.Exec) }},
	}
}
