// Package local holds the faults that are done to the machine the runner is on:
// process_kill and process_pause end or stop running processes, and exec runs
// the commands a person wrote.
//
// A process is named by more than its id, because ids are used again: [identity]
// adds the start time and the boot. Targets finds the processes a scenario
// means and leaves out those that must never be hit; handle (a pidfd) refers to
// one of them until it is closed, so that a signal reaches that process or none.
// Both need Linux; elsewhere Plan says so. command runs one program in a process
// group of its own, in a clean environment, with a limit on its time and output.
//
// The faults whose harm lasts are fused by the runner's watchdog process.
package local
