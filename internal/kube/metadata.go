package kube

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// metadataOnly asks the API server to leave out all but the metadata of objects.
const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

// Metadata lists the metadata of the objects of any sort that a label selector
// matches, in pages. More than most is an error. An empty namespace means all.
func (c *Client) Metadata(ctx context.Context, r Resource, namespace, selector string, most int) ([]metav1.ObjectMeta, error) {
	client, err := c.group(r)
	if err != nil {
		return nil, err
	}
	var list []metav1.ObjectMeta
	options := metav1.ListOptions{LabelSelector: selector, Limit: PageSize}
	for tries := 0; ; {
		page, err := c.metadataPage(ctx, client, r.In(namespace, ""), options)
		if apierrors.IsResourceExpired(err) && options.Continue != "" && tries < 3 {
			tries++
			options.Continue, list = "", nil
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			list = append(list, page.Items[i].ObjectMeta)
		}
		if len(list) > most {
			return nil, &Error{Verb: "GET", Ref: r.In(namespace, ""), Server: c.config.Host, Err: fmt.Errorf("more than %d bear the label %s", most, selector)}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return list, nil
		}
	}
}

func (c *Client) metadataPage(ctx context.Context, client *rest.RESTClient, r Ref, options metav1.ListOptions) (*metav1.PartialObjectMetadataList, error) {
	limited, cancel := context.WithTimeout(putOff(quiet(ctx)), c.timeout)
	defer cancel()
	result := client.Get().NamespaceIfScoped(r.Namespace, !r.Cluster && r.Namespace != "").Resource(r.Resource.Name).
		VersionedParams(&options, metav1.ParameterCodec).SetHeader("Accept", metadataOnly).Do(limited)
	err := result.Error() // Raw would not read the server's own words
	var text []byte
	if err == nil {
		text, err = result.Raw()
	}
	if err != nil {
		return nil, &Error{Verb: "GET", Ref: r, Server: c.config.Host, Err: c.timeUp(ctx, limited, err)}
	}
	page := new(metav1.PartialObjectMetadataList)
	if err := json.Unmarshal(text, page); err != nil {
		return nil, &Error{Verb: "GET", Ref: r, Server: c.config.Host, Err: fmt.Errorf("its answer is not JSON: %w", err)}
	}
	return page, nil
}

// Forbidden tells that the client has no right to what it tried.
func Forbidden(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }
