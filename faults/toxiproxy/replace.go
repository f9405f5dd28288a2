package toxiproxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	client "github.com/Shopify/toxiproxy/v2/client"
)

// How a toxic comes off.
//
// toxiproxy 2.12.0 takes a toxic off by stopping, for each open connection, the part
// that the data passes through, with the proxy locked. If a client hangs up in that
// moment, its connection waits for the lock and the lock for the connection, for
// good: https://github.com/Shopify/toxiproxy/issues/558. Every call that needs that
// proxy then hangs, also the list of all proxies, and soon the proxy accepts nobody.
//
// It takes large answers and clients that give up: with answers of 1 kB none of 400
// removals under load hung, with 100 kB and clients that time out one of 52 did.
// Adding a toxic interrupts connections too and can hang the same way, more rarely.
//
// Where the removal hangs, or would, the proxy is made anew:
//
//	1. create a stand-in, asleep, as a copy of the proxy without our toxic
//	2. switch the proxy off: its connections are cut, and its port is free
//	3. delete it
//	4. create it again, with everybody else's toxics
//	5. delete the stand-in
//
// The stand-in keeps what step 4 needs in the server itself, so that a revert that
// dies in between is finished by the next. Step 2 comes before 3 because a deletion
// that hangs locks all proxies, while this locks only one.
//
// If step 2 hangs too, the proxy's name is lost until the server is restarted. Its
// port is free all the same, so the stand-in is woken and traffic flows again. The
// built-in server has a deletion of its own that does not hang, and gets to step 5.

// mustReplace tells which toxics cannot be taken off in time at all: reset_peer
// sleeps through any request to stop, and locks its proxy meanwhile. It resets
// connections anyway.
func mustReplace(toxic client.Toxic) bool {
	return toxic.Type == "reset_peer" && toxic.Attributes["timeout"] != float64(0)
}

// remove takes the toxic off; that it is off already, or its proxy gone, is fine.
func (s spec) remove(ctx context.Context, api *api) error {
	aside, err := api.proxy(ctx, s.aside())
	interrupted := err == nil
	if err != nil && !notFound(err) {
		return err
	}
	now, err := api.proxy(ctx, s.Proxy.Name)
	listed := err == nil && slices.ContainsFunc(now.ActiveToxics, s.ours)
	switch {
	case errors.Is(err, errStuck) && !interrupted:
		return s.rescue(ctx, api, err)
	case err != nil && !errors.Is(err, errStuck) && !notFound(err):
		return err
	case interrupted && (err != nil || now.Enabled != s.Proxy.Enabled):
		// An earlier revert ended after its step 2 and before 4 was done, or was stuck
		// there. The stand-in knows what was to be made.
		return s.replace(ctx, api, aside.ActiveToxics)
	case interrupted:
		// It ended before step 2 or after step 4.
		if err := api.deleteProxy(ctx, s.aside()); err != nil {
			return err
		}
	}
	if !listed {
		return nil
	}
	s.Proxy.Listen, s.Proxy.Upstream, s.Proxy.Enabled = now.Listen, now.Upstream, now.Enabled
	others := slices.DeleteFunc(now.ActiveToxics, s.ours)
	if s.Replace {
		return s.replace(ctx, api, others)
	}
	err = api.removeToxic(ctx, s.Proxy.Name, s.Mark)
	if err == nil || ctx.Err() != nil || errors.Is(err, errGone) {
		return err
	}
	if second := s.replace(ctx, api, others); second != nil {
		return errors.Join(err, second)
	}
	return nil
}

func (s spec) ours(toxic client.Toxic) bool { return toxic.Name == s.Mark }

// rescue replaces a proxy that cannot be read. What was on it is taken from the
// plan, without toxics of gameday itself: those have a run that may have taken them
// off since.
func (s spec) rescue(ctx context.Context, api *api, stuck error) error {
	if _, err := api.version(ctx); err != nil {
		return fmt.Errorf("%w, and the server answers nothing else either: is it running, or paused?", stuck)
	}
	others := slices.DeleteFunc(slices.Clone(s.Proxy.ActiveToxics), func(toxic client.Toxic) bool {
		return strings.HasPrefix(toxic.Name, prefix)
	})
	if err := s.replace(ctx, api, others); err != nil {
		return errors.Join(stuck, err)
	}
	return nil
}

// replace makes the proxy of s anew with the given toxics.
func (s spec) replace(ctx context.Context, api *api, toxics client.Toxics) error {
	again := client.Proxy{Name: s.Proxy.Name, Listen: s.Proxy.Listen, Upstream: s.Proxy.Upstream, Enabled: s.Proxy.Enabled, ActiveToxics: toxics}
	standIn := again
	standIn.Name, standIn.Enabled = s.aside(), false
	if _, err := api.create(ctx, standIn); err != nil && !taken(err) {
		return fmt.Errorf("making proxy %s anew: creating its stand-in: %w", s.Proxy.Name, err)
	}
	// The built-in server's deletion switches off what it deletes.
	if api.instance == "" {
		if err := api.enable(ctx, s.Proxy.Name, false); errors.Is(err, errStuck) {
			return s.standIn(ctx, api, err)
		} else if err != nil && !notFound(err) {
			return fmt.Errorf("making proxy %s anew: switching it off: %w", s.Proxy.Name, err)
		}
	}
	if err := api.deleteProxy(ctx, s.Proxy.Name); err != nil {
		return fmt.Errorf("making proxy %s anew: deleting it: %w", s.Proxy.Name, err)
	}
	// Asleep already, unless an earlier revert had to wake it.
	if err := api.enable(ctx, s.aside(), false); err != nil && !notFound(err) {
		return fmt.Errorf("making proxy %s anew: switching its stand-in off: %w", s.Proxy.Name, err)
	}
	again.Enabled = false
	if _, err := api.create(ctx, again); err != nil && !taken(err) {
		return fmt.Errorf("making proxy %s anew: %w", s.Proxy.Name, err)
	}
	if s.Proxy.Enabled {
		if err := api.enable(ctx, s.Proxy.Name, true); err != nil {
			return fmt.Errorf("making proxy %s anew on %s: %w", s.Proxy.Name, s.Proxy.Listen, err)
		}
	}
	if err := api.deleteProxy(ctx, s.aside()); err != nil {
		return fmt.Errorf("making proxy %s anew: deleting its stand-in: %w", s.Proxy.Name, err)
	}
	return nil
}

// standIn lets the stand-in take over the address of a proxy that is stuck for
// good. It is an error always: the proxy has lost its name.
func (s spec) standIn(ctx context.Context, api *api, stuck error) error {
	if s.Proxy.Enabled {
		if err := api.enable(ctx, s.aside(), true); err != nil {
			return fmt.Errorf("proxy %s is stuck in toxiproxy (its bug #558): %w; a stand-in on %s failed too: %w; restart toxiproxy", s.Proxy.Name, stuck, s.Proxy.Listen, err)
		}
	}
	return fmt.Errorf("proxy %s is stuck in toxiproxy (its bug #558), and nothing but a restart of toxiproxy gets it back: %w; until then connections to %s pass through proxy %s, without the toxic; restart toxiproxy, then run gameday recover", s.Proxy.Name, stuck, s.Proxy.Listen, s.aside())
}
