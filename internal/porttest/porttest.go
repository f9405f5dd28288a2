// Package porttest gives tests addresses to listen on.
package porttest

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// given counts the addresses that Address has tried.
var given atomic.Int64

// Address is a free loopback address below the ports that kernels lend to outgoing
// connections: a server that starts a moment later, or is off for a moment, gets it,
// which it would not of a port 0 while other tests run.
func Address(t testing.TB) string {
	t.Helper()
	for range 100 {
		// No address is given twice by this process, and one that runs beside it begins
		// elsewhere: an address is free here until somebody listens.
		number := (os.Getpid()*197 + int(given.Add(1))) % 20000
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(12000+number)))
		if err != nil {
			continue
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		return listener.Addr().String()
	}
	t.Fatal("no free port found")
	return ""
}
