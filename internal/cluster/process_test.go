package cluster

import (
	"strconv"
	"sync"
	"testing"
	"time"
)

// A daemon is a zombie for the moment between its end and its parent's asking how it
// ended; whoever looks then sees an ended one, from every file of /proc.
func TestADaemonThatHasJustEndedIsNotTakenForARunningOne(t *testing.T) {
	d := daemons{dir: t.TempDir(), bound: true}
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for range 100 {
				name := "sleep" + strconv.Itoa(worker)
				if err := d.start(name, "sleep", "60"); err != nil {
					t.Error(err)
					return
				}
				pid, alive := d.running(name)
				if !alive {
					t.Errorf("pid %d was started, and is not seen", pid)
				}
				ended := make(chan struct{})
				var watchers sync.WaitGroup
				for range 2 {
					watchers.Go(func() {
						for gone := false; ; {
							select {
							case <-ended:
								return
							default:
							}
							_, alive := d.running(name)
							if gone && alive {
								t.Errorf("%s had ended, and runs again", name)
								return
							}
							gone = !alive
						}
					})
				}
				if err := d.stop(name, 10*time.Second); err != nil {
					t.Error(err)
				}
				close(ended)
				watchers.Wait()
			}
		})
	}
	all.Wait()
}
