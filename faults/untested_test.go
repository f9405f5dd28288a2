package faults_test

// untested has the kinds that have no entry in worlds, and where they are tested.
var untested = map[string]string{
	"container_kill": "a simulated node runs no container: `make e2e` holds it to its promises on a real kubelet (TestContainerKill)",
}
