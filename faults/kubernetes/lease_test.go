package kubernetes

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/cluster/clustertest"
	"github.com/gameday-sh/gameday/internal/kube"
)

func TestALeaseKeepsTwoRunsApart(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace, node := c.Namespace(t), c.Node(t)
	c.Deployment(t, namespace, "checkout", 2)
	k := c.Connection(t)
	hits := planFor(t, killing(k, many(1), namespace))
	hits = append(hits, planFor(t, &NodeCordon{Nodes: Nodes{Kubernetes: k, Node: node}})...)
	var claims Claims
	if err := claims.Claim(t.Context(), "run-a", hits); err != nil {
		t.Fatal(err)
	}
	if err := claims.Claim(t.Context(), "run-a", hits); err != nil {
		t.Errorf("claiming again: %v", err)
	}
	// Who is refused reads who holds it, for how long, until when, and what to type.
	for what, refused := range map[string][]experiments.Hit{"namespace " + namespace: hits, "node " + node: hits[1:]} {
		err := claims.Claim(t.Context(), "run-b", refused)
		words := what + ` is held by run run-a, maybe on another machine \(for \d+m?s, lease renewed \d+m?s ago\): .*gameday abort; .*gameday recover --cluster when its lease ends, in [34]\ds$`
		if err == nil || !regexp.MustCompile(words).MatchString(err.Error()) {
			t.Errorf("%v\nwant %q", err, words)
		}
	}
	if err := claims.Yield(t.Context(), "run-b", hits); err != nil {
		t.Error(err)
	}
	if err := claims.Claim(t.Context(), "run-b", hits); err == nil {
		t.Error("run-b gave back what run-a holds")
	}
	// run-a falls silent: its lease ends, run-b takes over, and run-a is refused.
	long := time.Now().Add(-leaseFor - clockSlack - time.Second).UTC().Format("2006-01-02T15:04:05.000000Z")
	for _, ref := range []kube.Ref{kube.Leases.In(namespace, leaseName), kube.Leases.In(leaseNamespace, leaseName+"-node-"+node)} {
		c.Merge(t, ref, `{"spec":{"renewTime":"`+long+`"}}`)
	}
	if err := claims.Claim(t.Context(), "run-b", hits); err != nil {
		t.Fatalf("an ended lease is not taken over: %v", err)
	}
	kept := []experiments.Kept{{Hit: hits[0]}, {Hit: hits[1]}}
	if err := claims.Keep(t.Context(), "run-a", kept); err == nil || !strings.Contains(err.Error(), "held by run run-b") {
		t.Errorf("the one that was away renews: %v", err)
	}
	if err := claims.Keep(t.Context(), "run-b", kept); err != nil {
		t.Error(err)
	}
	if err := claims.Yield(t.Context(), "run-b", hits); err != nil {
		t.Error(err)
	}
	if c.Left(t, namespace) != "" || c.Has(t, "/apis/coordination.k8s.io/v1/namespaces/default/leases/gameday-node-"+node) {
		t.Error("leases are left")
	}
}

func TestOnlyOneOfManyGetsALease(t *testing.T) {
	t.Parallel()
	c := clustertest.Shared(t)
	namespace := c.Namespace(t)
	c.Deployment(t, namespace, "checkout", 1)
	hits := planFor(t, killing(c.Connection(t), many(1), namespace))
	const runs = 12
	won := make(chan string, runs)
	lost := make(chan error, runs)
	for i := range runs {
		go func() {
			run := fmt.Sprintf("run-%d", i)
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := (Claims{}).Claim(ctx, run, hits); err != nil {
				lost <- err
			} else {
				won <- run
			}
		}()
	}
	for range runs - 1 {
		if err := <-lost; !strings.Contains(err.Error(), "is held by run") {
			t.Errorf("%v", err)
		}
	}
	if err := (Claims{}).Yield(t.Context(), <-won, hits); err != nil {
		t.Error(err)
	}
}
