package toxiproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
)

// Toxic is what all kinds have in common that put a toxic on a proxy.
type Toxic struct {
	Targets
	Stream   string              `hcl:"stream,optional" default:"downstream" enum:"downstream|upstream" doc:"Direction that is hit: downstream is what the client gets, upstream what it sends."`
	Toxicity experiments.Percent `hcl:"toxicity,optional" default:"100%" doc:"Share of the connections that are hit, drawn for each by the server."`
	Undo     string              `hcl:"undo,optional" default:"remove" enum:"remove|replace" doc:"How the toxic is taken off: remove keeps open connections; replace makes the proxy anew, which cuts them. Choose replace where large answers go to clients that hang up early: toxiproxy may get stuck there."`
}

// Lasts is true: a toxic stays until it is taken off.
func (*Toxic) Lasts() bool { return true }

// Validate checks what all toxics have in common.
func (t *Toxic) Validate() []experiments.Problem {
	problems := t.Targets.Validate()
	if t.Toxicity <= 0 || t.Toxicity > 1 {
		problems = append(problems, experiments.Problem{Attribute: "toxicity", Summary: "Toxicity out of range", Detail: "Write the share of connections to hit, above 0% and up to 100%."})
	}
	return problems
}

// spec is the part of a hit that only this package reads.
type spec struct {
	URL     string        `json:"url"`
	Timeout time.Duration `json:"timeout_ns"`
	// Instance and PID name a built-in server and the process it lives in.
	Instance string `json:"instance,omitempty"`
	PID      int    `json:"pid,omitempty"`
	// Proxy is the target as the plan saw it, with the toxics that were on it.
	Proxy client.Proxy `json:"proxy"`
	// Mark is the name of the toxic, and with the proxy's name after it that of the
	// stand-in (see replace.go) or the marker (see toxiproxy_down.go).
	Mark  string        `json:"mark"`
	Toxic *client.Toxic `json:"toxic,omitempty"`
	// Attributes are those of Toxic, in the order and with the units to show them in.
	Attributes []attribute `json:"attributes,omitempty"`
	Replace    bool        `json:"replace,omitempty"`
}

func (s spec) api() *api { return newAPI(s.URL, s.Timeout, s.Instance) }

// aside is the name of the second proxy that a hit may leave in the server.
func (s spec) aside() string { return s.Mark + "." + s.Proxy.Name }

func readSpec(h experiments.Hit) (spec, *api, error) {
	var s spec
	if err := json.Unmarshal(h.Spec, &s); err != nil {
		return spec{}, nil, fmt.Errorf("the record of hit %s cannot be read: %w", h.ID, err)
	}
	if s.URL == "" || s.Proxy.Name == "" || s.Mark == "" || s.Timeout <= 0 {
		return spec{}, nil, fmt.Errorf("the record of hit %s names no toxiproxy, proxy or toxic", h.ID)
	}
	return s, s.api(), nil
}

// hits plans one hit a proxy; describe fills in what is the kind's own.
func (t Targets) hits(ctx context.Context, d experiments.Draw, describe func(*experiments.Hit, *spec)) ([]experiments.Hit, error) {
	api, err := t.Toxiproxy.handle()
	if err != nil {
		return nil, err
	}
	proxies, err := t.resolve(ctx, api, d)
	if err != nil {
		return nil, err
	}
	hits := make([]experiments.Hit, 0, len(proxies))
	for _, proxy := range proxies {
		s := spec{URL: api.url, Timeout: api.timeout, Instance: api.instance, Proxy: proxy, Mark: mark(d)}
		if s.Instance != "" {
			s.PID = os.Getpid()
		}
		hit := experiments.Hit{
			Target: "proxy " + proxy.Name,
			Holds:  fmt.Sprintf("toxiproxy %s %s", address(api.url), proxy.Name),
			Fuse:   experiments.WatchdogFuse,
		}
		describe(&hit, &s)
		if hit.Pin, err = s.pin(); err != nil {
			return nil, fmt.Errorf("planning %s: %w", hit.Target, err)
		}
		if hit.Spec, err = json.Marshal(s); err != nil {
			return nil, fmt.Errorf("planning %s: %w", hit.Target, err)
		}
		hits = append(hits, hit)
	}
	return hits, nil
}

// pin is what must be the same when a plan is carried out later. The addresses of
// a built-in server are others in each run, and so is the name of the toxic.
func (s spec) pin() (map[string]string, error) {
	pin := map[string]string{"enabled": fmt.Sprint(s.Proxy.Enabled), "replaced": fmt.Sprint(s.Replace)}
	if s.Instance == "" {
		pin["server"], pin["listen"], pin["upstream"] = s.URL, s.Proxy.Listen, s.Proxy.Upstream
	}
	for _, of := range []struct {
		what  string
		value any
	}{{"toxics on it", s.Proxy.ActiveToxics}, {"toxic", s.unnamed()}} {
		text, err := json.Marshal(of.value)
		if err != nil {
			return nil, err
		}
		pin[of.what] = string(text)
	}
	return pin, nil
}

// unnamed is the toxic without its name; nil if the kind has none.
func (s spec) unnamed() *client.Toxic {
	if s.Toxic == nil {
		return nil
	}
	toxic := *s.Toxic
	toxic.Name = ""
	return &toxic
}

// plan plans a toxic of the given type on each target. Effect says to a person what it
// does to all connections.
func (t *Toxic) plan(ctx context.Context, d experiments.Draw, kind, effect string, attributes ...attribute) ([]experiments.Hit, error) {
	wire := make(client.Attributes, len(attributes))
	for _, a := range attributes {
		wire[a.Name] = a.Value // a float64, as it comes back from JSON
	}
	return t.hits(ctx, d, func(hit *experiments.Hit, s *spec) {
		s.Toxic = &client.Toxic{Name: s.Mark, Type: kind, Stream: t.stream(), Toxicity: float32(t.Toxicity), Attributes: wire}
		s.Replace = t.Undo == "replace" || mustReplace(*s.Toxic)
		s.Attributes = attributes
		hit.Effect = effect + share(s.Toxic.Toxicity)
		hit.Undo = "remove toxic " + s.Mark
		if s.Replace {
			hit.Undo = fmt.Sprintf("make the proxy anew without toxic %s, which cuts its connections", s.Mark)
		}
	})
}

// unmoved reads the target and checks that it is as it was planned.
func (s spec) unmoved(ctx context.Context, api *api) error {
	now, err := api.proxy(ctx, s.Proxy.Name)
	if notFound(err) {
		return fmt.Errorf("proxy %s moved since the plan: it is gone", s.Proxy.Name)
	}
	if err != nil {
		return err
	}
	if change := s.change(now); change != "" {
		return fmt.Errorf("proxy %s moved since the plan: %s; plan again", s.Proxy.Name, change)
	}
	return nil
}

// change says how a proxy differs from the plan; empty if it does not.
func (s spec) change(now client.Proxy) string {
	switch {
	case now.Listen != s.Proxy.Listen:
		return fmt.Sprintf("it listens on %s, not %s", now.Listen, s.Proxy.Listen)
	case now.Upstream != s.Proxy.Upstream:
		return fmt.Sprintf("its upstream is %s, not %s", now.Upstream, s.Proxy.Upstream)
	case now.Enabled != s.Proxy.Enabled:
		return fmt.Sprintf("enabled is %t, not %t", now.Enabled, s.Proxy.Enabled)
	}
	return ""
}

// Inject adds the toxic and reads it back.
func (*Toxic) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	s, api, err := readSpec(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	if s.Toxic == nil {
		return experiments.Proof{}, fmt.Errorf("the record of hit %s names no toxic", h.ID)
	}
	if err := s.unmoved(ctx, api); err != nil {
		return experiments.Proof{}, err
	}
	// A call that is cancelled under way may still reach the server, after a revert has
	// found nothing to undo. So a change once begun is seen through to its deadline.
	if err := api.addToxic(context.WithoutCancel(ctx), s.Proxy.Name, *s.Toxic); err != nil {
		return experiments.Proof{}, fmt.Errorf("adding toxic %s to proxy %s: %w", s.Mark, s.Proxy.Name, err)
	}
	now, err := api.proxy(ctx, s.Proxy.Name)
	if err != nil {
		return experiments.Proof{}, fmt.Errorf("reading toxic %s of proxy %s back: %w", s.Mark, s.Proxy.Name, err)
	}
	listed, found := find(now.ActiveToxics, s.Mark)
	if !found {
		return experiments.Proof{}, fmt.Errorf("toxiproxy at %s took toxic %s but does not list it on proxy %s: the proxy may have been replaced meanwhile", s.URL, s.Mark, s.Proxy.Name)
	}
	if !same(*s.Toxic, listed) {
		return experiments.Proof{}, fmt.Errorf("toxiproxy at %s was given toxic %s as %s and lists it as %s", s.URL, s.Mark, s.listed(*s.Toxic), s.listed(listed))
	}
	if change := s.change(now); change != "" {
		return experiments.Proof{}, fmt.Errorf("proxy %s was changed while the toxic was added: %s; plan again", s.Proxy.Name, change)
	}
	return experiments.Proof{Seen: "toxic listed: " + s.listed(listed)}, nil
}

// Revert takes the toxic off.
func (*Toxic) Revert(ctx context.Context, h experiments.Hit) error {
	s, api, err := readSpec(h)
	if err != nil {
		return err
	}
	if err := s.remove(ctx, api); err != nil && !errors.Is(err, errGone) {
		return fmt.Errorf("taking toxic %s off proxy %s: %w", s.Mark, s.Proxy.Name, err)
	}
	return nil
}

// Check looks for the toxic.
func (*Toxic) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	s, api, err := readSpec(h)
	if err != nil {
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	}
	return s.look(ctx, api, func(now client.Proxy) (string, bool) {
		if toxic, found := find(now.ActiveToxics, s.Mark); found {
			return "toxic listed: " + s.listed(toxic), true
		}
		return "no toxic " + s.Mark, false
	})
}

// look reads the target and what the hit may have left beside it. harm tells what
// it sees of the hit on the target itself.
func (s spec) look(ctx context.Context, api *api, harm func(client.Proxy) (string, bool)) (experiments.Observation, error) {
	see := func(state experiments.State, format string, words ...any) (experiments.Observation, error) {
		return experiments.Observation{State: state, Seen: fmt.Sprintf(format, words...)}, nil
	}
	now, err := api.proxy(ctx, s.Proxy.Name)
	there := err == nil
	if there || notFound(err) {
		_, err = api.proxy(ctx, s.aside())
	}
	aside := err == nil
	if errors.Is(err, errGone) {
		return see(experiments.Superseded, "%v (process %d)", err, s.PID)
	}
	if err != nil && !notFound(err) {
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	}
	if there {
		if seen, harmed := harm(now); harmed {
			return see(experiments.Harmed, "%s on proxy %s", seen, s.Proxy.Name)
		}
	}
	switch {
	case aside:
		is := "gone"
		if there {
			is = map[bool]string{true: "enabled", false: "disabled"}[now.Enabled]
		}
		return see(experiments.Harmed, "proxy %s is %s, and %s is there beside it", s.Proxy.Name, is, s.aside())
	case !there:
		return see(experiments.Superseded, "proxy %s is gone, and what was on it", s.Proxy.Name)
	}
	if change := s.change(now); change != "" {
		return see(experiments.Superseded, "nothing of %s is left, and proxy %s was changed meanwhile: %s", s.Mark, s.Proxy.Name, change)
	}
	return see(experiments.Whole, "no %s on proxy %s, from %s to %s as before", s.Mark, s.Proxy.Name, now.Listen, now.Upstream)
}

func find(toxics client.Toxics, name string) (client.Toxic, bool) {
	at := slices.IndexFunc(toxics, func(toxic client.Toxic) bool { return toxic.Name == name })
	if at < 0 {
		return client.Toxic{}, false
	}
	return toxics[at], true
}

// same tells whether a toxic is listed as it was asked for.
func same(want, listed client.Toxic) bool {
	if want.Type != listed.Type || want.Stream != listed.Stream || want.Toxicity != listed.Toxicity {
		return false
	}
	for name, value := range want.Attributes {
		if listed.Attributes[name] != value {
			return false
		}
	}
	return true
}
