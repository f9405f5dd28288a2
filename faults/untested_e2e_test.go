//go:build e2e

package faults_test

// On a real kubelet every kind is tested.
var untested map[string]string
