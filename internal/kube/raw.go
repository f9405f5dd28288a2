package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
)

// Thing is an object of any sort, as its JSON: for code that treats all sorts alike.
type Thing map[string]any

// At gives the value at a path of keys, nil where there is none.
func (t Thing) At(keys ...string) any {
	var value any = map[string]any(t)
	for _, key := range keys {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = fields[key]
	}
	return value
}

// Text gives the text at a path, empty where there is none.
func (t Thing) Text(keys ...string) string {
	text, _ := t.At(keys...).(string)
	return text
}

// Raw reads an object as JSON. Numbers stay as they were written (json.Number).
func (c *Client) Raw(ctx context.Context, r Ref) (thing Thing, err error) {
	err = c.again(ctx, "GET", func() error {
		thing, err = c.rawOnce(ctx, r)
		return err
	})
	return thing, err
}

func (c *Client) rawOnce(ctx context.Context, r Ref) (Thing, error) {
	client, err := c.group(r.Resource)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(putOff(quiet(ctx)), c.timeout)
	defer cancel()
	request := client.Get().NamespaceIfScoped(r.Namespace, !r.Cluster && r.Namespace != "").Resource(r.Resource.Name).
		SetHeader("Accept", runtime.ContentTypeJSON)
	if r.Name != "" {
		request = request.Name(r.Name)
	}
	result := request.Do(limited)
	err = result.Error() // Raw would not read the server's own words
	if err != nil {
		return nil, &Error{Verb: "GET", Ref: r, Server: c.config.Host, Err: c.timeUp(ctx, limited, err)}
	}
	text, err := result.Raw()
	if err != nil {
		return nil, &Error{Verb: "GET", Ref: r, Server: c.config.Host, Err: err}
	}
	var thing Thing
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&thing); err != nil {
		return nil, &Error{Verb: "GET", Ref: r, Server: c.config.Host, Err: fmt.Errorf("its answer is not JSON: %w", err)}
	}
	if r.Name != "" && (thing.Text("metadata", "name") != r.Name || thing.Text("metadata", "uid") == "") {
		return nil, &Error{Verb: "GET", Ref: r, Server: c.config.Host, Err: fmt.Errorf("its answer is no %s: %.80q", r.Kind, text)}
	}
	return thing, nil
}
