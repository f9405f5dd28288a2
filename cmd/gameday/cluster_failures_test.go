package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
)

// An API server that fails, in all the ways that one can: no leak, no double hit, no
// false verdict.

// Whatever happens once to each call of a run is got over.
func TestAnAPIThatFailsOnceForEachCallIsGotOver(t *testing.T) {
	slow(t)
	for name, it := range map[string]struct {
		which trouble
		fits  func(*http.Request) bool
	}{
		"lost answers to writes":                   {lost, writing},
		"lost answers to reads and questions":      {lost, func(r *http.Request) bool { return !writing(r) }},
		"connections closed before anything":       {dead, anything},
		"conflicts":                                {conflict, writing},
		"too many requests":                        {busy, writing},
		"lists that expired":                       {expired, continued},
		"connections reset in the middle":          {cut, anything},
		"another kind of server answers":           {rubbish, anything},
		"another kind of server has no such thing": {missing, reading},
	} {
		t.Run(name, func(t *testing.T) {
			slow(t)
			s := newShop(t, allFaults...)
			f := newFlaky(t, s.kubeconfig)
			s.kubeconfig = f.kubeconfig
			f.set(once(it.which, it.fits))
			s.run("duration=1s").ends(2*time.Minute, 0, "HELD")
			if n := f.given(it.which); n == 0 {
				t.Error("no call had that trouble")
			} else {
				t.Logf("%d calls had it", n)
			}
			if n := s.killed(); n != 2 {
				t.Errorf("%d pods were killed, want 2", n)
			}
			f.set(func(*http.Request) trouble { return none })
			s.clean()
		})
	}
}

// An API that fails for good from some moment on: the run says what is left, and it is
// mended when the API is back.
func TestAnAPIThatFailsForGoodNeverGivesAFalseVerdict(t *testing.T) {
	slow(t)
	for _, which := range []trouble{dead, hang, rubbish, missing, cut} {
		t.Run(string(which), func(t *testing.T) {
			slow(t)
			t.Run("before the plan nothing is touched", func(t *testing.T) {
				slow(t)
				s := newShop(t, allFaults...)
				f := newFlaky(t, s.kubeconfig)
				s.kubeconfig = f.kubeconfig
				f.set(func(*http.Request) trouble { return which })
				s.run("timeout=1s").ends(time.Minute, 5)
				if s.killed() != 0 {
					t.Error("pods were killed")
				}
				f.set(func(*http.Request) trouble { return none })
				s.clean()
			})
			t.Run("while it is broken what is left is said, and the watchdog mends it", func(t *testing.T) {
				slow(t)
				s := newShop(t, allFaults...)
				f := newFlaky(t, s.kubeconfig)
				s.kubeconfig = f.kubeconfig
				run := s.run("timeout=1s", "duration=4s", "revert_within=3s")
				s.injected(allFaults...)
				f.set(func(*http.Request) trouble { return which })
				run.ends(time.Minute, 6, "LEFT  deployment "+s.namespace+"/checkout", "LEFT  node "+s.node, "type: gameday recover ")
				if s.snapshot() == s.before {
					t.Error("nothing was left, so nothing is proven")
				}
				f.set(func(*http.Request) trouble { return none })
				s.mends()
				s.quiet()
				s.clean()
			})
			t.Run("while it reverts it is tried again", func(t *testing.T) {
				slow(t)
				s := newShop(t, allFaults...)
				f := newFlaky(t, s.kubeconfig)
				s.kubeconfig = f.kubeconfig
				run := s.run("timeout=1s", "duration=4s")
				s.injected(allFaults...)
				f.set(func(*http.Request) trouble { return which })
				run.says("fewer .*(stuck|not mended|again|still)")
				f.set(func(*http.Request) trouble { return none })
				run.ends(time.Minute, 0, "HELD")
				s.clean()
			})
		})
	}
}

// A storm: any call may have any trouble. Whatever the run makes of it, what it says is
// true.
func TestAStormNeverGivesAFalseVerdict(t *testing.T) {
	slow(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			slow(t)
			s := newShop(t, allFaults...)
			f := newFlaky(t, s.kubeconfig)
			s.kubeconfig = f.kubeconfig
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(seed, 1))
			f.set(func(r *http.Request) trouble {
				mu.Lock()
				defer mu.Unlock()
				if random.Float64() > 0.15 {
					return none
				}
				kinds := []trouble{lost, busy, cut, rubbish, dead}
				if writing(r) {
					kinds = append(kinds, conflict)
				}
				if continued(r) {
					kinds = append(kinds, expired)
				}
				return kinds[random.IntN(len(kinds))]
			})
			run := s.run("duration=1s", "timeout=2s", "revert_within=10s")
			code := run.wait(2 * time.Minute)
			f.set(func(*http.Request) trouble { return none })
			t.Logf("it ended with %d", code)
			if n := s.killed(); n > 2 || code == 0 && n != 2 {
				t.Errorf("%d pods were killed by a run that ended with %d", n, code)
			}
			switch code {
			case 0, 5:
				// Claims may be left where giving them back failed; they end by themselves.
				s.mendsBut("Lease")
			case 6:
				s.mends()
				s.quiet()
			default:
				t.Errorf("it ended with %d:\n%s", code, run.said.String())
			}
			gameday(t, s.home, "recover").ends(30*time.Second, 0)
		})
	}
}

// mendsBut waits until the cluster is as it was, leaving objects of a kind aside.
func (s *shop) mendsBut(kind string) {
	s.t.Helper()
	var last string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var lines []string
		for _, line := range strings.Split(s.snapshot(), "\n") {
			if !strings.Contains(line, `"kind":"`+kind+`"`) {
				lines = append(lines, line)
			}
		}
		if last = strings.Join(lines, "\n"); strings.TrimSpace(last) == strings.TrimSpace(s.before) {
			return
		}
	}
	s.t.Fatalf("the cluster was\n%s\nand is\n%s\n%s", s.before, last, s.said())
}

// A token that ends while things are broken: nobody can mend with it. What is left is
// said; with a new token the watchdog mends, and the partition has ended by its fuse.
func TestATokenThatEndsMeanwhile(t *testing.T) {
	slow(t)
	s := newShop(t, "fewer", "cut")
	token := s.c.Token(t, s.namespace, "admin")
	s.kubeconfig = token.Kubeconfig
	run := s.run("duration=60s", "revert_within=3s", "fuse=15s")
	s.injected("fewer", "cut")
	token.End(t)
	run.ends(2*time.Minute, 6, "Unauthorized", "LEFT  deployment "+s.namespace+"/checkout", "type: gameday recover ")
	s.c.Await(t, "the end of the partition by its fuse", func() bool { return s.policies() == 0 })
	token.Renew(t)
	s.mends()
	s.quiet()
	s.clean()
}

// Parts of the control plane restart while things are broken.
func TestAControlPlaneThatRestartsMeanwhile(t *testing.T) {
	slow(t)
	c := clustertest.Own(t)
	up := map[string]func() error{
		"kube-apiserver":          func() error { return c.Plane.StartAPIServer(t.Context()) },
		"kube-controller-manager": c.Plane.StartManager,
		"etcd":                    c.Plane.StartEtcd,
	}
	for part, start := range up {
		t.Run(part, func(t *testing.T) {
			s := newShopIn(t, c, allFaults...)
			run := s.run("duration=8s", "timeout=2s")
			s.injected(allFaults...)
			// It dies without a word; what stops it then only sees to its end.
			if err := errors.Join(c.Plane.Component(part, syscall.SIGKILL), c.Plane.StopComponent(part)); err != nil {
				t.Fatal(err)
			}
			if err := start(); err != nil {
				t.Fatal(err)
			}
			run.ends(2*time.Minute, 0, "HELD")
			if n := s.killed(); n != 2 {
				t.Errorf("%d pods were killed, want 2", n)
			}
			s.mends()
			s.clean()
		})
	}
	t.Run("the API server is away while the run reverts", func(t *testing.T) {
		s := newShopIn(t, c, allFaults...)
		run := s.run("duration=2s", "timeout=2s", "revert_within=60s")
		s.injected(allFaults...)
		if err := c.Plane.Component("kube-apiserver", syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		run.says("fewer .*(stuck|not mended|again|still)")
		if err := c.Plane.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		run.ends(2*time.Minute, 0, "HELD")
		s.mends()
		s.clean()
	})
	t.Run("the controller manager is away while a fuse is armed", func(t *testing.T) {
		s := newShopIn(t, c, "cut")
		if err := c.Plane.StopComponent("kube-controller-manager"); err != nil {
			t.Fatal(err)
		}
		// The next test needs it, whatever becomes of this one.
		t.Cleanup(func() {
			if err := c.Plane.StartManager(); err != nil {
				t.Error(err)
			}
		})
		s.run().ends(time.Minute, 5, "was not armed within 15s: does the cluster's controller manager run", "mended|nothing was broken")
		s.clean()
	})
	t.Run("the controller manager is away when a fuse burns", func(t *testing.T) {
		s := newShopIn(t, c, "cut")
		run := s.run("fuse=15s")
		s.injected("cut")
		if err := c.Plane.StopComponent("kube-controller-manager"); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		s.orphan(run)
		if !sleepPast(t, began, 17*time.Second) || s.policies() != 1 {
			t.Fatalf("%d policies, though nobody could take it away", s.policies())
		}
		if err := c.Plane.StartManager(); err != nil {
			t.Fatal(err)
		}
		s.c.Await(t, "the end of the partition", func() bool { return s.policies() == 0 })
		s.mendsBut("Lease")
		gameday(t, s.home, "recover").ends(30*time.Second, 0)
		s.clean()
	})
}

// orphan kills the runner and its watchdog, so that nothing of gameday is left.
func (s *shop) orphan(run *process) {
	s.t.Helper()
	watchdog := watchdogOf(s.t, s.home)
	if err := syscall.Kill(watchdog, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	run.signal(syscall.SIGKILL)
	<-run.ended
	s.quiet()
}

// sleepPast sleeps until a while after a moment: a fuse burns by the clock.
func sleepPast(t *testing.T, from time.Time, while time.Duration) bool {
	t.Helper()
	select {
	case <-time.After(time.Until(from.Add(while))):
		return true
	case <-t.Context().Done():
		return false
	}
}

// A partition lives as long as its runner, longer than its fuse; and no longer than the
// fuse when the runner and the watchdog are killed.
func TestAFuseEndsAPartitionWhenNothingOfGamedayIsLeft(t *testing.T) {
	slow(t)
	s := newShop(t, "cut")
	run := s.run("fuse=15s")
	s.injected("cut")
	began := time.Now()
	if !sleepPast(t, began, 22*time.Second) || s.policies() != 1 {
		t.Fatalf("%d policies while the run lives, %s after the injection", s.policies(), time.Since(began))
	}
	s.orphan(run)
	orphaned := time.Now()
	s.c.Await(t, "the end of the partition", func() bool { return s.policies() == 0 })
	t.Logf("gone %s after the last gameday process", time.Since(orphaned).Round(100*time.Millisecond))
	s.mendsBut("Lease")
	// The fuse ended the harm; recover notes it, and gives the claim back.
	gameday(t, s.home, "recover").ends(30*time.Second, 0, "neither network policy .* nor its fuse is there")
	s.clean()
}

// A runner that was away for longer than its fuse and its claim comes back while another
// has the namespace.
func TestARunnerThatComesBackLateDoesNoHarm(t *testing.T) {
	slow(t)
	s := newShop(t, "cut")
	run := s.run("fuse=15s")
	s.injected("cut")
	resumeRunner := stopped(t, run.cmd.Process.Pid)
	resumeWatchdog := stopped(t, watchdogOf(t, s.home))
	s.c.Await(t, "the end of the partition by its fuse", func() bool { return s.policies() == 0 })
	// Its claim ends 40 s after its last word; that is not waited for here.
	s.c.EndLease(t, s.namespace)
	other := *s
	other.home = filepath.Join(t.TempDir(), "state")
	second := other.run()
	other.injected("cut")
	theirs := s.c.Left(t, s.namespace)
	if policiesOf(theirs) == "" {
		t.Fatalf("no policy is in\n%s", theirs)
	}
	resumeRunner()
	resumeWatchdog()
	if code := run.wait(2 * time.Minute); code == 6 {
		t.Errorf("it ended with %d:\n%s", code, run.said.String())
	}
	s.quiet()
	if now := s.c.Left(t, s.namespace); policiesOf(now) != policiesOf(theirs) {
		t.Errorf("the namespace held\n%s\nand holds\n%s", theirs, now)
	}
	second.signal(syscall.SIGINT)
	second.ends(time.Minute, 3)
	s.mends()
}

// policiesOf picks the policies out of what is left.
func policiesOf(left string) string {
	var lines []string
	for _, line := range strings.Split(left, "\n") {
		if strings.Contains(line, `"kind":"NetworkPolicy"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
