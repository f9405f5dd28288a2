package main

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
)

// A sandbox that was killed leaves its proxies in the toxiproxy-server; the next one
// takes them away, and nothing else.
func TestASandboxTakesOverWhatAKilledOneLeft(t *testing.T) {
	t.Parallel()
	server, _ := toxiproxytest.Server(t)
	makeProxy(t, server, "inventory", closedAddress(t)) // a person's, whose upstream is down
	before := toxiproxytest.Snapshot(t, server)
	sandbox := func() *process {
		return gameday(t, t.TempDir(), "sandbox", "--port", "0", "--toxiproxy", server)
	}

	killed := sandbox()
	killed.says(`behind proxy "payments"`)
	killed.signal(syscall.SIGKILL)
	if code := killed.wait(10 * time.Second); code != -1 {
		t.Fatalf("it was killed and ended with %d", code)
	}
	if left := toxiproxytest.Snapshot(t, server); left == before {
		t.Fatal("the killed sandbox left no proxy: this test shows nothing")
	}

	next := sandbox()
	next.says(`behind proxy "payments"`)
	sandbox().ends(20*time.Second, 5, "has a proxy catalogue already", "for a gameday that still runs here", "prefix")
	if now := toxiproxytest.Snapshot(t, server); strings.Count(now, `"name": "payments"`) != 1 {
		t.Fatalf("the refused sandbox touched the proxies of the one that runs:\n%s", now)
	}
	next.signal(syscall.SIGINT)
	next.ends(20*time.Second, 0)
	if after := toxiproxytest.Snapshot(t, server); after != before {
		t.Errorf("the server was\n%s\nand is\n%s", before, after)
	}
}

func TestASandboxLeavesAPersonsProxyAlone(t *testing.T) {
	t.Parallel()
	server, _ := toxiproxytest.Server(t)
	// It has the sandbox's name, and a loopback port where nobody listens now.
	makeProxy(t, server, "payments", closedAddress(t))
	before := toxiproxytest.Snapshot(t, server)
	gameday(t, t.TempDir(), "sandbox", "--port", "0", "--toxiproxy", server).
		ends(20*time.Second, 5, "has a proxy payments already", "prefix")
	if after := toxiproxytest.Snapshot(t, server); after != before {
		t.Errorf("the server was\n%s\nand is\n%s", before, after)
	}
}

// The watchdog mends what the dead run broke; its shop's proxies go with the next shop.
func TestTheShopOfAKilledRunIsInNobodysWay(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a game day")
	}
	t.Parallel()
	server, _ := toxiproxytest.Server(t)
	home := t.TempDir()
	run := gameday(t, home, "run", "--var", "toxiproxy_url="+server, "quickstart")
	run.says("late-payments injected")
	run.signal(syscall.SIGKILL)
	if code := run.wait(10 * time.Second); code != -1 {
		t.Fatalf("it was killed and ended with %d", code)
	}
	poll(t, text("the end of the watchdog"), func() bool { return watchdogs(t, home) == 0 })
	left := toxiproxytest.Snapshot(t, server)
	if strings.Contains(left, "late-payments") || !strings.Contains(left, `"name": "payments"`) {
		t.Fatalf("the watchdog was to take off the toxic and leave the shop's proxies:\n%s", left)
	}
	next := gameday(t, t.TempDir(), "sandbox", "--port", "0", "--toxiproxy", server)
	next.says(`behind proxy "payments"`)
	next.signal(syscall.SIGINT)
	next.ends(20*time.Second, 0)
	if after := strings.TrimSpace(toxiproxytest.Snapshot(t, server)); after != "{}" {
		t.Errorf("the server holds\n%s", after)
	}
}
