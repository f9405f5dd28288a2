package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	authorizationv1 "k8s.io/api/authorization/v1"
)

// A Right is something that the runner must be allowed to do: the least that a
// fault or a probe needs, to do its work and to undo it.
type Right struct {
	Verb     string // get, list, create, patch, delete, update
	Resource Resource
	Sub      string // subresource
	// Namespace it is needed in; empty for a cluster-wide right.
	Namespace string
	// Name narrows the right to one object; empty for all.
	Name string
	// Why says what it is for: "undo a cordon".
	Why string
}

func (r Right) String() string {
	what := r.Resource.Name
	if r.Sub != "" {
		what += "/" + r.Sub
	}
	if r.Resource.Group != "" {
		what += "." + r.Resource.Group
	}
	where := "in namespace " + r.Namespace
	if r.Namespace == "" {
		where = "in the whole cluster"
	}
	return fmt.Sprintf("%s %s %s", r.Verb, what, where)
}

// compare orders rights for people: by namespace, then resource, then verb.
func compare(a, b Right) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Resource.Group, b.Resource.Group),
		cmp.Compare(a.Resource.Name, b.Resource.Name), cmp.Compare(a.Sub, b.Sub), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Verb, b.Verb))
}

// Unite sorts rights and drops those that are there twice.
func Unite(rights []Right) []Right {
	list := slices.Clone(rights)
	slices.SortStableFunc(list, compare)
	return slices.CompactFunc(list, func(a, b Right) bool { return compare(a, b) == 0 })
}

// askers is how many access reviews are under way at once.
const askers = 16

// Allowed asks the API server whether this client has all of the rights. Those it
// lacks are one error, each with what it is for. Asking changes nothing.
func (c *Client) Allowed(ctx context.Context, rights []Right) error {
	list := Unite(rights)
	lacking := make([]bool, len(list))
	problems := make([]error, len(list))
	var reviews errgroup.Group
	reviews.SetLimit(askers)
	for i, right := range list {
		reviews.Go(func() error {
			lacking[i], problems[i] = c.lacks(ctx, right)
			return nil // all are asked, and what went wrong is told of each
		})
	}
	_ = reviews.Wait() // see problems
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("ask which rights there are: %w", err)
	}
	var words []string
	for i, right := range list {
		if !lacking[i] {
			continue
		}
		text := right.String()
		if right.Why != "" {
			text += " (to " + right.Why + ")"
		}
		words = append(words, text)
	}
	if len(words) == 0 {
		return nil
	}
	return fmt.Errorf("these rights are missing at %s, so nothing is touched: %s; `gameday rbac PATH` prints a role that grants all of them", c.reach, strings.Join(words, "; "))
}

func (c *Client) lacks(ctx context.Context, right Right) (bool, error) {
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: right.Namespace, Verb: right.Verb, Group: right.Resource.Group, Version: right.Resource.Version,
			Resource: right.Resource.Name, Subresource: right.Sub, Name: right.Name,
		},
	}}
	var answer authorizationv1.SelfSubjectAccessReview
	// It is posted and changes nothing: it can be asked again like any read.
	err := c.again(ctx, "GET", func() error { return c.Create(ctx, accessReviews.In("", ""), review, &answer) })
	if err != nil {
		return true, err
	}
	return !answer.Status.Allowed, nil
}
