package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Resource is a sort of object, as the API names it.
type Resource struct {
	Group, Version, Name string // "apps", "v1", "deployments"
	// Kind is what a person calls one: "deployment".
	Kind string
	// Cluster tells that its objects live in no namespace.
	Cluster bool
}

// The resources that gameday reads or changes.
var (
	Pods             = Resource{Version: "v1", Name: "pods", Kind: "pod"}
	Nodes            = Resource{Version: "v1", Name: "nodes", Kind: "node", Cluster: true}
	Namespaces       = Resource{Version: "v1", Name: "namespaces", Kind: "namespace", Cluster: true}
	Events           = Resource{Version: "v1", Name: "events", Kind: "event"}
	ResourceQuotas   = Resource{Version: "v1", Name: "resourcequotas", Kind: "resource quota"}
	Deployments      = Resource{Group: "apps", Version: "v1", Name: "deployments", Kind: "deployment"}
	StatefulSets     = Resource{Group: "apps", Version: "v1", Name: "statefulsets", Kind: "statefulset"}
	ReplicaSets      = Resource{Group: "apps", Version: "v1", Name: "replicasets", Kind: "replicaset"}
	DaemonSets       = Resource{Group: "apps", Version: "v1", Name: "daemonsets", Kind: "daemonset"}
	Jobs             = Resource{Group: "batch", Version: "v1", Name: "jobs", Kind: "job"}
	CronJobs         = Resource{Group: "batch", Version: "v1", Name: "cronjobs", Kind: "cronjob"}
	NetworkPolicies  = Resource{Group: "networking.k8s.io", Version: "v1", Name: "networkpolicies", Kind: "network policy"}
	DisruptionBudget = Resource{Group: "policy", Version: "v1", Name: "poddisruptionbudgets", Kind: "disruption budget"}
	Autoscalers      = Resource{Group: "autoscaling", Version: "v1", Name: "horizontalpodautoscalers", Kind: "HorizontalPodAutoscaler"}
	Leases           = Resource{Group: "coordination.k8s.io", Version: "v1", Name: "leases", Kind: "lease"}
	accessReviews    = Resource{Group: "authorization.k8s.io", Version: "v1", Name: "selfsubjectaccessreviews", Kind: "access review", Cluster: true}
)

// PageSize is how many objects one call lists: a page of 500 pods takes a few
// megabytes, however many there are.
const PageSize = 500

// register makes a scheme of the groups above; apimachinery has no other way to
// tell a decoder of types.
var register = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, networkingv1.AddToScheme,
		policyv1.AddToScheme, coordinationv1.AddToScheme, authorizationv1.AddToScheme, autoscalingv1.AddToScheme, metav1.AddMetaToScheme,
	} {
		if err := add(scheme); err != nil {
			panic(fmt.Sprintf("register Kubernetes types: %v", err)) // a mistake in this list
		}
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return scheme
})

// Client makes calls to one API server. It is safe for concurrent use.
type Client struct {
	config  *rest.Config
	http    *http.Client
	timeout time.Duration
	reach   Reach

	mu     sync.Mutex
	groups map[schema.GroupVersion]*rest.RESTClient
}

func newClient(config *rest.Config, reach Reach) (*Client, error) {
	// The API server has a fair queue of its own and says 429 when it is too much; a
	// limiter here would only make stopping slower.
	config.QPS = -1
	config.UserAgent = "gameday"
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return gathering{next} })
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("prepare the way to Kubernetes at %s: %w", config.Host, err)
	}
	return &Client{config: config, http: client, timeout: reach.Timeout, reach: reach, groups: map[schema.GroupVersion]*rest.RESTClient{}}, nil
}

// Reach says how to get to the same API server again, without secrets.
func (c *Client) Reach() Reach { return c.reach }

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// group gives the REST client of an API group, which is made at first need.
func (c *Client) group(r Resource) (*rest.RESTClient, error) {
	version := schema.GroupVersion{Group: r.Group, Version: r.Version}
	c.mu.Lock()
	defer c.mu.Unlock()
	if client := c.groups[version]; client != nil {
		return client, nil
	}
	config := rest.CopyConfig(c.config)
	config.GroupVersion = &version
	config.APIPath = "/apis"
	if r.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(register()).WithoutConversion()
	client, err := rest.RESTClientForConfigAndClient(config, c.http)
	if err != nil {
		return nil, fmt.Errorf("prepare the way to Kubernetes at %s: %w", c.config.Host, err)
	}
	c.groups[version] = client
	return client, nil
}

// Ref names one object.
type Ref struct {
	Resource
	Namespace, Name string
	// Sub is a subresource, such as "eviction" or "scale".
	Sub string
}

// In names an object of a resource.
func (r Resource) In(namespace, name string) Ref {
	return Ref{Resource: r, Namespace: namespace, Name: name}
}

// Subresource names a part of the object.
func (r Ref) Subresource(name string) Ref { r.Sub = name; return r }

func (r Ref) String() string {
	name := r.Name
	if r.Namespace != "" && !r.Cluster {
		name = strings.TrimSuffix(r.Namespace+"/"+r.Name, "/")
	}
	return strings.TrimSpace(r.Kind + " " + name)
}

// readTries is how often a read is tried whose answer got lost or was garbled.
const readTries = 3

// call makes a call and says in its error what was tried on what. Reads are tried
// again; whether a write was carried out whose answer got lost is for the caller to find
// out.
func (c *Client) call(ctx context.Context, verb string, r Ref, prepare func(*rest.Request) *rest.Request, into runtime.Object) error {
	return c.again(ctx, verb, func() error { return c.callOnce(ctx, verb, r, prepare, into) })
}

// again makes a call, and a read up to readTries times, unless it took all of its time.
func (c *Client) again(ctx context.Context, verb string, once func() error) error {
	for try := 1; ; try++ {
		err := once()
		if verb != "GET" || !Uncertain(err) || Silent(err) || ctx.Err() != nil || try == readTries {
			return err
		}
		select {
		case <-time.After(time.Duration(try) * 50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// callOnce makes one call with a deadline of its own.
func (c *Client) callOnce(ctx context.Context, verb string, r Ref, prepare func(*rest.Request) *rest.Request, into runtime.Object) error {
	client, err := c.group(r.Resource)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(putOff(quiet(ctx)), c.timeout)
	defer cancel()
	request := client.Verb(verb).NamespaceIfScoped(r.Namespace, !r.Cluster && r.Namespace != "").Resource(r.Resource.Name)
	if r.Name != "" {
		request = request.Name(r.Name)
	}
	if r.Sub != "" {
		request = request.SubResource(r.Sub)
	}
	if r.Sub == "eviction" {
		// A budget that does not allow it now says 429 too: that is for the caller.
		request = request.MaxRetries(0)
	}
	result := prepare(request).Do(limited)
	if into != nil {
		err = result.Into(into)
	} else {
		_, err = result.Get() // an answer that is none of an API server is no success
	}
	if err == nil {
		return nil
	}
	return &Error{Verb: verb, Ref: r, Server: c.config.Host, Err: c.timeUp(ctx, limited, err)}
}

// Error is a call that failed.
type Error struct {
	Verb   string
	Ref    Ref
	Server string
	Err    error
}

func (e *Error) Error() string {
	what := e.Ref.String()
	if e.Ref.Sub != "" {
		what += " (" + e.Ref.Sub + ")"
	}
	return fmt.Sprintf("%s %s at %s: %v", words[e.Verb], what, e.Server, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

var words = map[string]string{"GET": "read", "POST": "create", "PATCH": "change", "DELETE": "delete", "PUT": "replace", "WATCH": "watch"}

// Get reads an object.
func (c *Client) Get(ctx context.Context, r Ref, into runtime.Object) error {
	return c.call(ctx, "GET", r, func(q *rest.Request) *rest.Request { return q }, into)
}

// Cached reads an object as the API server remembers it, which costs it a fraction of a
// Get: what is not in its store yet, or not any more, may be a moment behind.
func (c *Client) Cached(ctx context.Context, r Ref, into runtime.Object) error {
	return c.call(ctx, "GET", r, func(q *rest.Request) *rest.Request { return q.Param("resourceVersion", "0") }, into)
}

// Create makes an object, or, where r names one and a subresource, posts to it.
func (c *Client) Create(ctx context.Context, r Ref, object, into runtime.Object) error {
	post := r
	if r.Sub == "" {
		post.Name = ""
	}
	err := c.call(ctx, "POST", post, func(q *rest.Request) *rest.Request { return q.Body(object) }, into)
	var failed *Error
	if errors.As(err, &failed) {
		failed.Ref = r
	}
	return err
}

// Update replaces an object; it fails if the object changed since it was read.
func (c *Client) Update(ctx context.Context, r Ref, object runtime.Object) error {
	return c.call(ctx, "PUT", r, func(q *rest.Request) *rest.Request { return q.Body(object) }, nil)
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, r Ref, options metav1.DeleteOptions) error {
	return c.call(ctx, "DELETE", r, func(q *rest.Request) *rest.Request { return q.Body(&options) }, nil)
}

// removedMetadata asks for no more of an object that is deleted than what shows that it
// goes: the whole of it costs both sides more than the deletion.
const removedMetadata = runtime.ContentTypeProtobuf + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1," +
	runtime.ContentTypeJSON + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1," + runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON

// Remove is Delete with the metadata of the object as it was stored when it was asked to
// go; they are empty where the server does not tell.
func (c *Client) Remove(ctx context.Context, r Ref, options metav1.DeleteOptions) (metav1.ObjectMeta, error) {
	var answer metav1.PartialObjectMetadata
	err := c.call(ctx, "DELETE", r, func(q *rest.Request) *rest.Request {
		return q.SetHeader("Accept", removedMetadata).Body(&options)
	}, &answer)
	return answer.ObjectMeta, err
}

// fieldManager is the name under which the API server notes what fields gameday wrote,
// unless PatchAs gives another.
const fieldManager = "gameday"

// An Op is a step of a JSON patch (RFC 6902).
type Op struct {
	Op    string `json:"op"` // test, add, replace, remove
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// MarshalJSON keeps a value that is zero, where the step has one.
func (o Op) MarshalJSON() ([]byte, error) {
	step := map[string]any{"op": o.Op, "path": o.Path}
	if o.Op != "remove" {
		step["value"] = o.Value
	}
	return json.Marshal(step)
}

// Pointer makes a JSON pointer (RFC 6901) of keys.
func Pointer(keys ...string) string {
	var text strings.Builder
	for _, key := range keys {
		text.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	return text.String()
}

// Patch changes an object by a JSON patch: all of its steps, or none.
func (c *Client) Patch(ctx context.Context, r Ref, steps []Op, into runtime.Object) error {
	body, err := json.Marshal(steps)
	if err != nil {
		return fmt.Errorf("write a patch for %s: %w", r, err)
	}
	return c.patch(ctx, r, types.JSONPatchType, fieldManager, body, into)
}

// PatchAs is Patch in the name of a manager, under which the API server notes the fields
// that the steps change: up to 128 characters.
func (c *Client) PatchAs(ctx context.Context, manager string, r Ref, steps []Op) error {
	body, err := json.Marshal(steps)
	if err != nil {
		return fmt.Errorf("write a patch for %s: %w", r, err)
	}
	return c.patch(ctx, r, types.JSONPatchType, manager, body, nil)
}

// Merge changes an object by a JSON merge patch (RFC 7386).
func (c *Client) Merge(ctx context.Context, r Ref, change any, into runtime.Object) error {
	body, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("write a patch for %s: %w", r, err)
	}
	return c.patch(ctx, r, types.MergePatchType, fieldManager, body, into)
}

func (c *Client) patch(ctx context.Context, r Ref, kind types.PatchType, manager string, body []byte, into runtime.Object) error {
	return c.call(ctx, "PATCH", r, func(q *rest.Request) *rest.Request {
		return q.SetHeader("Content-Type", string(kind)).VersionedParams(&metav1.PatchOptions{FieldManager: manager}, metav1.ParameterCodec).Body(body)
	}, into)
}

// List reads objects in pages and hands each page on. A list that expires between
// two pages (410) is begun again, so a page may come twice; restarted is called then.
func List[L interface {
	runtime.Object
	metav1.ListInterface
}](ctx context.Context, c *Client, r Resource, namespace string, options metav1.ListOptions, page func(L) error, newList func() L, restarted func()) error {
	options.Limit = PageSize
	for tries := 0; ; {
		list := newList()
		err := c.list(ctx, r, namespace, options, list)
		if apierrors.IsResourceExpired(err) && options.Continue != "" && tries < 3 {
			tries++
			options.Continue = ""
			restarted()
			continue
		}
		if err != nil {
			return err
		}
		if err := page(list); err != nil {
			return err
		}
		if options.Continue = list.GetContinue(); options.Continue == "" {
			return nil
		}
		options.ResourceVersion, options.ResourceVersionMatch = "", ""
	}
}

// NotFound tells that an object is not there, in an API server's words: the 404 of
// whatever stands before it says nothing of the object.
func NotFound(err error) bool {
	return apierrors.IsNotFound(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// Conflict tells that an object is not in the state that the call was made for: a
// precondition failed, or the test of a patch.
func Conflict(err error) bool {
	if apierrors.IsConflict(err) {
		return true
	}
	// A patch that does not apply is "unprocessable" without a word of what or why; an
	// object that would not be valid is too, and is named.
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details == nil || details.Kind == "" && details.Name == "" && len(details.Causes) == 0
}

// Uncertain tells that a call may or may not have been carried out: no answer came, or
// none of an API server.
func Uncertain(err error) bool {
	if err == nil {
		return false
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) || apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse) {
		return true
	}
	code := status.Status().Code
	return code == 0 || code >= 500
}
