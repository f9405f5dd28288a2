//go:build !crashpoints

// Package crash numbers the points at which a runner may die, so that a test can
// make it die at each of them. In a normal build it does nothing; a binary built
// with the tag "crashpoints" kills itself with SIGKILL at the point whose number
// is in GAMEDAY_CRASH_AT, and writes the number of points it passed to the file
// named in GAMEDAY_CRASH_COUNT.
package crash

// Point is a place where dying may do harm: before a write, an fsync or a side
// effect.
func Point(string) {}
