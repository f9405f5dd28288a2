package clustertest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/internal/cluster"
)

// seats is how many tests use simulated clusters at a time, on this machine. Tests that
// wait for something else may be many at once; but an API server that many hit at once on
// a few cores stands still for seconds, and tests fail that no fault of theirs failed.
const seats = 3

// taken are the tests of this process that have a seat.
var taken sync.Map // name: true

// Seat waits until this test may use a cluster. It has its seat until it ends, and what
// runs within it needs none of its own. Benchmarks need none: nothing is to run beside
// them.
func Seat(t testing.TB) {
	t.Helper()
	if _, test := t.(*testing.T); !test || seated(t.Name()) {
		return
	}
	cache, err := cluster.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "seats")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatalf("make a folder for the seats of tests: %v", err)
	}
	file := take(t, dir)
	taken.Store(t.Name(), true)
	t.Cleanup(func() {
		taken.Delete(t.Name())
		if err := file.Close(); err != nil { // which frees it
			t.Error(err)
		}
	})
}

// seated tells whether a test, or one that it is a part of, has a seat.
func seated(name string) bool {
	for {
		if _, has := taken.Load(name); has {
			return true
		}
		cut := strings.LastIndexByte(name, '/')
		if cut < 0 {
			return false
		}
		name = name[:cut]
	}
}

// take locks one of the files that stand for seats. The system frees those of a process
// that ends, however it ends.
func take(t testing.TB, dir string) *os.File {
	t.Helper()
	for {
		for number := range seats {
			file, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(number)), os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				t.Fatalf("open a seat: %v", err)
			}
			err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			if err == nil {
				return file
			}
			if closed := file.Close(); err != syscall.EWOULDBLOCK || closed != nil {
				t.Fatalf("lock a seat: %v, %v", err, closed)
			}
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the test ended before it had a seat")
		}
	}
}
