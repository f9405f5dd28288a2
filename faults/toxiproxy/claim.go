package toxiproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	client "github.com/Shopify/toxiproxy/v2/client"
)

// A process that puts proxies before services of its own, as the sandbox does, and is
// killed leaves them in the server, leading nowhere and in the way of the next one. A
// proxy does not say whose it is, and its name and a port where nobody listens at the
// moment prove nothing: it may be a person's. So each such proxy has a claim beside it,
// another proxy that is never enabled:
//
//	gameday-claim:<loopback>:<port>:<name>  upstream 127.0.0.1:<port>
//
// loopback names the network namespace that the port is in. The process listens on
// the port from before the claim is made until after it is taken away. So where the
// claim is of our own loopback and nobody listens on the port, the process has died,
// and the proxy is its own if it has the claim's name and upstream. Nothing else is
// ever swept away.

const claimPrefix = prefix + "claim:"

// claimName is the name of the claim for a proxy before an upstream of this process;
// empty for an upstream that is not on its loopback and cannot be claimed.
func claimName(name, upstream string) string {
	address, err := netip.ParseAddrPort(upstream)
	here := loopback()
	if err != nil || !address.Addr().IsLoopback() || here == "" {
		return ""
	}
	return fmt.Sprintf("%s%s:%d:%s", claimPrefix, here, address.Port(), name)
}

// claimed is the name of the proxy that a claim of this loopback is for.
func claimed(claim client.Proxy) (string, bool) {
	parts := strings.SplitN(strings.TrimPrefix(claim.Name, claimPrefix), ":", 3)
	if len(parts) != 3 || claim.Name != claimName(parts[2], claim.Upstream) {
		return "", false
	}
	return parts[2], true
}

// loopback names the network namespace of this process and the boot of its machine;
// empty if that cannot be told.
func loopback() string {
	boot, bootErr := os.ReadFile("/proc/sys/kernel/random/boot_id")
	namespace, namespaceErr := os.Readlink("/proc/self/ns/net") // "net:[4026531840]"
	if errors.Join(bootErr, namespaceErr) == nil {
		return strings.TrimSpace(string(boot)) + "." + strings.Trim(namespace, "net:[]")
	}
	// A system without namespaces.
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return sanitised(host)
}

// sweep takes away the claims of this loopback whose process has died, and the proxies
// that were claimed.
func (a *api) sweep(ctx context.Context) error {
	all, err := a.proxies(ctx)
	if err != nil {
		return fmt.Errorf("listing proxies: %w", err)
	}
	for _, claim := range all {
		name, here := claimed(claim)
		if !here || !a.nobodyListens(ctx, claim.Upstream) {
			continue
		}
		// Read again: somebody may have made another of that name since the listing.
		proxy, err := a.proxy(ctx, name)
		if err == nil && proxy.Upstream == claim.Upstream {
			err = a.deleteProxy(ctx, name)
		}
		if err != nil && !notFound(err) {
			return fmt.Errorf("removing proxy %s, which a process that died has left: %w", name, err)
		}
		if err := a.deleteProxy(ctx, claim.Name); err != nil {
			return fmt.Errorf("removing the claim of a process that died: %w", err)
		}
	}
	return nil
}

// owner says in a clause that a process of this machine uses the proxy, if it does.
func (a *api) owner(ctx context.Context, proxy client.Proxy) string {
	claim := claimName(proxy.Name, proxy.Upstream)
	if claim == "" {
		return ""
	}
	if _, err := a.proxy(ctx, claim); err != nil {
		return "" // nobody claims it, or it is not known
	}
	return ", for a gameday that still runs here"
}

// nobodyListens tells whether a connection is refused. That it cannot be made in time,
// or at all, proves nothing.
func (a *api) nobodyListens(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		// Whoever listens sees a connection that says nothing; how it ends tells no more.
		_ = connection.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// claim marks a proxy, before it is made, as one that goes with this process.
func (t *Toxiproxy) claim(ctx context.Context, name, upstream string) error {
	claim := claimName(name, upstream)
	if t.builtin != nil || claim == "" {
		return nil // it goes with this process anyway, or nobody could tell
	}
	if err := t.api.sweep(ctx); err != nil {
		return err
	}
	made, err := t.api.create(ctx, client.Proxy{Name: claim, Listen: "127.0.0.1:0", Upstream: upstream})
	if taken(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("claiming proxy %s: %w", name, err)
	}
	t.created = append(t.created, made)
	return nil
}

// disclaim takes the claims for a proxy away.
func (t *Toxiproxy) disclaim(ctx context.Context, name string) error {
	var kept []client.Proxy
	var errs []error
	for _, made := range t.created {
		if of, is := claimed(made); is && of == name {
			if err := t.api.deleteProxy(ctx, made.Name); err != nil {
				errs = append(errs, fmt.Errorf("removing the claim of proxy %s: %w", name, err))
				kept = append(kept, made)
			}
			continue
		}
		kept = append(kept, made)
	}
	t.created = kept
	return errors.Join(errs...)
}
