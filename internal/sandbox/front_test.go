package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"
)

func TestTheShopAnswers(t *testing.T) {
	s := open(t, nil)
	front, direct := s.Export("url"), s.Export("payments_url")
	for _, test := range []struct {
		name, method, url, body string
		header                  http.Header
		code                    int
		want                    string // in the body
	}{
		{"the front page has an offer", "GET", front + "/", "", nil, 200, `"offer":{"name":"tea","cents":450}`},
		{"the list comes from the catalogue", "GET", front + "/products", "", nil, 200, `{"name":"kettle","cents":4900}`},
		{"the front door is healthy", "GET", front + "/healthz", "", nil, 200, `"ok"`},
		{"a checkout without a body buys a tea", "POST", s.Export("checkout_url"), "", nil, 200, `"product":"tea","quantity":1`},
		{"a checkout buys what is asked for", "POST", s.Export("checkout_url"), `{"product":"cup","quantity":6}`, nil, 200, `"product":"cup","quantity":6`},
		{"an order that is no JSON is the customer's mistake", "POST", s.Export("checkout_url"), "six cups", nil, 400, "cannot be read"},
		{"an order of nothing is too", "POST", s.Export("checkout_url"), `{"quantity":0}`, nil, 400, "at least 1"},
		{"a huge order is too", "POST", s.Export("checkout_url"), `{"product":"` + strings.Repeat("x", largestBody) + `"}`, nil, 400, "too large"},
		{"checking out is a POST", "GET", s.Export("checkout_url"), "", nil, 405, ""},
		{"other pages are not there", "GET", front + "/basket", "", nil, 404, ""},
		{"the catalogue is reachable directly", "GET", s.Export("catalogue_url") + "/products", "", nil, 200, `"teapot"`},
		{"and so is the payment provider", "POST", direct + "/charge", "", http.Header{"Idempotency-Key": {"k"}}, 200, `"receipt"`},
		{"which charges nobody without a key", "POST", direct + "/charge", "", nil, 400, "Idempotency-Key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ask(t, test.method, test.url, test.body, test.header)
			if got.code != test.code || !strings.Contains(got.body, test.want) {
				t.Errorf("%s %s = %d %s; want %d with %s", test.method, test.url, got.code, got.body, test.code, test.want)
			}
		})
	}
}

func TestOneKeyIsChargedOnce(t *testing.T) {
	s := open(t, nil)
	buy := func(key string) string {
		var bought struct{ Order, Receipt string }
		got := ask(t, "POST", s.Export("checkout_url"), "", http.Header{"Idempotency-Key": {key}})
		if err := json.Unmarshal([]byte(got.body), &bought); err != nil || bought.Order != key || bought.Receipt == "" {
			t.Fatalf("checkout with key %s = %s (%v)", key, got.body, err)
		}
		return bought.Receipt
	}
	if first, again := buy("a"), buy("a"); first != again {
		t.Errorf("one key got the receipts %s and %s", first, again)
	}
	if first, other := buy("a"), buy("b"); first == other {
		t.Errorf("two keys got the receipt %s", first)
	}
}

func TestTheShareOfRefusedPaymentsIsTheErrorRate(t *testing.T) {
	s := open(t, func(s *Sandbox) { s.ErrorRate = 0.5; s.Retries = 1 })
	const many = 100
	refused := 0
	for n := range many {
		key := http.Header{"Idempotency-Key": {fmt.Sprint("order-", n)}}
		first := ask(t, "POST", s.Export("checkout_url"), "", key)
		if again := ask(t, "POST", s.Export("checkout_url"), "", key); again.code != first.code {
			t.Fatalf("order %d was answered %d, and then %d", n, first.code, again.code)
		}
		switch first.code {
		case http.StatusBadGateway:
			refused++
		case http.StatusOK:
		default:
			t.Fatalf("order %d was answered %d %s", n, first.code, first.body)
		}
	}
	// The seed is fixed, and so is the count; the bounds are five standard deviations.
	if refused < 25 || refused > 75 {
		t.Errorf("%d of %d payments were refused at an error rate of 50%%", refused, many)
	}
	// Each order was sent twice, and each refusal tried once more.
	if got := sum(t, s, "retries_total", "upstream", payments); got != float64(2*refused) {
		t.Errorf("%v retries were counted for %d refusals; want twice as many", got, refused)
	}
}

func TestLatePaymentsAreSurvivedAndSeen(t *testing.T) {
	s := open(t, nil)
	late(t, toxics(t, s, "payments_proxy"), 300*time.Millisecond)
	if got := ask(t, "POST", s.Export("checkout_url"), "", nil); got.code != http.StatusOK {
		t.Fatalf("a checkout with late payments = %d %s", got.code, got.body)
	}
	if got := ask(t, "GET", s.Export("url")+"/products", "", nil); got.code != http.StatusOK {
		t.Errorf("the catalogue suffers with payments: %d %s", got.code, got.body)
	}
	scraped := scrape(t, s, textFormat)
	waited := find(t, scraped, "http_request_duration_seconds", "service", frontDoor, "route", "/checkout").GetHistogram()
	if waited.GetSampleCount() != 1 || waited.GetSampleSum() < 0.3 {
		t.Errorf("%d checkouts took %v s; want one of at least 0.3 s", waited.GetSampleCount(), waited.GetSampleSum())
	}
	// A loopback network does not make the provider itself slow.
	itself := find(t, scraped, "http_request_duration_seconds", "service", payments).GetHistogram()
	if itself.GetSampleCount() != 1 || itself.GetSampleSum() >= waited.GetSampleSum() {
		t.Errorf("payments took %v s itself, the front door %v s", itself.GetSampleSum(), waited.GetSampleSum())
	}
}

func TestPaymentsLaterThanTheDeadlineFail(t *testing.T) {
	s := open(t, func(s *Sandbox) { defaults := New(); s.Timeout, s.Deadline = defaults.Timeout, defaults.Deadline })
	late(t, toxics(t, s, "payments_proxy"), 1200*time.Millisecond)
	got := ask(t, "POST", s.Export("checkout_url"), "", nil)
	if got.code != http.StatusGatewayTimeout || !strings.Contains(got.body, "payments: no answer in time") {
		t.Errorf("a checkout with payments 1.2 s late = %d %s", got.code, got.body)
	}
	if failed := sum(t, s, "http_requests_total", "service", frontDoor, "route", "/checkout", "code", "504"); failed != 1 {
		t.Errorf("%v failed checkouts were counted; want 1", failed)
	}
	if retried := sum(t, s, "retries_total", "upstream", payments); retried < 1 {
		t.Error("no retry was counted")
	}
}

func TestACatalogueThatIsGone(t *testing.T) {
	for _, test := range []struct {
		name     string
		fallback bool
		warm     bool
		code     int
		cached   float64
		retries  float64
	}{
		{"is an error without a fallback", false, true, http.StatusBadGateway, 0, 2},
		{"is an error before there is anything to fall back on", true, false, http.StatusBadGateway, 0, 2},
		{"is covered by the last good answer at once", true, true, http.StatusOK, 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, func(s *Sandbox) { s.Fallback = test.fallback })
			list := s.Export("url") + "/products"
			var before reply
			if test.warm {
				before = ask(t, "GET", list, "", nil)
			}
			proxy := toxics(t, s, "catalogue_proxy")
			if err := proxy.Disable(); err != nil {
				t.Fatal(err)
			}
			got := ask(t, "GET", list, "", nil)
			if got.code != test.code {
				t.Errorf("GET /products = %d %s; want %d", got.code, got.body, test.code)
			}
			if fromCache := got.header.Get("X-Served-From") == "cache"; fromCache != (test.cached > 0) || fromCache && got.body != before.body {
				t.Errorf("from the cache: %t, with %s", fromCache, got.body)
			}
			if counted := sum(t, s, "fallbacks_total", "upstream", catalogue); counted != test.cached {
				t.Errorf("%v fallbacks were counted; want %v", counted, test.cached)
			}
			if counted := sum(t, s, "retries_total", "upstream", catalogue); counted != test.retries {
				t.Errorf("%v retries were counted; want %v", counted, test.retries)
			}
			if got := ask(t, "POST", s.Export("checkout_url"), "", nil); got.code != http.StatusOK {
				t.Errorf("checkouts suffer with the catalogue: %d %s", got.code, got.body)
			}
			if err := proxy.Enable(); err != nil {
				t.Fatal(err)
			}
			if got := ask(t, "GET", list, "", nil); got.code != http.StatusOK || got.header.Get("X-Served-From") != "" {
				t.Errorf("mended, GET /products = %d from %q", got.code, got.header.Get("X-Served-From"))
			}
		})
	}
}

func TestTooManyInFlightAreTurnedAway(t *testing.T) {
	s := open(t, func(s *Sandbox) { s.MaxInFlight = 2 })
	proxy := toxics(t, s, "payments_proxy")
	// Without a timeout this toxic holds every answer back.
	if _, err := proxy.AddToxic("stop", "timeout", "downstream", 1, client.Attributes{"timeout": 0}); err != nil {
		t.Fatal(err)
	}
	var held sync.WaitGroup
	ended := make(chan struct{})
	for range 2 {
		held.Go(func() {
			// The requests below may have the place for a moment.
			got := reply{code: http.StatusServiceUnavailable}
			for err := error(nil); err == nil && got.code == http.StatusServiceUnavailable; {
				if got, err = request(t.Context(), "POST", s.Export("checkout_url"), "", nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { held.Wait(); close(ended) }()
	var got reply
	for got.code != http.StatusServiceUnavailable {
		select {
		case <-ended:
			t.Fatal("two checkouts held all places, and nobody was turned away")
		default:
			got = ask(t, "GET", s.Export("url")+"/", "", nil)
		}
	}
	if got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "2 requests are in flight") {
		t.Errorf("turned away with %q and Retry-After %q", got.body, got.header.Get("Retry-After"))
	}
	families := scrape(t, s, textFormat)
	used := find(t, families, "http_request_slots_in_use", "service", "front-door").GetGauge().GetValue()
	if size := find(t, families, "http_request_slots", "service", "front-door").GetGauge().GetValue(); used != 2 || size != 2 {
		t.Errorf("a full front door says that %v of %v slots are in use", used, size)
	}
	if got := ask(t, "GET", s.Export("url")+"/healthz", "", nil); got.code != http.StatusOK {
		t.Errorf("a full front door is not healthy: %d", got.code)
	}
	if got := sum(t, s, "http_requests_in_flight", "service", frontDoor); got < 2 {
		t.Errorf("%v requests in flight were counted; want at least 2", got)
	}
	<-ended
	if got := ask(t, "GET", s.Export("url")+"/", "", nil); got.code != http.StatusOK {
		t.Errorf("with all places free again the front door answers %d", got.code)
	}
}

func TestCustomersOverloadAShopThatIsSlow(t *testing.T) {
	// Ten places and answers that take 0.4 s serve 25 requests a second of 100.
	s := open(t, func(s *Sandbox) { s.Rate = 100; s.Checkouts = 1; s.MaxInFlight = 10 })
	eventually(t, "customers are served", func() bool {
		return sum(t, s, "client_requests_total", "route", "/checkout", "code", "200") > 20
	})
	late(t, toxics(t, s, "payments_proxy"), 400*time.Millisecond)
	eventually(t, "customers are turned away", func() bool {
		return sum(t, s, "client_requests_total", "route", "/checkout", "code", "503") > 20
	})
	if err := toxics(t, s, "payments_proxy").RemoveToxic("late"); err != nil {
		t.Fatal(err)
	}
	served := sum(t, s, "client_requests_total", "code", "200")
	eventually(t, "customers are served again", func() bool {
		return sum(t, s, "client_requests_total", "code", "200") > served+50
	})
	if browsed := sum(t, s, "client_requests_total", "route", "/"); browsed != 0 {
		t.Errorf("%v customers browsed although all check out", browsed)
	}
}

func TestACustomerWhoHangsUpIsNoFailureOfTheShop(t *testing.T) {
	s := open(t, nil)
	if _, err := toxics(t, s, "payments_proxy").AddToxic("stop", "timeout", "downstream", 1, client.Attributes{"timeout": 0}); err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	var customer sync.WaitGroup
	customer.Go(func() {
		if got, err := request(ctx, "POST", s.Export("checkout_url"), "", nil); err == nil {
			t.Errorf("a customer who hung up was answered %d", got.code)
		}
	})
	eventually(t, "the checkout has reached payments", func() bool {
		return sum(t, s, "http_requests_total", "service", payments, "code", "200") == 1
	})
	hangUp()
	customer.Wait()
	eventually(t, "the front door counts the customer who left", func() bool {
		return len(matching(scrape(t, s, textFormat), "http_requests_total", "service", frontDoor, "code", "499")) == 1
	})
	for _, code := range []string{"502", "503", "504"} {
		if got := sum(t, s, "http_requests_total", "service", frontDoor, "code", code); got != 0 {
			t.Errorf("%v answers %s were counted", got, code)
		}
	}
}

func TestAServiceThatIsNotReachableThroughItsProxyIsAnError(t *testing.T) {
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	for _, test := range []struct{ name, address, want string }{
		{"nobody listens", "127.0.0.1:1", "connection refused"},
		{"something else answers", strings.TrimPrefix(broken.URL, "http://"), "404 Not Found"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inside := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			err := reach(t.Context(), inside, proxy{"payments", test.address})
			for _, want := range []string{test.want, `proxy "payments"`, test.address, "must run on this machine"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("reach failed with %v; want %q", err, want)
				}
			}
		})
	}
}
