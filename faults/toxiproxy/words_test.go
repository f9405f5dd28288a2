package toxiproxy_test

import (
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
)

// Both texts of each kind: what it does, for the plan, and what a real server lists.
func TestEachKindSaysInWordsWhatItDoesAndWhatWasReadBack(t *testing.T) {
	connection := open(t, "")
	address := payments(t, connection, "127.0.0.1:9")
	down, up := aim(connection), aim(connection)
	up.Stream = "upstream"
	few := aim(connection)
	few.Toxicity = 0.333
	for name, test := range map[string]struct {
		fault        experiments.Fault
		effect, seen string
	}{
		"latency": {&toxiproxy.Latency{Toxic: down, Latency: 300 * time.Millisecond},
			"answers arrive 300 ms late", "toxic listed: latency (latency 300 ms, jitter 0 ms) downstream"},
		"latency with jitter, upstream": {&toxiproxy.Latency{Toxic: up, Latency: 2500 * time.Millisecond, Jitter: time.Second},
			"requests arrive 2.5 s ± 1 s late", "toxic listed: latency (latency 2500 ms, jitter 1000 ms) upstream"},
		"bandwidth": {&toxiproxy.Bandwidth{Toxic: up, Rate: 2_000_000},
			"bandwidth limited to 2000000 KB/s upstream", "toxic listed: bandwidth (rate 2000000 KB/s) upstream"},
		"bandwidth for some": {&toxiproxy.Bandwidth{Toxic: few, Rate: 100},
			"bandwidth limited to 100 KB/s downstream for 33.3% of connections", "toxic listed: bandwidth (rate 100 KB/s) downstream for 33.3% of connections"},
		"slow_close": {&toxiproxy.SlowClose{Toxic: down, Delay: 90 * time.Second},
			"connections close 1m30s late for the client", "toxic listed: slow_close (delay 90000 ms) downstream"},
		"slow_close upstream": {&toxiproxy.SlowClose{Toxic: up, Delay: time.Second},
			"connections close 1 s late for the server", "toxic listed: slow_close (delay 1000 ms) upstream"},
		"timeout": {&toxiproxy.Timeout{Toxic: down},
			"no answer arrives, and connections stay open", "toxic listed: timeout (timeout 0 ms) downstream"},
		"timeout upstream that closes": {&toxiproxy.Timeout{Toxic: up, Timeout: 5 * time.Second},
			"no request arrives, and connections are closed after 5 s", "toxic listed: timeout (timeout 5000 ms) upstream"},
		"reset_peer": {&toxiproxy.ResetPeer{Toxic: down},
			"connections are reset when the first answer begins", "toxic listed: reset_peer (timeout 0 ms) downstream"},
		"reset_peer later": {&toxiproxy.ResetPeer{Toxic: up, Timeout: 2 * time.Second},
			"connections are reset 2 s after the first request begins", "toxic listed: reset_peer (timeout 2000 ms) upstream"},
		"slicer": {&toxiproxy.Slicer{Toxic: down, AverageSize: 64},
			"answers come in pieces of 64 bytes", "toxic listed: slicer (average_size 64 bytes, size_variation 0 bytes, delay 0 µs) downstream"},
		"slicer with pauses": {&toxiproxy.Slicer{Toxic: up, AverageSize: 64, SizeVariation: 32, Delay: 500 * time.Microsecond},
			"requests come in pieces of 64 ± 32 bytes, 500 µs apart", "toxic listed: slicer (average_size 64 bytes, size_variation 32 bytes, delay 500 µs) upstream"},
		"limit_data": {&toxiproxy.LimitData{Toxic: down, Bytes: 2048},
			"connections are closed after 2048 bytes of answers", "toxic listed: limit_data (bytes 2048) downstream"},
		"down": {&toxiproxy.Down{Targets: down.Targets},
			"connections to " + address + " are cut, and new ones refused", "proxy payments listed as disabled"},
	} {
		t.Run(name, func(t *testing.T) {
			hit := planned(t, test.fault)
			if hit.Effect != test.effect {
				t.Errorf("effect %q, want %q", hit.Effect, test.effect)
			}
			proof, err := test.fault.Inject(t.Context(), hit)
			if err != nil || proof.Seen != test.seen {
				t.Errorf("proof %q, %v; want %q", proof.Seen, err, test.seen)
			}
			reverted(t, test.fault, hit)
		})
	}
}
