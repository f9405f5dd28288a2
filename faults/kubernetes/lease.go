package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
)

// A Lease per target namespace keeps runners on different machines apart: it is
// taken before the baseline, renewed while the run lasts, and given back at its end.
// Its name is the same for every runner. What lives in no namespace, a node, has its
// Lease in the namespace "default".
const (
	leaseName      = "gameday"
	leaseFor       = 30 * time.Second
	leaseNamespace = "default"
	// clockSlack is how far the clocks of two runners may be apart.
	clockSlack = 10 * time.Second
)

// Claims gives a kind its leases: it implements [experiments.Keeper].
type Claims struct{}

// clusterLease is the name of the lease of what lives in no namespace.
func clusterLease(kind, name string) string { return leaseName + "-" + kind + "-" + name }

func leaseOf(o object) kube.Ref {
	if o.Cluster && o.Resource != kube.Namespaces.Name {
		return kube.Leases.In(leaseNamespace, clusterLease(o.Kind, o.Name))
	}
	return kube.Leases.In(o.Namespace, leaseName)
}

// claimed says what the lease of an object stands for.
func claimed(o object) string {
	if o.Cluster {
		return o.Kind + " " + o.Name
	}
	return "namespace " + o.Namespace
}

// leaseRights are needed to take, renew and give back the lease of a name in a
// namespace; an empty name stands for any. What is created has no name yet.
func leaseRights(namespace, name string) []kube.Right {
	list := []kube.Right{{Verb: "create", Resource: kube.Leases, Namespace: namespace, Why: "keep other runners away"}}
	for _, verb := range []string{"get", "update", "delete"} {
		list = append(list, kube.Right{Verb: verb, Resource: kube.Leases, Namespace: namespace, Name: name, Why: "keep other runners away"})
	}
	return list
}

// seat is a lease and the way to it.
type seat struct {
	client *kube.Client
	ref    kube.Ref
	// what it stands for: "namespace shop", "node worker-1".
	what string
}

// seats lists the leases that hits need, each once.
func seats(hits []experiments.Hit) ([]seat, error) {
	var list []seat
	var ways routes
	for _, hit := range hits {
		r, client, err := ways.read(hit)
		if err != nil {
			return nil, err
		}
		ref := leaseOf(r.Object)
		same := func(s seat) bool { return s.ref == ref && s.client.Reach().Server == client.Reach().Server }
		if !slices.ContainsFunc(list, same) {
			list = append(list, seat{client, ref, claimed(r.Object)})
		}
	}
	return list, nil
}

// Claim takes the leases of all namespaces that hits are in.
func (Claims) Claim(ctx context.Context, run string, hits []experiments.Hit) error {
	list, err := seats(hits)
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := s.take(ctx, run); err != nil {
			return err
		}
	}
	return nil
}

// take makes the lease ours, or renews it.
func (s seat) take(ctx context.Context, run string) error {
	var err error
	for try := range tries {
		if try > 0 {
			if ended := pause(ctx, try); ended != nil {
				return errors.Join(ended, err)
			}
		}
		var lease coordinationv1.Lease
		err = s.client.Get(ctx, s.ref, &lease)
		switch {
		case kube.NotFound(err):
			lease = coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: s.ref.Name, Namespace: s.ref.Namespace, Labels: map[string]string{RunLabel: run}}}
			renewed(&lease, run)
			if err = s.client.Create(ctx, s.ref, &lease, nil); apierrors.IsAlreadyExists(err) || kube.Conflict(err) || kube.Uncertain(err) {
				continue // somebody was faster, maybe ourselves
			}
		case err != nil:
		case holder(&lease) != run && !expired(&lease):
			return s.held(&lease)
		default:
			renewed(&lease, run)
			if err = s.client.Update(ctx, s.ref, &lease); kube.Conflict(err) || kube.Uncertain(err) {
				continue
			}
		}
		if err != nil {
			return fmt.Errorf("claim %s for this run: %w", s.what, err)
		}
		return nil
	}
	return fmt.Errorf("claim %s for this run: tried %d times, and each time its lease had changed or no answer came: %w", s.what, tries, err)
}

// held tells of another run's lease: whose it is, since when, for how long still, and
// what to do about a run that goes on and about one that is dead.
func (s seat) held(lease *coordinationv1.Lease) error {
	whole := func(d time.Duration) string {
		return experiments.FormatDuration(max(0, d).Round(time.Second))
	}
	since := ""
	if lease.Spec.AcquireTime != nil {
		since = "for " + whole(time.Since(lease.Spec.AcquireTime.Time)) + ", "
	}
	return fmt.Errorf("%s is held by run %s, maybe on another machine (%slease renewed %s ago): wait for its end, or stop it there with gameday abort; if it died, type gameday recover --cluster when its lease ends, in %s",
		s.what, holder(lease), since, whole(time.Since(lease.Spec.RenewTime.Time)), whole(leaseLeft(lease)))
}

func renewed(lease *coordinationv1.Lease, run string) {
	now, seconds := metav1.NewMicroTime(time.Now()), int32(leaseFor/time.Second)
	if holder(lease) != run || lease.Spec.AcquireTime == nil {
		lease.Spec.AcquireTime = &now
	}
	lease.Spec.HolderIdentity, lease.Spec.RenewTime, lease.Spec.LeaseDurationSeconds = &run, &now, &seconds
	if lease.Labels == nil {
		lease.Labels = map[string]string{}
	}
	lease.Labels[RunLabel] = run
}

func holder(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// expired tells whether the holder has been silent for longer than it promised.
func expired(lease *coordinationv1.Lease) bool {
	if lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil || holder(lease) == "" {
		return true
	}
	return leaseLeft(lease) < 0
}

// leaseLeft is how long a lease that is not renewed still holds others off.
func leaseLeft(lease *coordinationv1.Lease) time.Duration {
	return time.Duration(*lease.Spec.LeaseDurationSeconds)*time.Second + clockSlack - time.Since(lease.Spec.RenewTime.Time)
}

// Keep renews the leases of hits, and the fuses of those that are injected.
func (Claims) Keep(ctx context.Context, run string, hits []experiments.Kept) error {
	plain := make([]experiments.Hit, len(hits))
	for i := range hits {
		plain[i] = hits[i].Hit
	}
	list, err := seats(plain)
	if err != nil {
		return err
	}
	var problems []error
	for _, s := range list {
		problems = append(problems, s.take(ctx, run))
	}
	var ways routes
	for _, kept := range hits {
		if !kept.Injected {
			continue
		}
		r, client, err := ways.read(kept.Hit)
		if err == nil && r.Creation != nil {
			err = r.renew(ctx, client, kept.Age)
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// Yield gives the leases back.
func (Claims) Yield(ctx context.Context, run string, hits []experiments.Hit) error {
	list, err := seats(hits)
	if err != nil {
		return err
	}
	var problems []error
	for _, s := range list {
		if err := s.give(ctx, run); err != nil {
			problems = append(problems, fmt.Errorf("give %s back: %w", s.what, err))
		}
	}
	return errors.Join(problems...)
}

// give deletes the lease if it is ours.
func (s seat) give(ctx context.Context, run string) (err error) {
	for try := range tries {
		var lease coordinationv1.Lease
		err = s.client.Get(ctx, s.ref, &lease)
		if err == nil && holder(&lease) != run {
			return nil
		}
		if err == nil {
			err = s.client.Delete(ctx, s.ref, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion}})
		}
		if err == nil || kube.NotFound(err) {
			return nil
		}
		if !kube.Conflict(err) && !kube.Uncertain(err) {
			return err
		}
		if ended := pause(ctx, try); ended != nil {
			return errors.Join(ended, err)
		}
	}
	return err
}
