# One container is told to end by a signal, and its kubelet must start it again. This
# needs pods that really run.
#
#   gameday run --var namespace=shop --var selector=app=checkout --var container=main \
#               container-kill.hcl
#
# Verdict: held

variable "kubeconfig" {
  description = "Path of a kubeconfig; empty: $KUBECONFIG, ~/.kube/config, or the pod's account"
  default     = ""
}

variable "namespace" {
  description = "Namespace of the pods"
}

variable "selector" {
  description = "Label selector of the pods"
}

variable "container" {
  description = "Name of the container; its image must hold kill"
}

kubernetes {
  kubeconfig = var.kubeconfig
}

probe "kubernetes" "pods" {
  namespace = var.namespace
  selector  = var.selector
  every     = "250ms"
}

scenario "container-kill" {
  description = "A container that ends is started again"
  seed        = 48

  hypothesis "all pods are ready" {
    probe          = probe.pods
    during         = false
    recover_within = "60s"
    hold           = "2s"
  }

  fault "container_kill" "ended" {
    namespace = var.namespace
    selector  = var.selector
    container = var.container
    signal    = "TERM"
  }
}
