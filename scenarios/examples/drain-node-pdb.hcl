# The same drain, of a node whose pods a PodDisruptionBudget keeps: it is refused
# before anything is touched, with the budget's name and what would have to change.
# (The Chaos Toolkit's drain with minAvailable 3 of 3.)
#
#   gameday run --var namespace=shop --var selector=name=my-app \
#               --var node=worker-1 drain-node-pdb.hcl
#
# Verdict: error

variable "kubeconfig" {
  description = "Path of a kubeconfig; empty: $KUBECONFIG, ~/.kube/config, or the pod's account"
  default     = ""
}

variable "namespace" {
  description = "Namespace of the application's pods"
}

variable "selector" {
  description = "Label selector of its pods"
}

variable "node" {
  description = "A node that its pods are on"
}

kubernetes {
  kubeconfig = var.kubeconfig
}

probe "kubernetes" "pods" {
  namespace = var.namespace
  selector  = var.selector
}

scenario "drain-node-pdb" {
  description = "A drain that a PodDisruptionBudget does not allow"
  seed        = 43

  hypothesis "the pods are ready" {
    probe = probe.pods
  }

  fault "node_drain" "maintenance" {
    node     = var.node
    duration = "3s"
  }
}
