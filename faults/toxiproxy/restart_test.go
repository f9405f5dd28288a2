package toxiproxy_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
	"github.com/gameday-sh/gameday/internal/porttest"
)

// restart kills a server and starts it again on its address, with more arguments.
func restart(t *testing.T, url string, process *os.Process, args ...string) {
	t.Helper()
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", process.Pid))
	if err != nil {
		t.Skip("needs /proc to find the program: ", err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if _, err := net.Dial("tcp", net.JoinHostPort(host, port)); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	again := exec.Command(program, append([]string{"-host", host, "-port", port}, args...)...)
	again.Env = append(os.Environ(), "LOG_LEVEL=fatal")
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := again.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = again.Wait() // it was killed
	})
	for range 500 {
		if answer, err := http.Get(url + "/version"); err == nil {
			answer.Body.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("toxiproxy-server did not start again")
}

// A server forgets everything when it is restarted. Nothing of the hit is left then, and
// what the server was told again is left as it is.
func TestAServerThatIsRestartedMeanwhileHasNothingLeftOfAHit(t *testing.T) {
	for name, make := range map[string]func(toxiproxy.Toxic) experiments.Fault{
		"a toxic":          func(c toxiproxy.Toxic) experiments.Fault { return &toxiproxy.Latency{Toxic: c, Latency: time.Second} },
		"a disabled proxy": func(c toxiproxy.Toxic) experiments.Fault { return &toxiproxy.Down{Targets: c.Targets} },
	} {
		for config, want := range map[bool]experiments.State{false: experiments.Superseded, true: experiments.Whole} {
			t.Run(fmt.Sprintf("%s, with its proxies in a file %t", name, config), func(t *testing.T) {
				server, process := toxiproxytest.Server(t)
				connection := open(t, server)
				listen, upstream := porttest.Address(t), "127.0.0.1:9"
				if _, err := toxiproxytest.Client(server).CreateProxy("payments", listen, upstream); err != nil {
					t.Fatal(err)
				}
				fault := make(aim(connection))
				hit := injected(t, fault)
				var args []string
				if config {
					text, err := json.Marshal([]client.Proxy{{Name: "payments", Listen: listen, Upstream: upstream, Enabled: true}})
					file := filepath.Join(t.TempDir(), "proxies.json")
					if err == nil {
						err = os.WriteFile(file, text, 0o600)
					}
					if err != nil {
						t.Fatal(err)
					}
					args = []string{"-config", file}
				}
				restart(t, server, process, args...)
				before := toxiproxytest.Snapshot(t, server)
				wantState(t, fault, hit, want)
				if err := fault.Revert(t.Context(), hit); err != nil {
					t.Error(err)
				}
				wantState(t, fault, hit, want)
				if after := toxiproxytest.Snapshot(t, server); after != before {
					t.Errorf("before: %s\nafter: %s", before, after)
				}
			})
		}
	}
}

func TestAProxyThatWasMadeThoughTheAnswerWasLostIsTakenAwayAgain(t *testing.T) {
	front := newFront(t)
	before := toxiproxytest.Snapshot(t, front.real)
	front.set(on(http.MethodPost, "/proxies", func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Post(front.real+r.URL.Path, "application/json", r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Error(err)
		}
		answer.Body.Close()
		fails(w, r)
	}))
	connection := &toxiproxy.Toxiproxy{URL: front.URL, Proxies: []toxiproxy.Proxy{{Name: "payments", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:9"}}}
	if err := connection.Open(t.Context()); err == nil {
		t.Error("opened all the same")
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	}
	if after := toxiproxytest.Snapshot(t, front.real); after != before {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
}

func TestCloseLeavesAProxyThatSomebodyIsAtWorkOn(t *testing.T) {
	server, _ := toxiproxytest.Server(t)
	connection := &toxiproxy.Toxiproxy{URL: server, Proxies: []toxiproxy.Proxy{
		{Name: "payments", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:9"}, {Name: "stock", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:9"},
	}}
	if err := connection.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	somebodyElses(t, server, "payments", "theirs")
	if err := connection.Close(); err != nil {
		t.Fatal(err)
	}
	if left := toxiproxytest.Snapshot(t, server); !strings.Contains(left, "theirs") || strings.Contains(left, "stock") {
		t.Errorf("the server has %s", left)
	}
}
