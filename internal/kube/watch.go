package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// watchFor is how long one watch lasts before it is begun again, in seconds: an API
// server that is taken out of service sheds its watches so.
const watchFor int64 = 300

// Here gives the resource version of a resource as it is now: a watch from there tells
// of everything that comes after.
func Here[L interface {
	runtime.Object
	metav1.ListInterface
}](ctx context.Context, c *Client, r Resource, namespace string, list L) (string, error) {
	if err := c.list(ctx, r, namespace, metav1.ListOptions{Limit: 1}, list); err != nil {
		return "", err
	}
	return list.GetResourceVersion(), nil
}

// list reads one page.
func (c *Client) list(ctx context.Context, r Resource, namespace string, options metav1.ListOptions, list interface {
	runtime.Object
	metav1.ListInterface
}) error {
	err := c.call(ctx, "GET", r.In(namespace, ""), func(q *rest.Request) *rest.Request {
		return q.VersionedParams(&options, metav1.ParameterCodec)
	}, list)
	if err == nil && list.GetResourceVersion() == "" {
		err = &Error{Verb: "GET", Ref: r.In(namespace, ""), Server: c.config.Host, Err: errNoList}
	}
	return err
}

// Watch tells of everything that happens to the objects of a resource that a field
// selector selects, or to all, after a resource version, until ctx ends or the API server
// ends it, which it does from time to time. It returns the resource version to go on from,
// with an error where the watch could not be begun or broke. [Expired] tells that nothing
// can go on from there any more.
func Watch(ctx context.Context, c *Client, r Resource, namespace, fields, from string, each func(watch.EventType, runtime.Object)) (string, error) {
	client, err := c.group(r)
	if err != nil {
		return from, err
	}
	seconds := watchFor
	options := metav1.ListOptions{FieldSelector: fields, ResourceVersion: from, AllowWatchBookmarks: true, Watch: true, TimeoutSeconds: &seconds}
	// What comes before the API server may hold a watch back until it is over.
	watching, cancel := context.WithCancel(putOff(quiet(ctx)))
	defer cancel()
	patience := time.AfterFunc(c.timeout, cancel)
	stream, err := client.Get().NamespaceIfScoped(namespace, !r.Cluster && namespace != "").Resource(r.Name).
		VersionedParams(&options, metav1.ParameterCodec).Watch(watching)
	if err == nil && !patience.Stop() {
		stream.Stop()
		err = watching.Err()
	}
	if err != nil {
		return from, &Error{Verb: "WATCH", Ref: r.In(namespace, ""), Server: c.config.Host, Err: c.timeUp(ctx, watching, err)}
	}
	defer stream.Stop()
	for {
		var event watch.Event
		var more bool
		select {
		case <-ctx.Done():
			return from, ctx.Err()
		case event, more = <-stream.ResultChan():
		}
		if !more {
			return from, nil
		}
		if event.Type == watch.Error {
			return from, &Error{Verb: "WATCH", Ref: r.In(namespace, ""), Server: c.config.Host, Err: apierrors.FromObject(event.Object)}
		}
		object, ok := event.Object.(metav1.Object)
		if !ok {
			return from, &Error{Verb: "WATCH", Ref: r.In(namespace, ""), Server: c.config.Host, Err: fmt.Errorf("it told of a %T", event.Object)}
		}
		if version := object.GetResourceVersion(); version != "" {
			from = version
		}
		if event.Type != watch.Bookmark {
			each(event.Type, event.Object)
		}
	}
}

// Expired tells that a resource version is too old to go on from.
func Expired(err error) bool {
	return apierrors.IsResourceExpired(err) || apierrors.IsGone(err)
}

// errNoList is what a list without a resource version is: a decoder takes any JSON for
// an empty list, and nothing is more easily believed.
var errNoList = errors.New("its answer is no list")

// errNoAnswer is a call that took all of its time.
var errNoAnswer = errors.New("is the API server up?")

// errBusy is a call that was put off for all of its time.
var errBusy = errors.New("the API server, or what is before it, is too busy")

// Silent tells that a call took all of its time and got no answer, or none but to come
// back later.
func Silent(err error) bool { return errors.Is(err, errNoAnswer) || Busy(err) }

// Busy tells that a call was put off for all of its time.
func Busy(err error) bool { return errors.Is(err, errBusy) }

// quiet keeps client-go from writing on standard error what is in its errors too.
func quiet(ctx context.Context) context.Context { return klog.NewContext(ctx, klog.New(nil)) }
