package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/internal/kube"
	"github.com/gameday-sh/gameday/internal/textsafe"
)

// ContainerKill sends a signal within one container of each pod. The kubelet
// restarts what ends; the pod keeps its name and its address.
type ContainerKill struct {
	Claims
	Following
	Pods
	Container string        `hcl:"container,optional" doc:"Name of the container; left out, the first." example:"shop"`
	Signal    string        `hcl:"signal,optional" default:"TERM" enum:"TERM|INT|QUIT|HUP|USR1|USR2|ABRT|KILL" doc:"Signal to send. Within a container the kernel keeps from process 1 KILL and each signal that it has no handler for."`
	Command   []string      `hcl:"command,optional" doc:"What to run within the container instead, such as a path of kill; {signal} in it stands for the signal. Left out: kill -s SIGNAL 1." example:"[\"/bin/busybox\", \"kill\", \"-{signal}\", \"1\"]"`
	Wait      time.Duration `hcl:"wait,optional" default:"30s" doc:"How long the container may take to end; longer fails the fault."`
}

// signalRecord is what a hit of container_kill needs.
type signalRecord struct {
	Container string        `json:"container"`
	ID        string        `json:"container_id"` // of the container that was planned
	Command   []string      `json:"command"`
	Wait      time.Duration `json:"wait_ns"`
}

// Validate implements [experiments.Validator].
func (f *ContainerKill) Validate() []experiments.Problem {
	problems := f.Pods.validate()
	if f.Wait <= 0 {
		problems = append(problems, experiments.Problem{Attribute: "wait", Summary: "No time to end in", Detail: "Write how long the container may take to end, such as \"30s\"."})
	}
	if f.Signal == "KILL" && len(f.Command) == 0 {
		problems = append(problems, experiments.Problem{Attribute: "signal", Summary: "A signal that process 1 never gets",
			Detail: "Within a container, the kernel keeps KILL from process 1, so the container would go on. Choose TERM or another that it handles; or send KILL to another process with command = [\"kill\", \"-s\", \"{signal}\", \"PID\"]; or kill the pod (pod_kill)."})
	}
	return problems
}

// Lasts is false: a kill is over at once.
func (*ContainerKill) Lasts() bool { return false }

// Rights lists what the fault must be allowed to do.
func (f *ContainerKill) Rights() []kube.Right {
	// A WebSocket begins with a GET, so since Kubernetes 1.30 both verbs may be asked.
	return append(f.Pods.removal("create", "exec", "send the signal"), f.Pods.removal("get", "exec", "send the signal")...)
}

// Plan chooses the pods.
func (f *ContainerKill) Plan(ctx context.Context, d experiments.Draw) ([]experiments.Hit, error) {
	client, err := f.Kubernetes.Client()
	if err != nil {
		return nil, err
	}
	hits, err := f.Pods.plan(ctx, d, f.Rights(), "", nil)
	if err != nil {
		return nil, err
	}
	for i, hit := range hits {
		r, _, err := read(hit)
		if err != nil {
			return nil, err
		}
		var pod corev1.Pod
		if err := client.Get(ctx, r.Object.ref(), &pod); err != nil {
			return nil, err
		}
		status := container(&pod, f.Container)
		if status == nil || status.ContainerID == "" || status.State.Running == nil {
			return nil, fmt.Errorf("%s has no running container %q", r.Object, f.Container)
		}
		command := []string{"kill", "-s", f.Signal, "1"}
		if len(f.Command) > 0 {
			command = nil
			for _, word := range f.Command {
				command = append(command, strings.ReplaceAll(word, "{signal}", f.Signal))
			}
		}
		r.Signal = &signalRecord{Container: status.Name, ID: status.ContainerID, Command: command, Wait: f.Wait}
		again, err := newHit(r, d, fmt.Sprintf("send SIG%s within its container %s%s", f.Signal, status.Name, hit.Effect), "nothing to undo: "+startsAgain(&pod), "")
		if err != nil {
			return nil, err
		}
		again.Takes = hit.Takes
		hits[i] = again
	}
	return hits, nil
}

// startsAgain says what becomes of a container that ends.
func startsAgain(pod *corev1.Pod) string {
	if pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
		return "the pod's restartPolicy is Never, and the container STAYS ENDED"
	}
	return "the kubelet restarts the container"
}

// container finds the status of a container; an empty name means the first.
func container(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	if name == "" && len(pod.Spec.Containers) > 0 {
		name = pod.Spec.Containers[0].Name
	}
	for i := range pod.Status.ContainerStatuses {
		if pod.Status.ContainerStatuses[i].Name == name {
			return &pod.Status.ContainerStatuses[i]
		}
	}
	return nil
}

// Inject sends the signal and waits until the container that was planned has ended.
func (f *ContainerKill) Inject(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	return f.followed(ctx, h, func(record, *kube.Client) (experiments.Proof, error) { return endContainer(ctx, h) })
}

func endContainer(ctx context.Context, h experiments.Hit) (experiments.Proof, error) {
	r, client, err := read(h)
	if err != nil {
		return experiments.Proof{}, err
	}
	if r.Signal == nil {
		return experiments.Proof{}, fmt.Errorf("the record of hit %s tells of no signal", h.ID)
	}
	_, gone, err := r.version(ctx, client) // it may have opted out
	if err != nil {
		return experiments.Proof{}, err
	}
	seen, ended, err := r.ended(ctx, client)
	if err != nil {
		return experiments.Proof{}, err
	}
	if gone && !ended {
		return experiments.Proof{}, fmt.Errorf("%s moved since the plan: it is ending; nothing was done", r.Object)
	}
	if ended {
		return experiments.Proof{}, fmt.Errorf("%s moved since the plan: %s; nothing was done", r.Object, seen)
	}
	limited, cancel := context.WithTimeout(ctx, r.Signal.Wait)
	defer cancel()
	// The command may be killed by what it does, so what became of the container decides.
	refused := r.send(limited, client)
	giveUp := limited
	if refused != nil {
		var soon context.CancelFunc
		giveUp, soon = context.WithTimeout(limited, refusedFor)
		defer soon()
	}
	for {
		seen, ended, err := r.ended(limited, client)
		if err == nil && ended {
			return experiments.Proof{Seen: seen}, nil
		}
		select {
		case <-giveUp.Done():
			if ctx.Err() != nil {
				return experiments.Proof{}, context.Cause(ctx)
			}
			what := fmt.Sprintf("container %s of %s was not ended by %q", r.Signal.Container, r.Object, strings.Join(r.Signal.Command, " "))
			if refused != nil {
				return experiments.Proof{}, fmt.Errorf("%s: %w", what, refused)
			}
			return experiments.Proof{}, fmt.Errorf("%s, which succeeded: it still runs %s later. Within a container, the kernel keeps from process 1 KILL and each signal that it has no handler for: choose a signal that it handles, or kill the pod (pod_kill)",
				what, experiments.FormatDuration(r.Signal.Wait))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// refusedFor is how long a container whose command failed may yet take to end: the
// command may have been cut off by what it did.
const refusedFor = 3 * time.Second

// send runs the command that sends the signal.
func (r record) send(ctx context.Context, client *kube.Client) error {
	var said bytes.Buffer
	err := client.Exec(ctx, r.Object.Namespace, r.Object.Name, r.Signal.Container, r.Signal.Command, &said)
	if err == nil {
		return nil
	}
	if text := err.Error(); strings.Contains(text, "executable file not found") || strings.Contains(text, "no such file or directory") {
		return fmt.Errorf("its image has no %q; name another program in command = [...], or kill the pod (pod_kill)", r.Signal.Command[0])
	}
	if text := textsafe.Line(said.String(), 200); text != "" {
		err = fmt.Errorf("%w; it said: %s", err, text)
	}
	return err
}

// ended tells whether the container that was planned has ended.
func (r record) ended(ctx context.Context, client *kube.Client) (seen string, ended bool, err error) {
	var pod corev1.Pod
	who := r.who(nil)
	err = client.Get(ctx, r.Object.ref(), &pod)
	if kube.NotFound(err) || err == nil && string(pod.UID) != r.Object.UID {
		return who + " is gone", true, nil
	}
	if err != nil {
		return "", false, err
	}
	status := container(&pod, r.Signal.Container)
	switch {
	case status == nil:
		return fmt.Sprintf("%s has no container %s", r.Object, r.Signal.Container), true, nil
	case status.ContainerID != r.Signal.ID:
		return fmt.Sprintf("container %s of %s was restarted (%s)", status.Name, who, plural(int(status.RestartCount), "restart")), true, nil
	case status.State.Terminated != nil:
		return fmt.Sprintf("container %s of %s ended with code %d (%s)", status.Name, who, status.State.Terminated.ExitCode, status.State.Terminated.Reason), true, nil
	}
	return fmt.Sprintf("container %s of %s runs", status.Name, who), false, nil
}

// Revert has nothing to do: the kubelet restarts the container.
func (*ContainerKill) Revert(_ context.Context, h experiments.Hit) error { return revertNothing(h) }

// Check says what became of the container. It is whole either way.
func (*ContainerKill) Check(ctx context.Context, h experiments.Hit) (experiments.Observation, error) {
	r, client, err := read(h)
	if err == nil && r.Signal == nil {
		err = fmt.Errorf("the record of hit %s tells of no signal", h.ID)
	}
	if err != nil {
		return unknown(err)
	}
	seen, _, err := r.ended(ctx, client)
	if err != nil {
		return unknown(err)
	}
	return see(experiments.Whole, "%s; nothing to undo", seen)
}
