package toxiproxy_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
)

// front stands before a real server and lets a test spoil some of its answers. A
// call that spoil has answered returns true.
type front struct {
	*httptest.Server
	real  string
	spoil atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{real: open(t, "").Address()}
	target, err := url.Parse(f.real)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if spoil := f.spoil.Load(); spoil == nil || !(*spoil)(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *front) set(spoil func(http.ResponseWriter, *http.Request) bool) { f.spoil.Store(&spoil) }

// on spoils the calls with the method whose path ends so.
func on(method, suffix string, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.HasSuffix(r.URL.Path, suffix) {
			return false
		}
		answer(w, r)
		return true
	}
}

// hangs until the client goes; a server notices that only once the body is read.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

func html(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>Welcome</html>") }

func fails(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "oops", http.StatusInternalServerError)
}

func html404(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// stops sends the beginning of an answer.
func stops(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = io.WriteString(w, `{"name":"payments","listen":"127.0.0.1`)
}

// huge sends an answer without an end.
func huge(w http.ResponseWriter, _ *http.Request) {
	piece := []byte(`{"name":"payments","toxics":[` + strings.Repeat(" ", 1<<20))
	for {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
}

func half(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"name":"payme`) }

func redirects(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/login", http.StatusFound)
}

func TestAServerThatSpoilsAnAnswerIsFoundOutAndMendedWithoutIt(t *testing.T) {
	const toxic = "/toxics"
	answers := map[string]http.HandlerFunc{"hangs": hangs, "answers HTML": html, "fails": fails, "does not know the page": html404, "redirects": redirects,
		"stops in the middle": stops, "answers half of a JSON": half, "answers for ever": huge}
	steps := map[string]struct{ method, suffix string }{
		"reading the proxy": {http.MethodGet, "/proxies/payments"},
		"adding the toxic":  {http.MethodPost, toxic},
	}
	for what, step := range steps {
		for how, answer := range answers {
			t.Run(what+" "+how, func(t *testing.T) {
				front := newFront(t)
				connection := open(t, front.URL)
				payments(t, connection, "127.0.0.1:9")
				before := toxiproxytest.Snapshot(t, front.real)
				fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
				hit := impatient(t, planned(t, fault), 200*time.Millisecond)
				front.set(on(step.method, step.suffix, answer))
				if proof, err := fault.Inject(t.Context(), hit); err == nil {
					// An answer to the adding may be spoilt as long as the toxic is there.
					t.Errorf("injected all the same: %s", proof.Seen)
				} else if !strings.Contains(err.Error(), front.URL) {
					t.Errorf("the error does not say which server: %v", err)
				}
				if step.method == http.MethodGet {
					wantState(t, fault, hit, experiments.Unknown)
				}
				front.set(nothing)
				reverted(t, fault, hit)
				if after := toxiproxytest.Snapshot(t, front.real); after != before {
					t.Errorf("before: %s\nafter: %s", before, after)
				}
			})
		}
	}
}

func nothing(http.ResponseWriter, *http.Request) bool { return false }

func TestAToxicThatIsTakenButNotListedIsNoProof(t *testing.T) {
	tests := map[string]http.HandlerFunc{
		"not added at all": func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(w, r.Body)
		},
		"added with another latency": func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			changed := strings.Replace(string(text), `"latency":1000`, `"latency":1`, 1)
			response, err := http.Post(w.Header().Get("Real")+r.URL.Path, "application/json", strings.NewReader(changed))
			if err == nil {
				response.Body.Close()
			}
			w.Header().Del("Real")
			_, _ = w.Write(text)
		},
	}
	for name, lie := range tests {
		t.Run(name, func(t *testing.T) {
			front := newFront(t)
			connection := open(t, front.URL)
			payments(t, connection, "127.0.0.1:9")
			before := toxiproxytest.Snapshot(t, front.real)
			fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
			hit := planned(t, fault)
			front.set(on(http.MethodPost, "/toxics", func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Real", front.real)
				lie(w, r)
			}))
			if proof, err := fault.Inject(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "list") {
				t.Errorf("proof %q, error %v; want an error about what is listed", proof.Seen, err)
			}
			front.set(nothing)
			reverted(t, fault, hit)
			if after := toxiproxytest.Snapshot(t, front.real); after != before {
				t.Errorf("before: %s\nafter: %s", before, after)
			}
		})
	}
}

func TestDisablingThatIsNotListedIsNoProof(t *testing.T) {
	front := newFront(t)
	connection := open(t, front.URL)
	payments(t, connection, "127.0.0.1:9")
	fault := &toxiproxy.Down{Targets: aim(connection).Targets}
	hit := planned(t, fault)
	front.set(on(http.MethodPost, "/proxies/payments", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"name":"payments","enabled":false}`)
	}))
	if proof, err := fault.Inject(t.Context(), hit); err == nil {
		t.Errorf("injected all the same: %s", proof.Seen)
	}
	front.set(nothing)
	reverted(t, fault, hit)
}

func TestARemovalThatDoesNotWorkMakesTheProxyAnewWithEverybodyElsesToxics(t *testing.T) {
	for how, answer := range map[string]http.HandlerFunc{"hangs": hangs, "fails": fails, "does not know the page": html404} {
		t.Run("the removal "+how, func(t *testing.T) {
			front := newFront(t)
			connection := open(t, front.URL)
			address := payments(t, connection, toxiproxytest.Echo(t))
			somebodyElses(t, front.real, "payments", "theirs")
			before := toxiproxytest.Snapshot(t, front.real)
			fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: 10 * time.Millisecond}
			hit := impatient(t, injected(t, fault), 500*time.Millisecond)
			front.set(on(http.MethodDelete, "late-payments.1", answer))
			reverted(t, fault, hit)
			if after := toxiproxytest.Snapshot(t, front.real); after != before {
				t.Errorf("before: %s\nafter: %s", before, after)
			}
			wantEcho(t, address)
		})
	}
}

// Whatever call of the replacement fails for good, the next revert finishes it.
func TestAReplacementThatIsInterruptedAtAnyCallIsFinishedByTheNextRevert(t *testing.T) {
	finished := false
	for calls := int32(0); !finished && calls < 50; calls++ {
		front := newFront(t)
		connection := open(t, front.URL)
		address := payments(t, connection, toxiproxytest.Echo(t))
		somebodyElses(t, front.real, "payments", "theirs")
		somebodyElses(t, front.real, "payments", "theirs-too")
		before := toxiproxytest.Snapshot(t, front.real)
		common := aim(connection)
		common.Undo = "replace"
		fault := &toxiproxy.Latency{Toxic: common, Latency: 10 * time.Millisecond}
		hit := injected(t, fault)
		var seen atomic.Int32
		front.set(func(w http.ResponseWriter, r *http.Request) bool {
			if seen.Add(1) <= calls {
				return false
			}
			fails(w, r)
			return true
		})
		finished = fault.Revert(t.Context(), hit) == nil
		front.set(nothing)
		if !finished {
			// Nobody may take a half-made proxy for a whole one.
			wantState(t, fault, hit, experiments.Harmed)
		}
		reverted(t, fault, hit)
		if after := toxiproxytest.Snapshot(t, front.real); after != before {
			t.Fatalf("interrupted after %d calls:\nbefore: %s\nafter: %s", calls, before, after)
		}
		wantEcho(t, address)
	}
	if !finished {
		t.Error("the revert never came to its end")
	}
}

func TestAServerThatIsPausedIsUnknownAndMendedWhenItGoesOn(t *testing.T) {
	server, process := toxiproxytest.Server(t)
	connection := open(t, server)
	payments(t, connection, "127.0.0.1:9")
	fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
	hit := impatient(t, injected(t, fault), 200*time.Millisecond)
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wantState(t, fault, hit, experiments.Unknown)
	if err := fault.Revert(t.Context(), hit); err == nil {
		t.Error("a revert claims success against a server that answers nothing")
	}
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	reverted(t, fault, impatient(t, hit, 10*time.Second))
}

func TestAServerThatIsDownIsUnknownUnlessItWasTheBuiltInOne(t *testing.T) {
	t.Run("a program", func(t *testing.T) {
		server, process := toxiproxytest.Server(t)
		connection := &toxiproxy.Toxiproxy{URL: server}
		if err := connection.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		payments(t, connection, "127.0.0.1:9")
		fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
		hit := injected(t, fault)
		if err := process.Kill(); err != nil {
			t.Fatal(err)
		}
		// Until the kernel has closed its port, the state may still be read.
		for range 1000 {
			if seen, err := fault.Check(t.Context(), hit); err != nil && seen.State == experiments.Unknown {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		wantState(t, fault, hit, experiments.Unknown)
		if err := fault.Revert(t.Context(), hit); err == nil {
			t.Error("a revert claims success without a server")
		}
	})
	t.Run("the built-in one", func(t *testing.T) {
		connection := open(t, "")
		payments(t, connection, "127.0.0.1:9")
		fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
		hit := injected(t, fault)
		if err := connection.Close(); err != nil {
			t.Fatal(err)
		}
		wantState(t, fault, hit, experiments.Superseded)
		if err := fault.Revert(t.Context(), hit); err != nil {
			t.Errorf("nothing is left to undo: %v", err)
		}
		if _, err := fault.Inject(t.Context(), hit); err == nil {
			t.Error("injected into a server that is gone")
		}
	})
	t.Run("another server on the built-in one's port", func(t *testing.T) {
		front := newFront(t)
		connection := open(t, "")
		payments(t, connection, "127.0.0.1:9")
		fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
		hit := injected(t, fault)
		hit.Spec = []byte(strings.Replace(string(hit.Spec), connection.Address(), front.real, 1))
		wantState(t, fault, hit, experiments.Superseded)
		if err := fault.Revert(t.Context(), hit); err != nil {
			t.Errorf("nothing is left to undo: %v", err)
		}
	})
}

func TestSomebodyElsesChangesSupersedeAHit(t *testing.T) {
	tests := map[string]func(t *testing.T, server string) experiments.State{
		"the proxy was deleted": func(t *testing.T, server string) experiments.State {
			proxy, err := toxiproxytest.Client(server).Proxy("payments")
			if err := errors.Join(err, proxy.Delete()); err != nil {
				t.Fatal(err)
			}
			return experiments.Superseded
		},
		"the proxy was made anew for another upstream": func(t *testing.T, server string) experiments.State {
			direct := toxiproxytest.Client(server)
			proxy, err := direct.Proxy("payments")
			if err := errors.Join(err, proxy.Delete()); err != nil {
				t.Fatal(err)
			}
			if _, err := direct.CreateProxy("payments", proxy.Listen, "127.0.0.1:10"); err != nil {
				t.Fatal(err)
			}
			return experiments.Superseded
		},
		"the toxic was taken off": func(t *testing.T, server string) experiments.State {
			proxy, err := toxiproxytest.Client(server).Proxy("payments")
			if err != nil {
				t.Fatal(err)
			}
			if err := proxy.RemoveToxic(proxy.ActiveToxics[0].Name); err != nil {
				t.Fatal(err)
			}
			return experiments.Whole
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			connection := open(t, "")
			payments(t, connection, "127.0.0.1:9")
			fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: time.Second}
			hit := injected(t, fault)
			want := change(t, connection.Address())
			wantState(t, fault, hit, want)
			changed := toxiproxytest.Snapshot(t, connection.Address())
			if err := fault.Revert(t.Context(), hit); err != nil {
				t.Error(err)
			}
			wantState(t, fault, hit, want)
			if after := toxiproxytest.Snapshot(t, connection.Address()); after != changed {
				t.Errorf("the revert changed what is somebody else's:\nbefore: %s\nafter: %s", changed, after)
			}
		})
	}
}

func TestDownLeavesAloneWhatSomebodyElseSwitched(t *testing.T) {
	set := func(t *testing.T, server string, enabled bool) {
		t.Helper()
		proxy, err := toxiproxytest.Client(server).Proxy("payments")
		if err != nil {
			t.Fatal(err)
		}
		proxy.Enabled = enabled
		if err := proxy.Save(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("a proxy that is disabled already is not planned", func(t *testing.T) {
		connection := open(t, "")
		payments(t, connection, "127.0.0.1:9")
		set(t, connection.Address(), false)
		fault := &toxiproxy.Down{Targets: aim(connection).Targets}
		if _, err := fault.Plan(t.Context(), draw("run-1", 1)); err == nil || !strings.Contains(err.Error(), "payments is disabled") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a proxy that was disabled since the plan stays disabled", func(t *testing.T) {
		connection := open(t, "")
		payments(t, connection, "127.0.0.1:9")
		fault := &toxiproxy.Down{Targets: aim(connection).Targets}
		hit := planned(t, fault)
		set(t, connection.Address(), false)
		if _, err := fault.Inject(t.Context(), hit); err == nil || !strings.Contains(err.Error(), "moved since the plan") {
			t.Errorf("got %v", err)
		}
		if err := fault.Revert(t.Context(), hit); err != nil {
			t.Error(err)
		}
		wantState(t, fault, hit, experiments.Superseded)
	})
	t.Run("a proxy that was enabled meanwhile stays enabled", func(t *testing.T) {
		connection := open(t, "")
		address := payments(t, connection, toxiproxytest.Echo(t))
		fault := &toxiproxy.Down{Targets: aim(connection).Targets}
		hit := injected(t, fault)
		set(t, connection.Address(), true)
		reverted(t, fault, hit)
		wantEcho(t, address)
	})
}
