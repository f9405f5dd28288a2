package sandbox

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"
	"go.uber.org/goleak"

	"github.com/gameday-sh/gameday/experiments"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a sandbox that sends no load and has seconds of patience, so that a
// busy machine changes no answer, and then whatever change says.
func open(t *testing.T, change func(*Sandbox)) *Sandbox {
	t.Helper()
	s := New()
	s.Rate, s.Timeout, s.Deadline = 0, 4*time.Second, 4500*time.Millisecond
	if change != nil {
		change(s)
	}
	if problems := s.Validate(); len(problems) > 0 {
		t.Fatalf("the test's sandbox is not valid: %+v", problems)
	}
	if err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// toxics returns the proxy that stands before payments or the catalogue.
func toxics(t *testing.T, s *Sandbox, export string) *client.Proxy {
	t.Helper()
	proxy, err := client.NewClient(s.Export("toxiproxy_url")).Proxy(s.Export(export))
	if err != nil {
		t.Fatal(err)
	}
	return proxy
}

// late makes all answers through a proxy late, until the test ends at the latest: what
// toxiproxy holds back outlives its proxy by the latency.
func late(t *testing.T, proxy *client.Proxy, by time.Duration) {
	t.Helper()
	if _, err := proxy.AddToxic("late", "latency", "downstream", 1, client.Attributes{"latency": by.Milliseconds()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.RemoveToxic("late"); err != nil && !strings.Contains(err.Error(), "toxic not found") {
			t.Error(err)
		}
	})
}

// reply is an answer, read.
type reply struct {
	code   int
	body   string
	header http.Header
}

// ask makes one request on a connection of its own.
func ask(t *testing.T, method, url, body string, header http.Header) reply {
	t.Helper()
	got, err := request(t.Context(), method, url, body, header)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func request(ctx context.Context, method, url, body string, header http.Header) (reply, error) {
	call, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	call.Header = header
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(call)
	if err != nil {
		return reply{}, err
	}
	text, err := io.ReadAll(response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	return reply{response.StatusCode, string(text), response.Header}, err
}

// eventually asks again until true, for as long as the test may take.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 600 {
		if is() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

func TestCloseLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := New()
	s.Rate = 200
	for range 2 { // it may be opened again
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		addresses := []string{s.Export("url"), s.Export("catalogue_url"), s.Export("payments_url"), s.Export("toxiproxy_url")}
		for _, export := range []string{"catalogue_proxy", "payments_proxy"} {
			addresses = append(addresses, "http://"+toxics(t, s, export).Listen)
		}
		eventually(t, "customers are served", func() bool { return sum(t, s, "client_requests_total", "code", "200") > 10 })
		http.DefaultClient.CloseIdleConnections() // of toxiproxy's client
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, address := range addresses {
			if connection, err := net.Dial("tcp", strings.TrimPrefix(address, "http://")); err == nil {
				t.Errorf("something still listens on %s", address)
				if err := connection.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		goleak.VerifyNone(t, before)
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestProxiesOnAnotherToxiproxyComeAndGo(t *testing.T) {
	connection, other := startToxiproxy(t)
	if _, err := other.CreateProxy("inventory", "127.0.0.1:0", "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	names := func() []string {
		proxies, err := other.Proxies()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for name := range proxies {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	first := open(t, func(s *Sandbox) { s.Toxiproxy = connection })
	second := open(t, func(s *Sandbox) { s.Toxiproxy = connection; s.Prefix = "blue-" })
	want := []string{"blue-catalogue", "blue-payments", "catalogue", "inventory", "payments"}
	if got := slices.DeleteFunc(names(), func(name string) bool { return strings.HasPrefix(name, "gameday-claim:") }); !slices.Equal(got, want) {
		t.Errorf("proxies = %v; want %v", got, want)
	}
	if second.Export("payments_proxy") != "blue-payments" {
		t.Errorf("the second shop's proxy is %q", second.Export("payments_proxy"))
	}
	// What harms one shop does not harm the other.
	if err := toxics(t, first, "payments_proxy").Disable(); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, "POST", first.Export("checkout_url"), "", nil); got.code != http.StatusBadGateway {
		t.Errorf("the first shop answers %d without payments", got.code)
	}
	if got := ask(t, "POST", second.Export("checkout_url"), "", nil); got.code != http.StatusOK {
		t.Errorf("the second shop answers %d", got.code)
	}
	for _, s := range []*Sandbox{first, second} {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := names(); !slices.Equal(got, []string{"inventory"}) {
		t.Errorf("after both were closed the proxies are %v", got)
	}
}

func TestWhatStandsInTheWayIsNamed(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}()
	port := taken.Addr().(*net.TCPAddr).Port
	connection, other := startToxiproxy(t)
	if _, err := other.CreateProxy("payments", "127.0.0.1:0", taken.Addr().String()); err != nil {
		t.Fatal(err)
	}
	shut, _ := startToxiproxy(t)
	if err := shut.Close(); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, test := range []struct {
		name   string
		ctx    context.Context
		change func(*Sandbox)
		want   []string
	}{
		{"a port that is in use", t.Context(), func(s *Sandbox) { s.Port = port },
			[]string{"front-door cannot listen", fmt.Sprint("127.0.0.1:", port), "address already in use", "leave port out"}},
		{"somebody else's proxy of the same name", t.Context(), func(s *Sandbox) { s.Toxiproxy = connection },
			[]string{`proxy "payments"`, taken.Addr().String(), "prefix"}},
		{"a toxiproxy that is not open", t.Context(), func(s *Sandbox) { s.Toxiproxy = shut }, []string{`proxy "catalogue"`, "not open"}},
		{"a run that has ended", ended, func(*Sandbox) {}, []string{"canceled"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			s := New()
			test.change(s)
			err := s.Open(test.ctx)
			if err == nil {
				t.Fatal("opened")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error %q does not say %q", err, want)
				}
			}
			if got := s.Export("url"); got != "" {
				t.Errorf("url = %q of a shop that did not open", got)
			}
			goleak.VerifyNone(t, before)
		})
	}
	proxies, err := other.Proxies()
	if err != nil {
		t.Fatal(err)
	}
	if len(proxies) != 1 || proxies["payments"] == nil || proxies["payments"].Upstream != taken.Addr().String() {
		t.Errorf("somebody else's proxies became %v", proxies)
	}
}

func TestManyUseOneSandboxAtOnce(t *testing.T) {
	s := open(t, func(s *Sandbox) { s.Rate = 50; s.Fallback = true; s.MaxInFlight = 1000 })
	var users sync.WaitGroup
	for n := range 8 {
		users.Go(func() {
			for range 10 {
				route, method := []string{"/", "/products", "/checkout"}[n%3], []string{"GET", "GET", "POST"}[n%3]
				if got, err := request(t.Context(), method, s.Export("url")+route, "", nil); err != nil || got.code != http.StatusOK {
					t.Errorf("%s %s = %d %s, %v", method, route, got.code, got.body, err)
				}
				if !strings.Contains(s.Describe(), s.Export("url")) {
					t.Error("the description does not name the front door")
				}
			}
		})
	}
	users.Wait()
	var closers sync.WaitGroup
	for range 3 {
		closers.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	closers.Wait()
}

func TestExportsAreKnownWhileItIsOpen(t *testing.T) {
	var exporter experiments.Exporter = New()
	names := exporter.Exports()
	want := []string{"url", "checkout_url", "metrics_url", "catalogue_url", "payments_url", "catalogue_proxy", "payments_proxy", "toxiproxy_url"}
	if !slices.Equal(names, want) {
		t.Errorf("exports = %v; want %v", names, want)
	}
	s := open(t, nil)
	seen := map[string]string{}
	for _, name := range names {
		if got := exporter.Export(name); got != "" {
			t.Errorf("%s = %q before it was opened", name, got)
		}
		value := s.Export(name)
		if value == "" || seen[value] != "" {
			t.Errorf("%s = %q, as is %s", name, value, seen[value])
		}
		seen[value] = name
	}
	if got := s.Export("basket_url"); got != "" {
		t.Errorf("an export that is not there = %q", got)
	}
}

func TestDescribeTellsWhatListensWhereAndWhatToTry(t *testing.T) {
	s := open(t, func(s *Sandbox) { s.Rate = 2.5; s.Checkouts = 0.125 })
	text := s.Describe()
	for _, want := range []string{
		"front door  " + s.Export("url"), s.Export("catalogue_url"), s.Export("payments_url"), s.Export("toxiproxy_url"),
		`"payments" on http://` + toxics(t, s, "payments_proxy").Listen, "2.5 requests/s, 12.5% of them checkouts",
		"curl -X POST " + s.Export("checkout_url"), "curl -s " + s.Export("metrics_url"),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the description does not say %q:\n%s", want, text)
		}
	}
	if got := New().Describe(); got != "The sandbox is closed.\n" {
		t.Errorf("a closed sandbox is described as %q", got)
	}
}

func TestTheDefaultsOfTheLanguageAreThoseOfNew(t *testing.T) {
	fields := reflect.TypeFor[Sandbox]()
	values := reflect.ValueOf(New()).Elem()
	for i := range fields.NumField() {
		field := fields.Field(i)
		if !field.IsExported() {
			continue
		}
		if field.Tag.Get("doc") == "" || !strings.HasSuffix(field.Tag.Get("hcl"), ",optional") {
			t.Errorf("%s has the tags %s", field.Name, field.Tag)
		}
		var got string
		switch value := values.Field(i).Interface().(type) {
		case time.Duration:
			got = experiments.FormatDuration(value)
		case string, int, bool, float64, experiments.Percent:
			got = fmt.Sprint(value)
		default:
			continue
		}
		if want := field.Tag.Get("default"); got != want {
			t.Errorf("%s is %s in New and %s in its tag", field.Name, got, want)
		}
	}
	kind, found := experiments.Find(Connections(), "sandbox")
	if !found {
		t.Fatal("sandbox is not in the table of connections")
	}
	if made, ok := kind.New().(*Sandbox); !ok || len(made.Validate()) != 0 {
		t.Errorf("the kind makes %T with problems %v", made, made.Validate())
	}
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Sandbox)
		want   []string // the attributes
	}{
		{"a negative port", func(s *Sandbox) { s.Port = -1 }, []string{"port"}},
		{"a port beyond the last", func(s *Sandbox) { s.Port = 65536 }, []string{"port"}},
		{"a negative rate", func(s *Sandbox) { s.Rate = -1 }, []string{"rate"}},
		{"a rate no sandbox can send", func(s *Sandbox) { s.Rate = 1e6 }, []string{"rate"}},
		{"a rate of one request in years", func(s *Sandbox) { s.Rate = 1e-9 }, []string{"rate"}},
		{"a rate that is no number", func(s *Sandbox) { s.Rate = math.NaN() }, []string{"rate"}},
		{"more checkouts than requests", func(s *Sandbox) { s.Checkouts = 1.1 }, []string{"checkouts"}},
		{"no timeout", func(s *Sandbox) { s.Timeout = 0 }, []string{"timeout"}},
		{"no deadline", func(s *Sandbox) { s.Deadline = 0 }, []string{"deadline"}},
		{"an attempt longer than the whole", func(s *Sandbox) { s.Timeout = 2 * time.Second }, []string{"timeout"}},
		{"a deadline nobody waits for", func(s *Sandbox) { s.Deadline = time.Minute }, []string{"deadline"}},
		{"negative retries", func(s *Sandbox) { s.Retries = -1 }, []string{"retries"}},
		{"endless retries", func(s *Sandbox) { s.Retries = 1000 }, []string{"retries"}},
		{"no room", func(s *Sandbox) { s.MaxInFlight = 0 }, []string{"max_in_flight"}},
		{"a negative error rate", func(s *Sandbox) { s.ErrorRate = -0.1 }, []string{"error_rate"}},
		{"a prefix that is no part of a URL", func(s *Sandbox) { s.Prefix = "a/b" }, []string{"prefix"}},
		{"a negative seed", func(s *Sandbox) { s.Seed = -1 }, []string{"seed"}},
		{"all at once", func(s *Sandbox) { s.Port, s.Retries, s.Seed = -1, -1, -1 }, []string{"port", "retries", "seed"}},
		{"no load is fine", func(s *Sandbox) { s.Rate = 0 }, nil},
		{"no retry is fine", func(s *Sandbox) { s.Retries = 0 }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := New()
			test.change(s)
			var got []string
			for _, problem := range s.Validate() {
				got = append(got, problem.Attribute)
				if problem.Summary == "" || problem.Detail == "" {
					t.Errorf("a problem says too little: %+v", problem)
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("problems with %v; want %v", got, test.want)
			}
		})
	}
}
