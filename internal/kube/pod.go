package kube

import corev1 "k8s.io/api/core/v1"

// Ready tells whether a pod takes part in serving, as its kubelet last said.
func Ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}
