// Package sandbox is a small real shop inside the process, for scenarios and
// people that have no system of their own to break yet.
//
// # The shop
//
// Three HTTP services listen on loopback, and two toxiproxy proxies stand where a
// network would be:
//
//	load ---> front door ---> proxy "catalogue" ---> catalogue
//	                     \--> proxy "payments"  ---> payments
//
// A scenario starts it with a block, and finds it by its exports ([Sandbox.Exports]):
//
//	sandbox "shop" {}
//
//	probe "http" "front_door" {
//	  url = sandbox.shop.url
//	}
//
//	scenario "slow-payments" {
//	  fault "toxiproxy_latency" "late-payments" {
//	    proxy   = sandbox.shop.payments_proxy
//	    latency = "300ms"
//	  }
//	}
//
// Nothing in it pretends to fail, unless error_rate asks for it. Faults put toxics
// on the two proxies, and the front door lives with what then happens: it gives
// each attempt a timeout, tries again after a random pause, keeps to a deadline,
// may answer from a cache, and turns requests away when too many are in flight.
// With the defaults a provider that is 300 ms late is survived, slowly; one that
// is 1.2 s late is not.
//
// On a toxiproxy-server the two proxies have claims beside them, by which the next
// sandbox tells those that a killed one has left, and takes them away.
//
// The load is open-loop: requests start on schedule whatever became of the
// earlier ones, as those of real customers do. A closed loop would slow down
// together with the shop and hide the failure.
//
// # A visit
//
// Beside what the load asks for, the front door has what a user journey needs: a login
// page with a form that a cookie and a hidden field protect (GET and POST /login, user
// ada, password tea-for-two), a session, a token for it (/token), a dashboard that wants
// one of the two and to which /account leads, a search (/search?q=tea&max_cents=1000), a
// cart (POST and GET /cart), a payment for it (POST /cart/payment), and /checkout, which
// orders what is in the cart. The shop keeps none of that: the cookies hold it, signed.
//
// # Metrics
//
// The front door serves /metrics for all three services, told apart by the label
// service: front-door, catalogue or payments. Labels job and instance come from
// whoever scrapes.
//
//	http_requests_total{service,route,code}         requests answered, for ratio SLIs
//	http_request_duration_seconds{service,route}    seconds until the answer, for latency SLIs:
//	                                                classic buckets and a native histogram in one
//	http_requests_in_flight{service}                being answered now
//	http_request_slots_in_use{service}              being worked on by the front door now, and how many
//	http_request_slots{service}                     may be at once: together its saturation
//	retries_total{service,upstream}                 second and later attempts: trouble that
//	                                                customers do not see yet
//	fallbacks_total{service,upstream}               answers from a cache
//	client_requests_total{route,code}               what the load saw; code is "none" without
//	                                                an answer, which no server can count
//	client_request_duration_seconds{route}          seconds from the scheduled start, so that
//	                                                waiting counts (no coordinated omission)
//	client_requests_unsent_total{route}             not started, too many were waiting already
//
// An SLO of the customers' view names the front door, for each of the services
// counts requests of its own:
//
//	sum(rate(http_requests_total{service="front-door",route="/checkout",code=~"5.."}[1m]))
//
// All series exist from the start at zero: a series that is born with its first
// error has no rate until the second. Requests for /healthz and /metrics are not
// counted, as they would dilute the ratios.
//
// # Files
//
// sandbox.go has the connection of the language, shop.go puts a running shop
// together and takes it apart, server.go is what its services have in common,
// front.go the front door, visit.go what its customers do with an account and a cart,
// upstream.go the two services behind it, call.go the
// client between them, load.go the customers, metrics.go what is counted.
package sandbox

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/toxiproxy"
)

// openWithin bounds the start.
const openWithin = 10 * time.Second

// Connections lists the connection that this package adds to the language.
func Connections() []experiments.Kind[experiments.Connection] {
	return []experiments.Kind[experiments.Connection]{
		{Name: "sandbox", Summary: "A small shop to break, with customers", New: func() experiments.Connection { return New() }},
	}
}

// Sandbox is the shop as a connection of the language. Between Open and Close its
// exports say where it listens; its fields must not change meanwhile.
type Sandbox struct {
	Toxiproxy   *toxiproxy.Toxiproxy `hcl:"toxiproxy,optional" doc:"Where its two proxies are made; left out, the built-in toxiproxy."`
	Port        int                  `hcl:"port,optional" default:"0" doc:"Port of the front door and its /metrics on 127.0.0.1; 0 takes a free one."`
	Rate        float64              `hcl:"rate,optional" default:"100" unit:"requests/s" doc:"How many requests customers start each second, whatever the answers; 0 sends none."`
	Checkouts   experiments.Percent  `hcl:"checkouts,optional" default:"30%" doc:"Share of the requests that check out; the others browse."`
	Timeout     time.Duration        `hcl:"timeout,optional" default:"500ms" doc:"How long the front door waits for one attempt to call catalogue or payments."`
	Retries     int                  `hcl:"retries,optional" default:"2" doc:"How often the front door tries again after an attempt failed."`
	Deadline    time.Duration        `hcl:"deadline,optional" default:"1s" doc:"How long the front door works on one request, all attempts included."`
	Fallback    bool                 `hcl:"fallback,optional" default:"false" doc:"Whether the front door answers from its last good copy when the catalogue fails."`
	MaxInFlight int                  `hcl:"max_in_flight,optional" default:"64" unit:"requests" doc:"How many requests the front door works on at once; it answers others with 503."`
	ErrorRate   experiments.Percent  `hcl:"error_rate,optional" default:"0%" doc:"Share of payments that the provider fails, however often they are tried: a shop that is ill from the start."`
	Prefix      string               `hcl:"prefix,optional" example:"blue-" doc:"What the names of its two proxies begin with, for a second shop on one toxiproxy."`
	Seed        int                  `hcl:"seed,optional" default:"1" doc:"Decides who checks out, whose payment is refused and how long retries pause."`

	mu   sync.Mutex
	shop *shop
}

// New returns a sandbox with the defaults of the language.
func New() *Sandbox {
	return &Sandbox{
		Rate: 100, Checkouts: 0.3, Timeout: 500 * time.Millisecond, Retries: 2,
		Deadline: time.Second, MaxInFlight: 64, Seed: 1,
	}
}

// Validate implements experiments.Validator.
func (s *Sandbox) Validate() []experiments.Problem {
	var problems []experiments.Problem
	refuse := func(bad bool, attribute, summary, detail string) {
		if bad {
			problems = append(problems, experiments.Problem{Attribute: attribute, Summary: summary, Detail: detail})
		}
	}
	refuse(s.Port < 0 || s.Port > 65535, "port", "Not a port",
		"Write a number from 1 to 65535, or leave it out to get a free one.")
	refuse(s.Rate != 0 && !(s.Rate >= 0.001 && s.Rate <= 10_000), "rate", "Rate out of range",
		"Write requests a second from 0.001 to 10000, or 0 for no load.")
	refuse(!(s.Checkouts >= 0 && s.Checkouts <= 1), "checkouts", "Share out of range", `Write a share from "0%" to "100%".`)
	refuse(s.Timeout <= 0, "timeout", "No time to answer", `Write a positive duration, such as "500ms".`)
	refuse(s.Deadline <= 0, "deadline", "No time to answer", `Write a positive duration, such as "1s".`)
	refuse(s.Deadline > 0 && s.Timeout > s.Deadline, "timeout", "Timeout beyond the deadline",
		fmt.Sprintf("One attempt may not take longer (%s) than the whole request (%s): lower timeout or raise deadline.",
			experiments.FormatDuration(s.Timeout), experiments.FormatDuration(s.Deadline)))
	refuse(s.Deadline >= patience, "deadline", "Deadline beyond the customers' patience",
		fmt.Sprintf("Customers give up after %s, so the shop must answer sooner.", experiments.FormatDuration(patience)))
	refuse(s.Retries < 0 || s.Retries > 10, "retries", "Retries out of range", "Write a number from 0 (try once) to 10.")
	refuse(s.MaxInFlight < 1, "max_in_flight", "No room for a request", "Write at least 1.")
	refuse(!(s.ErrorRate >= 0 && s.ErrorRate <= 1), "error_rate", "Share out of range", `Write a share from "0%" to "100%".`)
	refuse(strings.ContainsAny(s.Prefix, "/?#% \t\n"), "prefix", "Not a proxy name",
		"Names of proxies are part of URLs: use letters, digits, dots, underscores and dashes.")
	refuse(s.Seed < 0, "seed", "Negative seed", "Write 0 or more.")
	return problems
}

// exports tells how to find each export in a running shop.
var exports = [...]struct {
	name string
	find func(*shop) string
}{
	{"url", func(s *shop) string { return s.front.url() }},
	{"checkout_url", func(s *shop) string { return s.front.url() + "/checkout" }},
	{"metrics_url", func(s *shop) string { return s.front.url() + "/metrics" }},
	{"catalogue_url", func(s *shop) string { return s.catalogue.url() }},
	{"payments_url", func(s *shop) string { return s.payments.url() }},
	{"catalogue_proxy", func(s *shop) string { return s.catalogueProxy.name }},
	{"payments_proxy", func(s *shop) string { return s.paymentsProxy.name }},
	{"toxiproxy_url", func(s *shop) string { return s.toxiproxy.Address() }},
}

// Open starts the shop, and after that its customers. An open Toxiproxy is used;
// without one the sandbox starts one of its own. Opening an open sandbox changes
// nothing.
func (s *Sandbox) Open(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shop != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	opened, err := openShop(ctx, s)
	if err != nil {
		return err
	}
	s.shop = opened
	return nil
}

// Close stops the customers, lets their last requests finish, stops the services
// and deletes the proxies. It returns when nothing of the shop is left.
func (s *Sandbox) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shop == nil {
		return nil
	}
	closing := s.shop
	s.shop = nil
	return closing.close()
}

// Exports implements experiments.Exporter.
func (s *Sandbox) Exports() []string {
	names := make([]string, len(exports))
	for i, export := range exports {
		names[i] = export.name
	}
	return names
}

// Export implements experiments.Exporter. It is empty while the shop is closed,
// and for a name that is not exported.
func (s *Sandbox) Export(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, export := range exports {
		if s.shop != nil && export.name == name {
			return export.find(s.shop)
		}
	}
	return ""
}

// Describe tells a person what listens where, and what to try.
func (s *Sandbox) Describe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.shop
	if o == nil {
		return "The sandbox is closed.\n"
	}
	var text strings.Builder
	// A strings.Builder cannot fail.
	say := func(format string, values ...any) { fmt.Fprintf(&text, format+"\n", values...) }
	front := o.front.url()
	say("front door  %s", front)
	say("catalogue   %s  behind proxy %q on http://%s", o.catalogue.url(), o.catalogueProxy.name, o.catalogueProxy.address)
	say("payments    %s  behind proxy %q on http://%s", o.payments.url(), o.paymentsProxy.name, o.paymentsProxy.address)
	if s.Rate > 0 {
		say("load        %s requests/s, %s of them checkouts", strconv.FormatFloat(s.Rate, 'f', -1, 64), s.Checkouts)
	} else {
		say("load        none")
	}
	say("toxiproxy   %s", o.toxiproxy.Address())
	say("metrics     %s/metrics", front)
	say("")
	say("The share of checkouts that fail, in PromQL:")
	say("  sum(rate(http_requests_total{service=%q,route=\"/checkout\",code=~\"5..\"}[1m]))", frontDoor)
	say("  / sum(rate(http_requests_total{service=%q,route=\"/checkout\"}[1m]))", frontDoor)
	say("")
	say("Try:")
	say("  curl %s/", front)
	say("  curl %s/products", front)
	say("  curl -X POST %s/checkout", front)
	say("  curl '%s/search?q=tea&max_cents=1000'", front)
	say("  curl -s %s/metrics | grep ^client_requests_total", front)
	say("  curl %s/proxies/%s/toxics -d '{\"name\":\"late\",\"type\":\"latency\",\"attributes\":{\"latency\":300}}'",
		o.toxiproxy.Address(), o.paymentsProxy.name)
	say("  curl -X DELETE %s/proxies/%s/toxics/late", o.toxiproxy.Address(), o.paymentsProxy.name)
	return text.String()
}
