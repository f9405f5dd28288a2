//go:build !e2e

package faults_test

var untested = map[string]string{
	"container_kill": "a simulated node runs no container: `make e2e` holds it to its promises on a real kubelet",
}
