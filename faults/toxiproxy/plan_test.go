package toxiproxy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
	"github.com/gameday-sh/gameday/faults/toxiproxy/toxiproxytest"
)

func TestAPlanNamesItsTargetsOrSaysWhichThereAre(t *testing.T) {
	connection := open(t, "")
	for _, name := range []string{"payments", "payments-eu", "stock"} {
		if _, err := connection.CreateProxy(t.Context(), name, "127.0.0.1:0", "127.0.0.1:9"); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		proxy   string
		proxies []string
		want    string // the targets, or the error
	}{
		"a name":                           {proxy: "payments", want: "payments"},
		"a pattern":                        {proxy: "payments*", want: "payments payments-eu"},
		"names and patterns that overlap":  {proxies: []string{"stock", "pay*", "payments"}, want: "payments payments-eu stock"},
		"a name with a slip":               {proxy: "paymnets", want: `has no proxy "paymnets"; did you mean "payments"? There are: payments, payments-eu, stock`},
		"a name that is nothing like it":   {proxy: "ledger-of-doom", want: `has no proxy "ledger-of-doom". There are: payments, payments-eu, stock`},
		"a pattern that matches nothing":   {proxies: []string{"stock", "led*"}, want: `has no proxy that matches "led*"; there are: payments, payments-eu, stock`},
		"no name at all":                   {want: "names no proxy"},
		"a pattern that cannot be matched": {proxy: "[a", want: `cannot match "[a"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			common := aim(connection)
			common.Proxy, common.Proxies = test.proxy, test.proxies
			hits, err := (&toxiproxy.Latency{Toxic: common, Latency: time.Second}).Plan(t.Context(), draw("run-1", 1))
			var got []string
			for _, hit := range hits {
				got = append(got, strings.TrimPrefix(hit.Target, "proxy "))
			}
			if err != nil {
				got = []string{err.Error()}
			}
			if text := strings.Join(got, " "); err == nil && text != test.want || !strings.Contains(text, test.want) {
				t.Errorf("got  %s\nwant %s", text, test.want)
			}
		})
	}
}

func TestAPlanWithoutAServerSaysSo(t *testing.T) {
	for name, connection := range map[string]*toxiproxy.Toxiproxy{"none named": nil, "not open": {}} {
		if _, err := (&toxiproxy.Latency{Toxic: aim(connection)}).Plan(t.Context(), draw("run-1", 1)); err == nil || !strings.Contains(err.Error(), "connection") {
			t.Errorf("%s: %v", name, err)
		}
	}
	connection := open(t, "")
	if _, err := (&toxiproxy.Latency{Toxic: aim(connection)}).Plan(t.Context(), draw("run-1", 1)); err == nil || !strings.Contains(err.Error(), "no proxy at all") {
		t.Errorf("a server without proxies: %v", err)
	}
}

func TestAHitSaysWhatIsHeldAndHowItEnds(t *testing.T) {
	connection := open(t, "")
	payments(t, connection, "127.0.0.1:9")
	common := aim(connection)
	common.Toxicity = 0.8
	fault := &toxiproxy.Latency{Toxic: common, Latency: 300 * time.Millisecond, Jitter: 50 * time.Millisecond}
	hit := planned(t, fault)
	for what, pair := range map[string][2]string{
		"Target": {hit.Target, "proxy payments"},
		"Holds":  {hit.Holds, "toxiproxy " + strings.TrimPrefix(connection.Address(), "http://") + " payments"},
		"Effect": {hit.Effect, "answers arrive 300 ms ± 50 ms late for 80% of connections"},
		"Undo":   {hit.Undo, "remove toxic gameday-run-1.late-payments.1"},
		"Fuse":   {hit.Fuse, experiments.WatchdogFuse},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %q, want %q", what, pair[0], pair[1])
		}
	}
	proof, err := fault.Inject(t.Context(), hit)
	if err != nil || proof.Seen != "toxic listed: latency (latency 300 ms, jitter 50 ms) downstream for 80% of connections" {
		t.Errorf("proof %q: %v", proof.Seen, err)
	}
	reverted(t, fault, hit)
}

func TestHoldsIsTheSameHoweverTheServerIsWritten(t *testing.T) {
	server, _ := toxiproxytest.Server(t)
	payments(t, open(t, server), "127.0.0.1:9")
	port := server[strings.LastIndex(server, ":"):]
	want := "toxiproxy 127.0.0.1" + port + " payments"
	for _, url := range []string{server, server + "/", "127.0.0.1" + port, "http://LOCALHOST" + port} {
		hit := planned(t, &toxiproxy.Latency{Toxic: aim(open(t, url)), Latency: time.Second})
		if hit.Holds != want {
			t.Errorf("%s holds %q, want %q", url, hit.Holds, want)
		}
	}
}

func TestAProxyThatAnotherRunIsAtWorkOnIsRefused(t *testing.T) {
	connection := open(t, "")
	payments(t, connection, "127.0.0.1:9")
	common := aim(connection)
	latency := &toxiproxy.Latency{Toxic: common, Latency: time.Second}
	slicer := &toxiproxy.Slicer{Toxic: common, AverageSize: 10}
	hits, err := latency.Plan(t.Context(), draw("20261124-153012-shop-7f3a", 2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := latency.Inject(t.Context(), hits[0]); err != nil {
		t.Fatal(err)
	}
	_, err = slicer.Plan(t.Context(), draw("20261124-160000-shop-beef", 1))
	if err == nil || !strings.Contains(err.Error(), "proxy payments already carries a toxic of run 20261124-153012-shop-7f3a") || !strings.Contains(err.Error(), "gameday recover 20261124-153012-shop-7f3a") {
		t.Errorf("another run: %v", err)
	}
	if _, err := slicer.Plan(t.Context(), draw("20261124-153012-shop-7f3a", 1)); err != nil {
		t.Errorf("another fault of the same run: %v", err)
	}
	if _, err := slicer.Plan(t.Context(), draw("20261124-153012-shop-7f3a", 2)); err == nil {
		t.Error("the same fault and round was planned on top of itself")
	}
	reverted(t, latency, hits[0])

	// A run that died while it switched the proxy back on leaves its marker.
	marker := client.Proxy{Name: "gameday-other-run.off.1.payments", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:9"}
	if _, err := toxiproxytest.Client(connection.Address()).Populate([]client.Proxy{marker}); err != nil {
		t.Fatal(err)
	}
	if _, err := slicer.Plan(t.Context(), draw("run-1", 1)); err == nil || !strings.Contains(err.Error(), "run other-run") {
		t.Errorf("a marker of another run: %v", err)
	}
}

func TestARecordThatCannotBeReadIsAnErrorAndNotAPanic(t *testing.T) {
	for _, text := range []string{"", "null", "{}", "[1]", `{"url":"http://127.0.0.1:9","proxy":{"name":"payments"}}`} {
		for name, fault := range map[string]experiments.Fault{"latency": new(toxiproxy.Latency), "down": new(toxiproxy.Down)} {
			hit := experiments.Hit{ID: "late-payments/1/proxy payments", Spec: json.RawMessage(text)}
			if _, err := fault.Inject(t.Context(), hit); err == nil {
				t.Errorf("%s injected %q", name, text)
			}
			if err := fault.Revert(t.Context(), hit); err == nil || !strings.Contains(err.Error(), hit.ID) {
				t.Errorf("%s reverting %q: %v", name, text, err)
			}
			if seen, err := fault.Check(t.Context(), hit); err == nil || seen.State != experiments.Unknown {
				t.Errorf("%s of %q is %s: %v", name, text, seen.State, err)
			}
		}
	}
}

func TestValidateFindsEveryProblem(t *testing.T) {
	good := toxiproxy.Toxic{Targets: toxiproxy.Targets{Proxy: "payments"}, Stream: "upstream", Toxicity: 1}
	tests := map[string]struct {
		block any
		want  []string // attribute: summary
	}{
		"a good latency":                     {&toxiproxy.Latency{Toxic: good, Latency: 300 * time.Millisecond, Jitter: 300 * time.Millisecond}, nil},
		"no latency and no proxy":            {&toxiproxy.Latency{Toxic: toxiproxy.Toxic{Toxicity: 1}}, []string{": No proxy named", "latency: No latency"}},
		"a negative latency":                 {&toxiproxy.Latency{Toxic: good, Latency: -time.Second}, []string{"latency: Negative latency"}},
		"a latency below a millisecond":      {&toxiproxy.Latency{Toxic: good, Latency: 1500 * time.Microsecond}, []string{"latency: Too fine a latency"}},
		"more jitter than latency":           {&toxiproxy.Latency{Toxic: good, Latency: time.Millisecond, Jitter: time.Second}, []string{"jitter: More jitter than latency"}},
		"both ways to name proxies":          {&toxiproxy.Down{Targets: toxiproxy.Targets{Proxy: "a", Proxies: []string{"b"}}}, []string{"proxies: Proxies named twice"}},
		"a pattern that cannot be matched":   {&toxiproxy.Down{Targets: toxiproxy.Targets{Proxy: "[a"}}, []string{"proxy: Not a pattern"}},
		"a toxicity of nothing":              {&toxiproxy.Timeout{Toxic: toxiproxy.Toxic{Targets: good.Targets}}, []string{"toxicity: Toxicity out of range"}},
		"a timeout of 0s":                    {&toxiproxy.Timeout{Toxic: good}, nil},
		"a negative timeout":                 {&toxiproxy.Timeout{Toxic: good, Timeout: -time.Second}, []string{"timeout: Negative timeout"}},
		"a rate of zero":                     {&toxiproxy.Bandwidth{Toxic: good}, []string{"rate: No bandwidth left"}},
		"a good rate":                        {&toxiproxy.Bandwidth{Toxic: good, Rate: 1}, nil},
		"no delay":                           {&toxiproxy.SlowClose{Toxic: good}, []string{"delay: No delay"}},
		"a negative reset":                   {&toxiproxy.ResetPeer{Toxic: good, Timeout: -1}, []string{"timeout: Negative timeout"}},
		"a good reset":                       {&toxiproxy.ResetPeer{Toxic: good}, nil},
		"pieces without a size":              {&toxiproxy.Slicer{Toxic: good}, []string{"average_size: Pieces without a size"}},
		"pieces that vary by their own size": {&toxiproxy.Slicer{Toxic: good, AverageSize: 10, SizeVariation: 10}, []string{"size_variation: Size variation out of range"}},
		"a pause below a microsecond":        {&toxiproxy.Slicer{Toxic: good, AverageSize: 10, Delay: 1500}, []string{"delay: Too fine a delay"}},
		"a good slicer":                      {&toxiproxy.Slicer{Toxic: good, AverageSize: 10, SizeVariation: 9, Delay: time.Microsecond}, nil},
		"a negative limit":                   {&toxiproxy.LimitData{Toxic: good, Bytes: -1}, []string{"bytes: Negative limit"}},
		"a limit of nothing":                 {&toxiproxy.LimitData{Toxic: good}, nil},
		"a connection to the built-in one":   {&toxiproxy.Toxiproxy{Timeout: 2 * time.Second}, nil},
		"a connection with many faults": {
			&toxiproxy.Toxiproxy{URL: "ftp://host", Timeout: -1, Proxies: []toxiproxy.Proxy{{Name: "a/b"}, {Name: "x"}, {Name: "x"}}},
			[]string{"url: Not the address of a toxiproxy", "timeout: Negative timeout", "proxy: Not a name for a proxy", "proxy: Duplicate proxy"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			validator, is := test.block.(experiments.Validator)
			if !is {
				t.Fatalf("%T has no Validate", test.block)
			}
			var got []string
			for _, problem := range validator.Validate() {
				got = append(got, problem.Attribute+": "+problem.Summary)
				if !strings.HasSuffix(problem.Detail, ".") {
					t.Errorf("the detail is no sentence: %q", problem.Detail)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
