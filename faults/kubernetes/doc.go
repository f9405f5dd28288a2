// Package kubernetes breaks what runs on a Kubernetes cluster.
//
// There are three sorts of kinds, and each sort shares its code:
//
//   - Some are over at once (pod_kill, pod_evict, rollout_restart): what they hit is
//     pinned by its UID, and nothing is left to undo.
//   - Some change an object (deployment_scale, node_cordon, node_taint, pod_failure):
//     one JSON patch tests that the object is as it was read, sets the harm, a label
//     with the run, and an annotation with the whole record of the hit. So nobody's
//     change is lost, and the object alone is enough to mend it (edit.go).
//   - Some create an object (network_partition, resource_quota): it is owned by a Job
//     without a pod, whose deadline the cluster itself keeps. When nobody renews the
//     deadline any more, Kubernetes deletes both (fuse.go).
//
// scope.go finds namespaces and refuses the protected ones; pods.go filters pods and
// draws among them; lease.go keeps runners on different machines apart; follow.go tells
// what becomes of the pods that were hit.
package kubernetes
