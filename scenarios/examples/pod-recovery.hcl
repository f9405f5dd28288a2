# One pod whose name begins with nginx- is deleted, and its workload must be complete
# again within two minutes. (The job of krkn's pod.yml.)
#
#   gameday run --var workload=deployment/nginx pod-recovery.hcl
#
# Verdict: held

variable "kubeconfig" {
  description = "Path of a kubeconfig; empty: $KUBECONFIG, ~/.kube/config, or the pod's account"
  default     = ""
}

variable "namespace" {
  description = "Namespace of the pods"
  default     = "default"
}

variable "workload" {
  description = "The workload that must be complete again"
  default     = "deployment/nginx"
}

kubernetes {
  kubeconfig = var.kubeconfig
}

probe "kubernetes" "workload" {
  namespace = var.namespace
  workload  = var.workload
  measure   = "rollout"
  every     = "500ms"
}

scenario "pod-recovery" {
  description = "A killed pod is replaced within two minutes"
  seed        = 44

  hypothesis "the workload is complete" {
    probe          = probe.workload
    during         = false
    recover_within = "120s"
    hold           = "2s"
  }

  fault "pod_kill" "nginx" {
    namespaces = [var.namespace]
    name       = "nginx-*"
    count      = 1
  }
}
