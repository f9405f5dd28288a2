package kube

import (
	"context"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
)

// Exec runs a command within a container, as `kubectl exec` does. What it writes
// goes to out.
func (c *Client) Exec(ctx context.Context, namespace, pod, container string, command []string, out io.Writer) error {
	client, err := c.group(Pods)
	if err != nil {
		return err
	}
	request := client.Get().Namespace(namespace).Resource(Pods.Name).Name(pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, runtime.NewParameterCodec(register()))
	config := rest.CopyConfig(c.config)
	config.GroupVersion = &corev1.SchemeGroupVersion
	executor, err := remotecommand.NewWebSocketExecutor(config, "GET", request.URL().String())
	if err != nil {
		return fmt.Errorf("run a command in pod %s/%s: %w", namespace, pod, err)
	}
	if err := executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: out, Stderr: out}); err != nil {
		return fmt.Errorf("run %q in pod %s/%s: %w", command, namespace, pod, err)
	}
	return nil
}
