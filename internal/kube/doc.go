// Package kube speaks to Kubernetes: the connection that scenarios declare, a thin
// typed client over client-go's REST client, and what both faults and probes need to
// know about objects.
//
// client-go's generated clientset is not used: importing it registers every API
// group there is, which costs each start of the program 8 ms and 18 MB. The few
// groups that are needed are registered here.
//
//	kubernetes.go  the connection: kubeconfig, context, or the pod's own account
//	client.go      get, list in pages, create, patch, delete, evict
//	watch.go       what happens to objects, from a resource version on
//	burst.go       a watch that tells much at once
//	rights.go      what must be allowed, asked of the API server beforehand
package kube
