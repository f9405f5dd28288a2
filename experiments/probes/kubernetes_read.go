package probes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// Measure implements experiments.Probe.
func (p *Kubernetes) Measure(ctx context.Context) experiments.Sample {
	s := begin()
	ready, err := p.ready.get(p.prepare)
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	client, err := p.Kubernetes.Client()
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	switch {
	case p.Object != "":
		return p.field(ctx, s, client, ready)
	case p.Reads == "restarts":
		return p.restarted(ctx, s, client, ready)
	case p.Selector != "":
		return p.readyPods(ctx, s, client)
	}
	return p.replicas(ctx, s, client, ready)
}

// notRead ends a sample for which the API server gave an error, in words that tell the
// causes apart.
func notRead(ctx context.Context, s experiments.Sample, what string, err error) experiments.Sample {
	var status apierrors.APIStatus
	var network *url.Error
	var call *kube.Error
	switch {
	case cancelled(ctx):
		return broken(s, "cancelled")
	case errors.As(err, &status):
		return refused(s, what, err, status.Status())
	case kube.Busy(err):
		if errors.As(err, &call) {
			err = call.Err
		}
		return unreadable(s, experiments.Refused, textsafe.Line("cannot be told of "+what+": "+err.Error(), longReason))
	case errors.As(err, &network), kube.Silent(err), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), ctx.Err() != nil:
		return unreadable(s, experiments.Unreachable, "no answer from the API server about "+what+": "+reason(ctx, err, "none"))
	}
	// A decoder, mostly: whatever answers is no API server.
	if errors.As(err, &call) {
		err = call.Err
	}
	return unreadable(s, experiments.Refused, textsafe.Line("the answer about "+what+" makes no sense: "+err.Error(), longReason))
}

// refused ends a sample for which the API server answered with a status.
func refused(s experiments.Sample, what string, err error, status metav1.Status) experiments.Sample {
	said := textsafe.Line(status.Message, longReason)
	switch {
	case apierrors.IsNotFound(err) && !unexpected(status):
		return bad(s, what+" is not found")
	case apierrors.IsNotFound(err):
		return unreadable(s, experiments.Refused, "the API server knows no such kind of object as "+what+" (are its version and group right, and is namespace set if it lives in one, and only then?): "+said)
	case apierrors.IsForbidden(err):
		return unreadable(s, experiments.Refused, "forbidden to read "+what+": "+said)
	case apierrors.IsUnauthorized(err):
		return unreadable(s, experiments.Refused, "the API server does not accept who asks about "+what+" (is the token or certificate still valid?): "+said)
	case status.Code == http.StatusTooManyRequests:
		return unreadable(s, experiments.Refused, "the API server is too busy to tell of "+what+": "+said)
	}
	return unreadable(s, experiments.Refused, fmt.Sprintf("the API server cannot tell of %s (%d): %s", what, status.Code, said))
}

// unexpected tells that a status was made up by the client, of an answer that was none:
// there is nothing at the path at all.
func unexpected(status metav1.Status) bool {
	return status.Details != nil && slices.ContainsFunc(status.Details.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}

// get reads an object, and checks that it is the one asked for.
func get(ctx context.Context, client *kube.Client, ref kube.Ref) (kube.Thing, error) {
	thing, err := client.Raw(ctx, ref)
	if err == nil && thing.Text("metadata", "name") != ref.Name {
		err = errors.New("it is no object of that name")
	}
	return thing, err
}

// field reads a value of any object.
func (p *Kubernetes) field(ctx context.Context, s experiments.Sample, client *kube.Client, ready *kubernetesReady) experiments.Sample {
	thing, err := get(ctx, client, ready.ref)
	if err != nil {
		return notRead(ctx, s, ready.ref.String(), err)
	}
	text, err := json.Marshal(thing)
	if err != nil {
		return broken(s, textsafe.Line(err.Error(), longReason))
	}
	value, err := ready.picker.pick(text)
	if err != nil {
		return bad(s, ready.ref.String()+": "+err.Error())
	}
	s.Value = number(value)
	if text, ok := value.(string); ok { // the values of a config map are all texts
		if n, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil && !math.IsInf(n, 0) {
			s.Value = n
		}
	}
	if p.JSONEquals != "" && !equal(value, p.JSONEquals) {
		return bad(s, fmt.Sprintf("%s of %s is %s, not %s", p.JSONPath, ready.ref, textsafe.Line(textOf(value), longQuote), textsafe.Line(p.JSONEquals, longQuote)))
	}
	return good(s)
}

// replicas reads a workload for ready and rollout.
func (p *Kubernetes) replicas(ctx context.Context, s experiments.Sample, client *kube.Client, ready *kubernetesReady) experiments.Sample {
	what := ready.ref.String()
	thing, err := get(ctx, client, ready.ref)
	if err != nil {
		s = notRead(ctx, s, what, err)
		if s.Condition == experiments.OK {
			s.Value = 0 // it is not there, so nothing of it is ready
		}
		return s
	}
	at := kube.RolloutOf(thing)
	if p.Reads == "rollout" {
		s.Value = float64(at.Done())
		if lacks := at.Lacks(what); lacks != "" {
			return bad(s, lacks)
		}
		return good(s)
	}
	s.Value = float64(at.Ready)
	if at.Wanted == 0 && p.AtLeast == nil {
		return bad(s, what+" is to have no replicas")
	}
	return p.enough(s, "replicas of "+what, at.Ready, at.Wanted)
}

// enough judges how many are ready.
func (p *Kubernetes) enough(s experiments.Sample, of string, ready, wanted int) experiments.Sample {
	switch {
	case p.AtLeast != nil && ready < *p.AtLeast:
		return bad(s, fmt.Sprintf("%d %s are ready, at least %d asked", ready, of, *p.AtLeast))
	case p.AtLeast != nil:
		return good(s)
	case ready < wanted:
		return bad(s, fmt.Sprintf("%d of %d %s are ready", ready, wanted, of))
	}
	return good(s)
}

// pods lists the pods of a selector, and hands each on that is neither ending nor over.
func (p *Kubernetes) pods(ctx context.Context, client *kube.Client, selector string, restart func(), each func(*corev1.Pod)) error {
	return kube.List(ctx, client, kube.Pods, p.Namespace, metav1.ListOptions{LabelSelector: selector}, func(page *corev1.PodList) error {
		for i := range page.Items {
			pod := &page.Items[i]
			if pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodSucceeded && pod.Status.Phase != corev1.PodFailed {
				each(pod)
			}
		}
		return nil
	}, func() *corev1.PodList { return new(corev1.PodList) }, restart)
}

// readyPods counts the ready pods of a selector.
func (p *Kubernetes) readyPods(ctx context.Context, s experiments.Sample, client *kube.Client) experiments.Sample {
	ready, all := 0, 0
	err := p.pods(ctx, client, p.Selector, func() { ready, all = 0, 0 }, func(pod *corev1.Pod) {
		all++
		if kube.Ready(pod) {
			ready++
		}
	})
	what := p.what() + " in " + p.Namespace
	if err != nil {
		return notRead(ctx, s, what, err)
	}
	s.Value = float64(ready)
	if all == 0 {
		return bad(s, "there are no "+what)
	}
	return p.enough(s, what, ready, all)
}

// restarts counts how often containers were restarted since the first look. It is
// written under the probe's lock.
type restarts struct {
	began bool
	// seen is the restart count of each container at its first look; a container of a pod
	// that came later began at 0.
	first, last map[string]int
	told        int // the sum that was told last
}

// take adds a look. Looks may come in late: a count never goes back.
func (r *restarts) take(look map[string]int) (sum int, again bool) {
	if !r.began {
		r.began, r.first, r.last = true, look, map[string]int{}
	}
	for container, count := range look {
		r.last[container] = max(r.last[container], count)
	}
	for container, count := range r.last {
		sum += max(count-r.first[container], 0)
	}
	again = sum > r.told
	r.told = sum
	return sum, again
}

// restarted counts the restarts of pods.
func (p *Kubernetes) restarted(ctx context.Context, s experiments.Sample, client *kube.Client, ready *kubernetesReady) experiments.Sample {
	what := p.what() + " in " + p.Namespace
	selector, err := p.selects(ctx, client, ready)
	if err != nil {
		return notRead(ctx, s, ready.ref.String(), err)
	}
	var look map[string]int
	waiting := ""
	reset := func() { look, waiting = map[string]int{}, "" }
	reset()
	err = p.pods(ctx, client, selector, reset, func(pod *corev1.Pod) {
		for _, status := range pod.Status.ContainerStatuses {
			look[string(pod.UID)+"/"+status.Name] = int(status.RestartCount)
			if status.State.Waiting != nil && status.State.Waiting.Reason == "CrashLoopBackOff" {
				waiting = fmt.Sprintf("container %s of pod %s fails again and again (CrashLoopBackOff)", status.Name, pod.Name)
			}
		}
	})
	if err != nil {
		return notRead(ctx, s, what, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.counted.told
	sum, again := p.counted.take(look)
	s.Value = float64(sum)
	switch {
	case again:
		return bad(s, fmt.Sprintf("containers of %s were restarted %d times since the measurement before", what, sum-before))
	case waiting != "":
		return bad(s, textsafe.Line(waiting, longReason))
	case len(look) == 0:
		p.selector = nil // the workload may have been made anew, with another selector
		return bad(s, "there are no "+strings.TrimPrefix(what, "pods with ")+" whose containers could be restarted")
	}
	return good(s)
}

// selects gives the selector of the pods whose restarts are counted.
func (p *Kubernetes) selects(ctx context.Context, client *kube.Client, ready *kubernetesReady) (string, error) {
	if p.Selector != "" {
		return p.Selector, nil
	}
	p.mu.Lock()
	known := p.selector
	p.mu.Unlock()
	if known != nil {
		return known.String(), nil
	}
	thing, err := get(ctx, client, ready.ref)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(thing.At("spec", "selector"))
	if err != nil {
		return "", err
	}
	var selector metav1.LabelSelector
	if err := json.Unmarshal(text, &selector); err != nil {
		return "", fmt.Errorf("its selector cannot be read: %w", err)
	}
	if known, err = metav1.LabelSelectorAsSelector(&selector); err != nil {
		return "", fmt.Errorf("its selector cannot be read: %w", err)
	}
	if known.Empty() { // would be every pod of the namespace
		return "", errors.New("it has no selector")
	}
	p.mu.Lock()
	p.selector = known
	p.mu.Unlock()
	return known.String(), nil
}
