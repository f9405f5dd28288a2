package toxiproxy

import (
	"context"
	"errors"
	"fmt"

	client "github.com/Shopify/toxiproxy/v2/client"

	"github.com/gameday-sh/gameday/experiments"
)

// Down switches a proxy off: its connections are cut and new ones refused.
//
// A proxy that is off does not say who did it. A marker beside it, a proxy that
// listens nowhere and bears the name of the run, tells that it was this fault: only
// then is it switched on again.
type Down struct {
	Targets
}

// Lasts is true: a proxy stays off until it is switched on.
func (*Down) Lasts() bool { return true }

// Plan plans to switch off each proxy.
func (f *Down) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	return f.hits(ctx, d, func(hit *experiments.Hit, s *spec) {
		hit.Effect = fmt.Sprintf("connections to %s are cut, and new ones refused", s.Proxy.Listen)
		hit.Undo = "enable the proxy again"
	})
}

// Inject leaves the marker, switches the proxy off and reads it back.
func (*Down) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	s, api, err := readSpec(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	if err := s.unmoved(ctx, api); err != nil {
		return experiments.Proof{}, err
	}
	marker := client.Proxy{Name: s.aside(), Listen: s.Proxy.Listen, Upstream: s.Proxy.Upstream}
	change := context.WithoutCancel(ctx) // as in Toxic.Inject
	if _, err := api.create(change, marker); err != nil {
		return experiments.Proof{}, fmt.Errorf("marking proxy %s: %w", s.Proxy.Name, err)
	}
	if err := api.enable(change, s.Proxy.Name, false); err != nil {
		return experiments.Proof{}, fmt.Errorf("disabling proxy %s: %w", s.Proxy.Name, err)
	}
	now, err := api.proxy(ctx, s.Proxy.Name)
	if err != nil {
		return experiments.Proof{}, fmt.Errorf("reading proxy %s back: %w", s.Proxy.Name, err)
	}
	if now.Enabled {
		return experiments.Proof{}, fmt.Errorf("toxiproxy at %s was told to disable proxy %s and lists it as enabled", s.URL, s.Proxy.Name)
	}
	return experiments.Proof{Seen: fmt.Sprintf("proxy %s listed as disabled", s.Proxy.Name)}, nil
}

// Revert switches the proxy on if the marker says that this fault switched it off.
func (*Down) Revert(ctx context.Context, h experiments.Hit) error {
	s, api, err := readSpec(h)
	if err != nil {
		return err
	}
	if err := s.up(ctx, api); err != nil && !errors.Is(err, errGone) {
		return fmt.Errorf("enabling proxy %s: %w", s.Proxy.Name, err)
	}
	return nil
}

func (s spec) up(ctx context.Context, api *api) error {
	if _, err := api.proxy(ctx, s.aside()); notFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	if err := api.enable(ctx, s.Proxy.Name, true); err != nil && !notFound(err) {
		return err
	}
	return api.deleteProxy(ctx, s.aside())
}

// Check tells whether the proxy is off.
func (*Down) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	s, api, err := readSpec(h)
	if err != nil {
		return experiments.Observation{State: experiments.Unknown, Seen: err.Error()}, err
	}
	// Whose work it is that the proxy is off is in the marker, which look finds.
	return s.look(ctx, api, func(client.Proxy) (string, bool) { return "", false })
}
