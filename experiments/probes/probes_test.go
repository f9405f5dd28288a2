package probes

import (
	"context"
	"encoding/json"
	"math"
	"net"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gameday-sh/gameday/experiments"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == helperArgument {
		os.Exit(helper(os.Args[2:]))
	}
	// A thread that a daemon is bound to stays until the process ends.
	goleak.VerifyTestMain(collected{m}, goleak.IgnoreAnyFunction("github.com/gameday-sh/gameday/internal/cluster.daemons.start.func1"))
}

// collected are tests after which what nobody refers to is gone: a goroutine of
// client-go's that looks for new certificates ends only when the garbage collector has
// found its transport.
type collected struct{ *testing.M }

func (c collected) Run() int {
	code := c.M.Run()
	runtime.GC()
	return code
}

// patience is the deadline of measurements that are to succeed.
const patience = 20 * time.Second

// withDefaults fills in what a scenario leaves out, from the tags.
func withDefaults[T any](t testing.TB, probe *T) *T {
	t.Helper()
	value := reflect.ValueOf(probe).Elem()
	for i := range value.NumField() {
		field, text := value.Field(i), value.Type().Field(i).Tag.Get("default")
		if value.Type().Field(i).Anonymous {
			if expect, ok := field.Addr().Interface().(*Expect); ok {
				withDefaults(t, expect)
			}
			continue
		}
		if text == "" {
			continue
		}
		var err error
		switch target := field.Addr().Interface().(type) {
		case *string:
			if *target = text; strings.HasPrefix(text, `"`) {
				*target, err = strconv.Unquote(text)
			}
		case *bool:
			*target, err = strconv.ParseBool(text)
		case *int:
			*target, err = strconv.Atoi(text)
		case *time.Duration:
			*target, err = experiments.ParseDuration(text)
		case *[]string:
			err = json.Unmarshal([]byte(text), target)
		default:
			t.Fatalf("default of %s: type %s is not known here", value.Type().Field(i).Name, field.Type())
		}
		if err != nil {
			t.Fatalf("default of %s: %v", value.Type().Field(i).Name, err)
		}
	}
	return probe
}

// measure takes one measurement with a deadline.
func measure(t testing.TB, probe experiments.Probe, timeout time.Duration) experiments.Sample {
	t.Helper()
	ctx, cancel := experiments.WithTimeout(context.Background(), timeout)
	defer cancel()
	return probe.Measure(ctx)
}

// expect is what a sample should be. Why is a part of Sample.Why; a good event has none.
type expect struct {
	good      bool
	condition experiments.Condition
	why       string
	value     float64 // 0 for none
}

func (e expect) check(t testing.TB, s experiments.Sample) {
	t.Helper()
	if s.Condition != e.condition || s.Good != e.good || s.Counted != (e.condition == experiments.OK) {
		t.Errorf("sample: condition %q, counted %v, good %v, why %q; want condition %q, good %v, why %q", s.Condition, s.Counted, s.Good, s.Why, e.condition, e.good, e.why)
	}
	if !strings.Contains(s.Why, e.why) || e.why == "" && s.Why != "" {
		t.Errorf("why = %q, want %q", s.Why, e.why)
	}
	if e.value == 0 && !math.IsNaN(s.Value) || e.value != 0 && s.Value != e.value {
		t.Errorf("value = %v, want %v (0 for none)", s.Value, e.value)
	}
	if s.At.IsZero() || s.Took <= 0 {
		t.Errorf("sample without a time: at %v, took %v", s.At, s.Took)
	}
}

// cancelSoon cancels a measurement once begun tells that it has reached the other side.
func cancelSoon(t *testing.T, probe experiments.Probe, begun <-chan struct{}) experiments.Sample {
	t.Helper()
	ctx, cancel := experiments.WithTimeout(t.Context(), patience)
	defer cancel()
	var wait sync.WaitGroup
	wait.Go(func() { <-begun; cancel() })
	defer wait.Wait()
	return probe.Measure(ctx)
}

// closeAfter closes a probe that holds something.
func closeAfter(t testing.TB, probe interface{ Close() error }) {
	t.Helper()
	t.Cleanup(func() {
		if err := probe.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// serve answers each connection to a listener on loopback with talk, and closes it
// then. It is over when the test is.
func serve(t testing.TB, talk func(conn *net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				talk(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	return listener.Addr().String()
}

// hang reads until the other side is gone.
func hang(conn *net.TCPConn) {
	buffer := make([]byte, 4096)
	for {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// reset ends a connection with RST.
func reset(conn *net.TCPConn) { _ = conn.SetLinger(0); _ = conn.Close() }

// deadAddress is an address where nothing listens.
func deadAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// cut is a TCP proxy that can go silent on the connections it has, as a network does
// that drops packets, and still serve new ones.
type cut struct {
	address string
	mu      sync.Mutex
	silent  chan struct{} // closed when today's connections go silent
	opened  int
}

func newCut(t testing.TB, target string) *cut {
	t.Helper()
	c := &cut{silent: make(chan struct{})}
	c.address = serve(t, func(client *net.TCPConn) {
		server, err := net.Dial("tcp", target)
		if err != nil {
			return
		}
		defer server.Close()
		c.mu.Lock()
		silent := c.silent
		c.opened++
		c.mu.Unlock()
		var both sync.WaitGroup
		pass := func(to, from net.Conn) {
			buffer := make([]byte, 4096)
			for {
				n, err := from.Read(buffer)
				if err != nil {
					_, _ = client.Close(), server.Close()
					return
				}
				select {
				case <-silent:
				default:
					if _, err := to.Write(buffer[:n]); err != nil {
						return
					}
				}
			}
		}
		both.Go(func() { pass(server, client) })
		both.Go(func() { pass(client, server) })
		both.Wait()
	})
	return c
}

func (c *cut) goSilent() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.silent)
	c.silent = make(chan struct{})
}

func (c *cut) connections() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

func TestKindsAreDocumented(t *testing.T) {
	for _, kind := range Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			if _, err := os.Stat(kind.Name + ".go"); err != nil && kind.Name != "prometheus" {
				t.Errorf("the kind has no file of its name: %v", err)
			}
			if kind.Summary == "" || strings.HasSuffix(kind.Summary, ".") {
				t.Errorf("summary %q is not a line without a full stop", kind.Summary)
			}
			for _, field := range reflect.VisibleFields(reflect.TypeOf(kind.New()).Elem()) {
				if !field.IsExported() || field.Anonymous {
					continue
				}
				if field.Tag.Get("hcl") == "" || field.Tag.Get("doc") == "" {
					t.Errorf("%s has no hcl or no doc tag", field.Name)
				}
				if !strings.Contains(field.Tag.Get("hcl"), ",block") && field.Tag.Get("default") == "" && field.Tag.Get("example") == "" && field.Type.Kind() != reflect.Pointer {
					t.Errorf("%s has neither a default nor an example", field.Name)
				}
			}
			if _, ok := kind.New().(experiments.Validator); !ok {
				t.Errorf("%T has no Validate", kind.New())
			}
		})
	}
}

// Values that are not known while a configuration is validated are zero.
func TestAValidationToleratesWhatIsNotKnownYet(t *testing.T) {
	for _, probe := range []experiments.Validator{
		withDefaults(t, &HTTP{}), withDefaults(t, &TCP{}), withDefaults(t, &GRPC{}), &HTTP{}, &TCP{}, &GRPC{},
	} {
		if problems := probe.Validate(); len(problems) > 0 {
			t.Errorf("%T: %+v", probe, problems)
		}
	}
	for _, probe := range []experiments.Probe{withDefaults(t, &HTTP{}), withDefaults(t, &TCP{}), withDefaults(t, &GRPC{})} {
		expect{condition: experiments.Broken, why: "write"}.check(t, measure(t, probe, patience))
	}
}

// problem is one that Validate must find: the attribute, and words of the detail.
type problem struct{ attribute, detail string }

func checkProblems(t *testing.T, probe experiments.Validator, want []problem) {
	t.Helper()
	got := probe.Validate()
	if len(got) != len(want) {
		t.Fatalf("problems = %+v, want %d: %+v", got, len(want), want)
	}
	for i, p := range got {
		if p.Attribute != want[i].attribute || !strings.Contains(p.Detail, want[i].detail) || p.Summary == "" {
			t.Errorf("problem = %+v, want one of %q with %q", p, want[i].attribute, want[i].detail)
		}
	}
}
