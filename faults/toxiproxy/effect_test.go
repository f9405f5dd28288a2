package toxiproxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
)

// dial connects to a proxy. The deadline only keeps a failing test from hanging.
func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// ask sends data and reads as much back, and returns what came and how long it took.
func ask(t *testing.T, conn net.Conn, data string) (string, time.Duration, error) {
	t.Helper()
	began := time.Now()
	if _, err := io.WriteString(conn, data); err != nil {
		return "", time.Since(began), err
	}
	answer := make([]byte, len(data))
	n, err := io.ReadFull(conn, answer)
	return string(answer[:n]), time.Since(began), err
}

// wantEcho checks that a connection passes data whole.
func wantEcho(t *testing.T, address string) {
	t.Helper()
	data := strings.Repeat("whole again ", 500)
	answer, _, err := ask(t, dial(t, address), data)
	if err != nil || answer != data {
		t.Errorf("after the revert %d of %d bytes came back: %v", len(answer), len(data), err)
	}
}

// Each kind harms real connections in its own way while it is on, and none after.
func TestEachKindHarmsRealConnectionsAndThenNoMore(t *testing.T) {
	tests := map[string]struct {
		fault func(toxiproxy.Toxic) experiments.Fault
		harm  func(t *testing.T, address string)
	}{
		"latency delays each answer": {
			func(c toxiproxy.Toxic) experiments.Fault {
				return &toxiproxy.Latency{Toxic: c, Latency: 120 * time.Millisecond, Jitter: 20 * time.Millisecond}
			},
			func(t *testing.T, address string) {
				conn := dial(t, address)
				for range 3 {
					answer, took, err := ask(t, conn, "hello")
					if err != nil || answer != "hello" {
						t.Fatalf("got %q: %v", answer, err)
					}
					if took < 95*time.Millisecond {
						t.Errorf("an answer took %v, want at least 100ms", took)
					}
				}
			},
		},
		"latency upstream delays what is sent": {
			func(c toxiproxy.Toxic) experiments.Fault {
				c.Stream = "upstream"
				return &toxiproxy.Latency{Toxic: c, Latency: 100 * time.Millisecond}
			},
			func(t *testing.T, address string) {
				if _, took, err := ask(t, dial(t, address), "hello"); err != nil || took < 95*time.Millisecond {
					t.Errorf("took %v (%v), want at least 100ms", took, err)
				}
			},
		},
		"bandwidth makes much data take long": {
			func(c toxiproxy.Toxic) experiments.Fault { return &toxiproxy.Bandwidth{Toxic: c, Rate: 100} },
			func(t *testing.T, address string) {
				// 30 kB at 100 KB/s; toxiproxy rounds to its own steps.
				data := strings.Repeat("x", 30<<10)
				answer, took, err := ask(t, dial(t, address), data)
				if err != nil || answer != data {
					t.Fatalf("got %d bytes: %v", len(answer), err)
				}
				if took < 150*time.Millisecond {
					t.Errorf("30 kB at 100 KB/s took %v", took)
				}
			},
		},
		"slow_close holds the connection open": {
			func(c toxiproxy.Toxic) experiments.Fault {
				return &toxiproxy.SlowClose{Toxic: c, Delay: 150 * time.Millisecond}
			},
			func(t *testing.T, address string) {
				conn := dial(t, address)
				if answer, _, err := ask(t, conn, "hello"); err != nil || answer != "hello" {
					t.Fatalf("got %q: %v", answer, err)
				}
				began := time.Now()
				if err := conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, conn); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < 145*time.Millisecond {
					t.Errorf("the connection closed after %v, want at least 150ms", took)
				}
			},
		},
		"timeout closes without an answer": {
			func(c toxiproxy.Toxic) experiments.Fault {
				return &toxiproxy.Timeout{Toxic: c, Timeout: 50 * time.Millisecond}
			},
			func(t *testing.T, address string) {
				answer, _, err := ask(t, dial(t, address), "hello")
				if answer != "" || !errors.Is(err, io.EOF) {
					t.Errorf("got %q and %v, want nothing and the end", answer, err)
				}
			},
		},
		"timeout of 0s gives no answer and no end": {
			func(c toxiproxy.Toxic) experiments.Fault { return &toxiproxy.Timeout{Toxic: c} },
			func(t *testing.T, address string) {
				conn := dial(t, address)
				if err := conn.SetDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
					t.Fatal(err)
				}
				var late net.Error
				if answer, _, err := ask(t, conn, "hello"); answer != "" || !errors.As(err, &late) || !late.Timeout() {
					t.Errorf("got %q and %v, want nothing until the deadline", answer, err)
				}
			},
		},
		"reset_peer resets the connection": {
			func(c toxiproxy.Toxic) experiments.Fault { return &toxiproxy.ResetPeer{Toxic: c} },
			func(t *testing.T, address string) {
				// The library resets both ends; which error the client meets first depends on
				// how far its own data got.
				answer, _, err := ask(t, dial(t, address), "hello")
				if answer != "" || !(errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
					t.Errorf("got %q and %v, want a reset", answer, err)
				}
			},
		},
		"slicer cuts data into pieces": {
			func(c toxiproxy.Toxic) experiments.Fault {
				return &toxiproxy.Slicer{Toxic: c, AverageSize: 10, Delay: 2 * time.Millisecond}
			},
			func(t *testing.T, address string) {
				conn := dial(t, address)
				data := strings.Repeat("0123456789", 40)
				if _, err := io.WriteString(conn, data); err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				reads, piece := 0, make([]byte, 4096)
				for got.Len() < len(data) {
					n, err := conn.Read(piece)
					if err != nil {
						t.Fatal(err)
					}
					got.Write(piece[:n])
					reads++
				}
				if got.String() != data {
					t.Errorf("the pieces are not the whole: %q", got.String())
				}
				if reads < 4 {
					t.Errorf("400 bytes in pieces of 10 came in %d reads", reads)
				}
			},
		},
		"limit_data cuts the rest off": {
			func(c toxiproxy.Toxic) experiments.Fault { return &toxiproxy.LimitData{Toxic: c, Bytes: 100} },
			func(t *testing.T, address string) {
				answer, _, err := ask(t, dial(t, address), strings.Repeat("x", 500))
				if len(answer) != 100 || err == nil {
					t.Errorf("got %d bytes and %v, want 100 and the end", len(answer), err)
				}
			},
		},
		"down refuses connections": {
			func(c toxiproxy.Toxic) experiments.Fault { return &toxiproxy.Down{Targets: c.Targets} },
			func(t *testing.T, address string) {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					conn.Close()
				}
				if !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("got %v, want a refusal", err)
				}
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			connection := open(t, "")
			address := payments(t, connection, toxiproxytest.Echo(t))
			fault := test.fault(aim(connection))
			wantEcho(t, address)
			hit := injected(t, fault)
			test.harm(t, address)
			reverted(t, fault, hit)
			wantEcho(t, address)
		})
	}
}

func TestRemovingKeepsOpenConnectionsAndReplacingCutsThem(t *testing.T) {
	for undo, survives := range map[string]bool{"remove": true, "replace": false} {
		t.Run(undo, func(t *testing.T) {
			connection := open(t, "")
			address := payments(t, connection, toxiproxytest.Echo(t))
			fault := &toxiproxy.Latency{Toxic: aim(connection), Latency: 20 * time.Millisecond}
			fault.Undo = undo
			conn := dial(t, address)
			if _, _, err := ask(t, conn, "before"); err != nil {
				t.Fatal(err)
			}
			hit := injected(t, fault)
			if _, took, err := ask(t, conn, "meanwhile"); err != nil || took < 15*time.Millisecond {
				t.Errorf("an open connection is not hit: %v, %v", took, err)
			}
			reverted(t, fault, hit)
			if _, _, err := ask(t, conn, "after"); (err == nil) != survives {
				t.Errorf("the open connection: %v; it should survive: %t", err, survives)
			}
			wantEcho(t, address)
		})
	}
}

func TestToxicityHitsAShareOfTheConnections(t *testing.T) {
	connection := open(t, "")
	address := payments(t, connection, toxiproxytest.Echo(t))
	common := aim(connection)
	common.Toxicity = 0.5
	fault := &toxiproxy.LimitData{Toxic: common, Bytes: 1}
	hit := injected(t, fault)
	whole, cut := 0, 0
	for range 200 {
		if answer, _, _ := ask(t, dial(t, address), "hello"); answer == "hello" {
			whole++
		} else {
			cut++
		}
	}
	// Half of 200, give or take more than six standard deviations.
	if whole < 50 || cut < 50 {
		t.Errorf("at 50%% %d connections were hit and %d were not", cut, whole)
	}
	reverted(t, fault, hit)
}
