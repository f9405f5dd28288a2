//go:build !crashpoints

// Package crash numbers the points at which a runner may die, so that a test can
// make it die at each of them. In a normal build it does nothing; see on.go for what
// the build tag "crashpoints" makes of it.
package crash

// Point is a place where dying may do harm: before a write, an fsync or a side
// effect.
func Point(string) {}
